"""Searches every place where a password could come to light, on real machines, for passwords that are known.

The system users' passwords are 32 random letters and digits, which nothing else contains: each is a canary.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator, Mapping

import application

from lab import settings

PLACES = "/dev/shm /etc /home /opt /root /run /srv /tmp /usr/local /var"
"""All that anything can write to. What packages (/usr) and snaps (/snap) have brought is left out; /proc is looked at
all the time (process_watch.py)."""
CONFIGURATION = "/var/snap/charmed-postgresql/"
ALLOWED = ("etc/patroni/patroni.yaml", "etc/patroni/pgpass")
"""Patroni's own files, in each revision of the snap's data: its user's alone."""
MODE = "_daemon_ 600"
_JOURNAL = "journalctl --all --no-pager"
_CHANGES = "snap changes; for each in $(snap changes | awk 'NR > 1 {print $1}'); do snap tasks $each; done"
_ON_MACHINE = """
import json, pathlib, subprocess, sys
needles = json.load(sys.stdin)
found = subprocess.run(
    ["grep", "-rlFs", "-D", "skip", "-f", "-", *sys.argv[1:]],
    input="\\n".join(needles) + "\\n", capture_output=True, text=True, timeout=300,
)
for name in found.stdout.splitlines():
    status = pathlib.Path(name).stat()
    import pwd
    print(name, pwd.getpwuid(status.st_uid).pw_name, oct(status.st_mode & 0o777)[2:])
"""


@dataclasses.dataclass(frozen=True)
class Leak:
    """A place where a password was found."""

    place: str
    key: str
    """Which password it is."""


class Canaries:
    """The passwords, and each form in which they could appear."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self.forms = {key: [password, *_base64(password)] for key, password in passwords.items()}

    def within(self, place: str, text: str) -> Iterator[Leak]:
        """Give what of them is in a text."""
        for key, forms in self.forms.items():
            if any(form in text for form in forms):
                yield Leak(place, key)

    @property
    def needles(self) -> list[str]:
        """All forms."""
        return [form for forms in self.forms.values() for form in forms]


def _base64(password: str) -> list[str]:
    """What of a password stays the same in base64 whatever comes before and after it, as in HTTP's authentication."""
    found: list[str] = []
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + password.encode()).decode()
        # The first group depends on what comes before, the last two on what comes after.
        found.append(encoded[4 if offset else 0 : -8])
    return found


def search(applied: application.Application, machines: Mapping[str, str], canaries: Canaries) -> list[Leak]:
    """Search all places but the command lines of the past."""
    found: list[Leak] = []
    for place, text in _juju(applied, machines):
        found += canaries.within(place, text)
    for unit, machine in machines.items():
        found += canaries.within(f"journal of {unit}", applied.lab.shell(machine, _JOURNAL))
        found += canaries.within(f"snapd's changes of {unit}", applied.lab.shell(machine, _CHANGES))
        found += _files(applied, unit, machine, canaries)
    return found


def _juju(applied: application.Application, machines: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    def juju(*words: str) -> str:
        return applied.juju.cli(*words)

    yield "debug-log", juju("debug-log", "--replay", "--no-tail")
    yield "status", juju("status", "--format", "json", "--relations", "--storage")
    for unit in machines:
        yield f"databags of {unit}", juju("show-unit", unit)
        yield f"status log of {unit}", juju("show-status-log", unit, "--days", "1")
    for operation in operations(applied):
        yield f"operation {operation}", juju("show-operation", operation, "--format", "json")
    yield from _controller(applied.lab.settings)


def operations(applied: application.Application) -> list[str]:
    """Return the numbers of all operations that there were."""
    found: list[str] = []
    # Juju lists what `juju exec` has run only where it is asked for.
    for which in ((), ("--actions", "juju-exec")):
        listed = applied.juju.cli("operations", *which, "--format", "json", "--limit", "500")
        found += [str(identifier) for identifier in (json.loads(listed) if listed.strip() else ())]
    return found


def _controller(lab_settings: settings.Settings) -> Iterator[tuple[str, str]]:
    for path in sorted(lab_settings.log.rglob("*")):
        if path.is_file():
            yield f"controller's {path.name}", path.read_text(errors="replace")


def _files(applied: application.Application, unit: str, machine: str, canaries: Canaries) -> Iterator[Leak]:
    """Give the files that hold a password and should not, or that others may read."""
    script = ["python3", "-c", _ON_MACHINE, *PLACES.split()]
    # They go in by standard input: they are in no command line here either.
    told = applied.lab.run(machine, *script, input=json.dumps(canaries.needles))
    for line in told.splitlines():
        name, mode = line.split(" ", 1)
        if not (name.startswith(CONFIGURATION) and name.endswith(ALLOWED)):
            yield Leak(f"{name} of {unit}", "?")
        elif mode != MODE:
            yield Leak(f"{name} of {unit} is {mode}", "?")
