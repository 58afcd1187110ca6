from __future__ import annotations

import pathlib

import pytest

from lab.controller import context
from lab.controller.entities import applications, tasks, uniter, units
from lab.controller.tools import actions, ports, state
from tests.lab import tools_world


@pytest.fixture
def world() -> tools_world.World:
    return tools_world.World()


# Charm state


def test_state_is_staged(world: tools_world.World) -> None:
    run = world.start("pg/0")
    assert run.json("state-get") == {}
    run.out("state-set", "a=1", "b=2")
    run.out("state-set", "--file", "-", input='{"c": "3"}')
    run.out("state-delete", "b")
    run.out("state-delete", "never-there")
    assert run.json("state-get") == {"a": "1", "c": "3"}
    assert run.out("state-get", "a") == "1\n"
    assert world.start("pg/0").json("state-get") == {}
    run.commit()
    assert world.start("pg/0").json("state-get", "-") == {"a": "1", "c": "3"}
    assert world.start("pg/1").json("state-get") == {}


def test_a_missing_key_of_the_state_is_empty(world: tools_world.World) -> None:
    run = world.start("pg/0")
    assert run.json("state-get", "a") == ""
    assert run.error("state-get", "--strict", "a") == (1, '"a" not found')


def test_an_empty_value_of_the_state_is_kept(world: tools_world.World) -> None:
    run = world.start("pg/0")
    run.out("state-set", "a=")
    run.commit()
    assert world.start("pg/0").json("state-get") == {"a": ""}


def test_the_state_has_limits(world: tools_world.World) -> None:
    run = world.start("pg/0")
    assert run.error("state-set", f"{'k' * (state.LONGEST_KEY + 1)}=1")[0] == 1
    assert run.error("state-set", f"k={'v' * (state.LONGEST_VALUE + 1)}")[0] == 1
    run.out("state-set", f"{'k' * state.LONGEST_KEY}={'v' * state.LONGEST_VALUE}")


# Ports


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("5432", "5432/tcp"),
        ("5432/tcp", "5432/tcp"),
        ("53/UDP", "53/udp"),
        ("8000-8010/udp", "8000-8010/udp"),
        ("80-80", "80/tcp"),
        ("icmp", "icmp"),
    ],
)
def test_ports_are_opened_at_the_end_of_the_hook(world: tools_world.World, text: str, shown: str) -> None:
    run = world.start("pg/0")
    run.out("open-port", text)
    assert run.json("opened-ports") == []
    run.commit()
    run = world.start("pg/0")
    assert run.json("opened-ports") == [shown]
    assert run.json("opened-ports", "--endpoints") == [f"{shown} (*)"]
    run.out("close-port", text)
    assert run.json("opened-ports") == [shown]
    run.commit()
    assert world.start("pg/0").json("opened-ports") == []


def test_ports_of_endpoints(world: tools_world.World) -> None:
    run = world.start("pg/0")
    run.out("open-port", "80", "--endpoints", "b, a")
    run.out("open-port", "443")
    run.commit()
    run = world.start("pg/0")
    assert run.json("opened-ports", "--endpoints") == ["80/tcp (a, b)", "443/tcp (*)"]
    run.out("close-port", "80", "--endpoints", "a")
    run.commit()
    assert world.start("pg/0").json("opened-ports", "--endpoints") == ["80/tcp (b)", "443/tcp (*)"]


def test_closing_for_all_closes_for_each(world: tools_world.World) -> None:
    staged = ports.StagedPorts("pg/0", {"pg/0": {"a": ["80/tcp"], "b": ["80/tcp", "81/tcp"]}})
    staged.close("", ports.parse("80"))
    assert staged.result() == {"b": ["81/tcp"]}


def test_opening_what_was_to_be_closed_keeps_it_open(world: tools_world.World) -> None:
    staged = ports.StagedPorts("pg/0", {"pg/0": {"": ["80/tcp"]}})
    staged.close("", ports.parse("80"))
    staged.open("", ports.parse("80"))
    assert staged.result() == {"": ["80/tcp"]}


