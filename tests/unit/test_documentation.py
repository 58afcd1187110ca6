"""Each command of the documentation is typed by a test on real machines."""

from __future__ import annotations

import pathlib
import re

TREE = pathlib.Path(__file__).parents[2]
PLAYED = re.compile(r"\.play\(\s*\"([^\"]+)\",\s*\"([^\"]*)\"")
"""A page and a heading that a test plays (tests/cluster/pages.py)."""

HOW_TO = [*(TREE / "docs/tutorial").glob("*.md"), *(TREE / "docs/how-to").glob("*.md")]
SHELL = re.compile(r"^```shell\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(juju [^`]+)`")
TOOLS = r"(?:juju|sudo|charmed-postgresql\.\w+|journalctl|systemctl|mount|findmnt|snap|timedatectl|ss|tail)"

# Of each command in docs/reference/statuses.md what types it: a page whose blocks are played, or a test on machines.
COMMANDS, TROUBLE = "tests/cluster/test_commands.py", "tests/cluster/test_trouble.py"
RECOVER, BACK, NEW = "docs/how-to/recover.md", "docs/how-to/roll-back.md", "docs/how-to/refresh.md"
STATUSES = {
    "charmed-postgresql.patronictl restart APP MEMBER": (COMMANDS, "charmed-postgresql.patronictl restart {"),
    "charmed-postgresql.patronictl resume": (COMMANDS, '"charmed-postgresql.patronictl resume"'),
    "findmnt --verify": (COMMANDS, '"findmnt --verify"'),
    "journalctl -b": (COMMANDS, '"journalctl -b"'),
    "journalctl -u snap.charmed-postgresql.patroni": (COMMANDS, '"journalctl -u snap.charmed-postgresql.patroni"'),
    "snap changes": (COMMANDS, '"snap changes"'),
    "snap enable charmed-postgresql": (COMMANDS, '"snap enable charmed-postgresql"'),
    "systemctl status snapd": (COMMANDS, '"systemctl status snapd"'),
    "timedatectl": (COMMANDS, '"timedatectl"'),
    "ss -ltnp 'sport = :⟨port⟩'": (TROUBLE, "\"ss -ltnp 'sport = :5432'\""),
    "mount -a": (TROUBLE, '"mount -a"'),
    "juju config APP pause-after-unit-refresh=first": (
        NEW,
        "\njuju config postgresql-machine pause-after-unit-refresh=first",
    ),
    "juju config APP pause-after-unit-refresh=invalid": (
        RECOVER,
        "\njuju config postgresql-machine pause-after-unit-refresh=invalid",
    ),
    "juju config ⟨application⟩ pause-after-unit-refresh=all": (
        "tests/cluster/test_documentation.py",
        'type(f"juju config {NAME} pause-after-unit-refresh=all")',
    ),
    "juju debug-log": (RECOVER, "\njuju debug-log --include postgresql-machine/2"),
    "juju machines": (RECOVER, "\njuju machines"),
    "juju refresh": (BACK, "\njuju refresh postgresql-machine --path ./old.charm"),
    "juju refresh APP": (NEW, "\njuju refresh postgresql-machine --path ./new.charm"),
    "juju refresh ⟨application⟩": (NEW, "\njuju refresh postgresql-machine --path ./new.charm"),
    "juju refresh --path FILE": (BACK, "\njuju refresh postgresql-machine --path ./old.charm"),
    "juju refresh --revision ⟨revision⟩": (
        "tests/lab/test_api_charmhub.py",
        'hub.refresh(channel="1/edge", revision=2)',
    ),
    "juju remove-unit --force": (RECOVER, "\njuju remove-unit postgresql-machine/0 --force"),
    "juju run APP/NUMBER force-refresh-start check-compatibility=false": (
        "docs/how-to/force.md",
        "\njuju run --wait=10m postgresql-machine/2 force-refresh-start check-compatibility=false",
    ),
    "juju run ⟨unit⟩ force-majority accept-data-loss=true": (
        RECOVER,
        "\njuju run postgresql-machine/0 force-majority accept-data-loss=true",
    ),
    "juju status": (NEW, "\njuju status --watch 2s"),
}
NOT_PLAYED = {
    # Juju gives each unit its storages, and takes them only as the unit goes.
    "juju attach-storage",
    # The lab has no spaces.
    "juju bind",
    # Machines of the lab share the host's clock.
    "timedatectl set-ntp true",
}


def sections_with_commands(page: pathlib.Path) -> set[str]:
    """The headings under which a page has commands."""
    parts = re.split(r"^## (.+)$", "\n" + page.read_text(), flags=re.MULTILINE)
    texts = dict(zip(["", *parts[1::2]], parts[::2], strict=True))
    return {heading for heading, text in texts.items() if "```shell" in text}


def test_every_section_with_commands_is_played() -> None:
    tests = (TREE / "tests/cluster/test_documentation.py").read_text()
    tests = tests.replace("play(page, ", 'play("tutorial/first-refresh.md", ')
    played = set(PLAYED.findall(tests))
    shown = {
        (str(page.relative_to(TREE / "docs")), heading) for page in HOW_TO for heading in sections_with_commands(page)
    }
    assert HOW_TO
    assert shown == played


def test_a_command_in_a_sentence_is_played_too() -> None:
    # In a sentence nobody plays it: it may name a command, but what is to be typed stands in a block.
    for page in HOW_TO:
        text = page.read_text()
        played = {line for block in SHELL.findall(text) for line in block.splitlines()}
        for command in INLINE.findall(SHELL.sub("", text)):
            assert command in played or len(command.split()) == 2, f"{page.name}: {command}"


def test_the_commands_of_statuses_are_played() -> None:
    page = (TREE / "docs/reference/statuses.md").read_text()
    shown = set(re.findall(rf"`({TOOLS}\b[^`]*)`", page))
    assert shown == {*STATUSES, *NOT_PLAYED}
    for command, (file, typed) in STATUSES.items():
        assert typed in (TREE / file).read_text(), command


def test_links_lead_somewhere() -> None:
    pages = [*TREE.glob("*.md"), *(TREE / "docs").rglob("*.md")]
    lost = [
        f"{page.relative_to(TREE)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not lost