@pytest.mark.parametrize("text", ["", "x", "0", "65536", "10-5", "80/sctp", "80/icmp", "-5", "1-2-3"])
def test_what_is_no_port_is_refused(world: tools_world.World, text: str) -> None:
    assert world.start("pg/0").error("open-port", "--", text)[0] == 2


def test_ports_conflict_on_a_machine(world: tools_world.World) -> None:
    neighbour = world.store.require(units.Unit, tools_world.MODEL, "pg/1")
    world.store.put(units.Unit(**{**vars(neighbour), "machine": "0"}))
    world.store.put(units.Ports(tools_world.MODEL, "pg/1", {"": ["80-90/tcp"]}))
    run = world.start("pg/0")
    message = 'cannot open 85/tcp (unit "pg/0"): port range conflicts with 80-90/tcp (unit "pg/1")'
    assert run.error("open-port", "85") == (1, message)
    run.out("open-port", "85/udp")
    code, message = run.error("open-port", "80-86/udp")
    assert code == 1 and message.endswith("requested earlier")


# Storage


@pytest.fixture
def with_machine(tmp_path: pathlib.Path) -> tools_world.World:
    """A model whose first machine is there."""
    made = tools_world.World(tmp_path)
    made.controller.machines.create("juju-test-0")
    return made


def test_storage(with_machine: tools_world.World, tmp_path: pathlib.Path) -> None:
    world, location = with_machine, str(tmp_path / "machines/juju-test-0/root/mnt/data/0")
    world.attach("pg/0", "data/0")
    world.attach("pg/0", "logs/1")
    world.attach("pg/0", "logs/2", attached=False)
    run = world.start("pg/0")
    assert run.json("storage-list") == ["data/0", "logs/1", "logs/2"]
    assert run.json("storage-list", "data") == ["data/0"]
    assert run.json("storage-get", "-s", "data/0") == {"kind": "filesystem", "location": location}
    assert run.out("storage-get", "-s", "data/0", "location") == f"{location}\n"
    assert run.error("storage-get", "-s", "data/0", "age") == (1, 'invalid storage attribute "age"')
    assert run.error("storage-get") == (2, "no storage instance specified")
    assert "not found" in run.error("storage-get", "-s", "data/7")[1]
    assert "invalid storage ID" in run.error("storage-get", "-s", "data")[1]
    assert "not provisioned" in run.error("storage-get", "-s", "logs/2")[1]


def test_storage_of_the_hook(with_machine: tools_world.World, tmp_path: pathlib.Path) -> None:
    with_machine.attach("pg/0", "data/0")
    run = with_machine.start("pg/0", uniter.Hook("storage-attached", storage="data/0"))
    assert run.json("storage-get", "location") == str(tmp_path / "machines/juju-test-0/root/mnt/data/0")


def test_storage_is_added_after_the_hook(world: tools_world.World) -> None:
    run = world.start("pg/0")
    run.out("storage-add", "logs=2", "data")
    run.out("storage-add", "logs")
    run.commit()
    assert run.context.storage_wanted == {"logs": 3, "data": 1}
    run.context.discard()
    assert run.context.storage_wanted == {}
    assert run.error("storage-add")[0] == 2
    assert run.error("storage-add", "logs=1G")[0] == 2
    assert run.error("storage-add", "logs=0")[0] == 2


@pytest.mark.parametrize(
    ("directive", "reason"),
    [("nope", 'charm storage "nope" not found'), ("data=1", "at most 1 instances supported, 2 specified")],
)
def test_storage_that_the_charm_may_not_have_fails_the_hook(
    world: tools_world.World, directive: str, reason: str
) -> None:
    world.attach("pg/0", "data/0")
    run = world.start("pg/0")
    run.out("storage-add", directive)
    run.out("state-set", "a=1")
    with pytest.raises(context.CommitError, match=reason):
        run.commit()
    assert world.start("pg/0").json("state-get") == {}


# Resources


def test_resources_are_brought_into_the_machine(tmp_path: pathlib.Path) -> None:
    for name in ("machines", "storage", "uploads"):
        (tmp_path / name).mkdir()
    world = tools_world.World(tmp_path)
    machine = world.controller.machines.create("juju-test-0")
    upload = tmp_path / "uploads" / "0"

    def attach(content: str, revision: int) -> None:
        upload.write_text(content)
        world.store.put(
            applications.Resource(
                tools_world.MODEL, "pg", "plan", "upload", revision, path=str(upload), filename="mine.txt"
            )
        )

    run = world.start("pg/0")
    assert run.error("resource-get", "plan") == (1, 'could not download resource: resource "plan" not found')
    attach("first", 0)
    path = pathlib.Path(run.out("resource-get", "plan"))
    assert path == machine.outside("/var/lib/juju/agents/unit-pg-0/resources/plan/plan.txt")
    assert path.read_text() == "first"
    before = path.stat().st_mtime_ns
    run.out("resource-get", "plan")
    assert path.stat().st_mtime_ns == before
    attach("other", 1)
    run.out("resource-get", "plan")
    assert path.read_text() == "other"
    assert run.error("resource-get") == (2, "missing required resource name")


# Actions


def test_action_parameters(world: tools_world.World) -> None:
    run = world.action("pg/0", mode="fast", deep={"a": {"b": 1}}, empty=None)
    assert run.json("action-get") == {"mode": "fast", "deep": {"a": {"b": 1}}, "empty": None}
    assert run.out("action-get", "mode") == "fast\n"
    assert run.json("action-get", "deep.a.b") == 1
    assert run.json("action-get", "deep.a") == {"b": 1}
    assert run.json("action-get", "mode.a") is None
    assert run.json("action-get", "nope") is None


def test_action_results_nest(world: tools_world.World) -> None:
    run = world.action("pg/0")
    run.out("action-set", "a.b=1", "a.c=x=y", "d=first", "text=two\nlines")
    run.out("action-set", "a.b.e=2", "d=second")
    assert run.context.require_action().results == {
        "a": {"b": {"e": "2"}, "c": "x=y"},
        "d": "second",
        "text": "two\nlines",
    }


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("a", 'argument "a" must be of the form key...=value'),
        ("A=1", 'key "A" must start and end with lowercase alphanumeric'),
        ("a.=1", 'key "" must start'),
        ("-a=1", 'key "-a" must start'),
        ("stdout=1", 'cannot set reserved action key "stdout"'),
        ("a.stderr=1", 'cannot set reserved action key "stderr"'),
    ],
)
def test_bad_action_results_are_refused(world: tools_world.World, argument: str, message: str) -> None:
    run = world.action("pg/0")
    code, found = run.error("action-set", "--", "ok=1", argument)
    assert code == 2 and found.startswith(message)
    assert run.context.require_action().results == {}


def test_action_fail(world: tools_world.World) -> None:
    run = world.action("pg/0")
    run.out("action-fail", "--", "-no")
    action = run.context.require_action()
    assert (action.failed, action.message) == (True, "-no")
    run.out("action-fail")
    assert action.message == actions.NO_REASON


def test_action_log_shows_at_once(world: tools_world.World) -> None:
    run = world.action("pg/0")
    run.out("action-log", "--", "one", "two")
    run.context.discard()
    (task,) = world.store.find(tasks.Task)
    assert task.log == [(world.clock.now(), "one two")]


@pytest.mark.parametrize("call", [("action-get",), ("action-set", "a=1"), ("action-fail",), ("action-log", "x")])
def test_action_tools_need_an_action(world: tools_world.World, call: tuple[str, ...]) -> None:
    assert world.start("pg/0").error(*call) == (1, "not running an action")
