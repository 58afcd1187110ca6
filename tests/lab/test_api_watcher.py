"""Watchers: what they tell at first and after each change, of whole models and in one state."""

from __future__ import annotations

import dataclasses
import threading
import time
import typing

import api_world
import engine_world
import pytest

from lab.api import deltas, full_status, watcher
from lab.controller import core, tags, views_lookup
from lab.controller.entities import relations, statuses, units


@dataclasses.dataclass
class Watched:
    """A world that a test drives, with a watcher of its model."""

    world: engine_world.World
    watcher: watcher.Watcher

    def told(self) -> dict[tuple[str, str], list[str]]:
        """What is new: by kind and identifier, `change` or `remove`."""
        found: dict[tuple[str, str], list[str]] = {}
        for kind, change, entity in self.watcher.next():
            found.setdefault((kind, name(kind, entity)), []).append(change)
        return found


def name(kind: str, entity: dict[str, typing.Any]) -> str:
    keys = {"model": "model-uuid", "charm": "charm-url", "application": "name", "unit": "name", "annotation": "tag"}
    return str(entity[keys.get(kind, "id")])


def scope(world: engine_world.World) -> views_lookup.Scope:
    described = views_lookup.Controller("lab", "c0ffee00-0000-4000-8000-000000000000", core.JUJU_VERSION)
    return views_lookup.Scope(world.store, described, views_lookup.find_model(world.store, "m"), world.clock.now())


@pytest.fixture
def watched(world: engine_world.World) -> Watched:
    return Watched(world, watcher.Watcher(world.store, lambda: scope(world), "1"))


def test_at_first_all_is_told_and_then_nothing(watched: Watched) -> None:
    watched.world.deploy(num_units=2)
    told = watched.told()
    assert set(told) == {
        ("model", watched.world.model),
        ("charm", "local:tiny-0"),
        ("application", "tiny"),
        *(("machine", number) for number in "01"),
        *(("unit", unit) for unit in ("tiny/0", "tiny/1")),
    }
    assert [kind for kind, _ in told] == sorted([kind for kind, _ in told], key=deltas.KINDS.index)
    assert watched.told() == {}


def test_each_change_is_told_once(watched: Watched) -> None:
    world = watched.world
    charm = world.charm(provides={"web": "http"}, requires={"backend": "http"}, config={"greeting": {"type": "string"}})
    world.deploy(charm)
    world.deploy(charm, application="other")
    watched.told()
    cases: list[tuple[typing.Callable[[], object], set[tuple[str, str]]]] = [
        (lambda: world.operations.expose("m", "tiny"), {("application", "tiny")}),
        (lambda: world.operations.set_config("m", "tiny", {"greeting": "x"}), {("application", "tiny")}),
        (lambda: world.operations.set_model_config("m", {"no-proxy": "x"}), {("model", world.model)}),
        (lambda: world.operations.integrate("m", ["tiny:web", "other:backend"]), {("relation", "0")}),
        (lambda: world.operations.add_machine("m"), {("machine", "2")}),
        (lambda: world.operations.set_annotations("m", "unit-tiny-0", {"a": "b"}), {("annotation", "unit-tiny-0")}),
        (lambda: world.operations.upload_charm("m", charm), {("charm", "local:tiny-2")}),
        (lambda: world.operations.exec("m", "true", units=["tiny/0"]), {("action", "2")}),
        (lambda: set_status(world, tags.unit("tiny/0"), "blocked"), {("unit", "tiny/0")}),
        (lambda: set_status(world, statuses.agent("tiny/0"), "executing"), {("unit", "tiny/0")}),
        (lambda: set_status(world, tags.application("tiny"), "waiting"), {("application", "tiny")}),
        (lambda: set_status(world, statuses.instance("0"), "running"), {("machine", "0")}),
        (lambda: world.store.put(units.Ports(world.model, "tiny/0", {"": ["80/tcp"]})), {("unit", "tiny/0")}),
        (lambda: world.store.put(relations.Databag(world.model, 0, "tiny/0", {"a": "b"}, 9)), set()),
    ]
    for change, expected in cases:
        change()
        assert {entity: ["change"] for entity in expected} == watched.told()
        assert watched.told() == {}


def set_status(world: engine_world.World, entity: str, status: str) -> None:
    statuses.set_status(world.store, world.clock.now(), world.model, entity, status, "changed")


def test_an_address_shows_in_the_machine_and_its_units(watched: Watched) -> None:
    world = watched.world
    world.deploy()
    watched.told()
    machine = scope(world).machine("0")
    world.store.put(dataclasses.replace(machine, address="127.7.9.9"))
    found = {kind: entity for kind, _, entity in watched.watcher.next()}
    assert found["machine"]["addresses"][0]["value"] == "127.7.9.9"
    assert found["unit"]["public-address"] == "127.7.9.9"


def test_what_goes_is_told_as_it_was(watched: Watched) -> None:
    world = watched.world
    world.deploy(num_units=2)
    watched.told()
    world.operations.remove_unit("m", "tiny/1")
    world.settle()
    removed = {(kind, name(kind, entity)) for kind, change, entity in watched.watcher.next() if change == "remove"}
    assert removed == {("unit", "tiny/1"), ("machine", "1")}
    # What comes and goes between two looks is not told at all.
    world.operations.add_unit("m", "tiny")
    world.operations.remove_unit("m", "tiny/2")
    world.settle()
    assert watched.told() == {}


def test_a_model_goes_with_all_that_is_in_it(watched: Watched) -> None:
    world = watched.world
    world.deploy()
    before = set(watched.told())
    world.operations.destroy_model("m", destroy_storage=True)
    world.settle()
    assert watched.told() == {entity: ["remove"] for entity in before}
    assert watched.told() == {}


def test_other_models_do_not_matter(watched: Watched) -> None:
    watched.world.deploy()
    watched.told()
    watched.world.operations.add_model("other")
    watched.world.operations.deploy(model="other", charm=watched.world.charm())
    assert watched.told() == {}


def test_deltas_and_full_status_say_the_same(world: engine_world.World) -> None:
    world.deploy(num_units=2)
    world.script("config-changed", "exit 1", unit="tiny/1")
    world.change_config()
    world.settle()
    found = full_status.full_status(scope(world))
    for unit, shown in found["applications"]["tiny"]["units"].items():
        delta = deltas.describe(scope(world), ("unit", unit))
        assert delta is not None
        for key in ("workload-status", "agent-status"):
            assert (delta[key]["current"], delta[key]["message"]) == (shown[key]["status"], shown[key]["info"])
        assert delta["machine-id"] == shown["machine"]
    assert found["applications"]["tiny"]["units"]["tiny/1"]["workload-status"]["status"] == "error"


def test_a_look_is_of_one_state(watched: Watched) -> None:
    """Whoever writes an application and its unit together is never seen with only one of them."""
    world = watched.world
    world.deploy()
    watched.told()
    stop = threading.Event()

    def write() -> None:
        for count in range(2000):
            if stop.is_set():
                return
            with world.store.transaction():
                set_message(world, tags.application("tiny"), str(count))
                set_message(world, tags.unit("tiny/0"), str(count))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        messages = {"application": "", "unit": ""}
        for _ in range(200):
            for kind, _change, entity in watched.watcher.next():
                if kind in messages:
                    messages[kind] = entity["workload-status" if kind == "unit" else "status"]["message"]
            assert messages["application"] == messages["unit"]
            status = full_status.full_status(scope(world))["applications"]["tiny"]
            assert status["status"]["info"] == status["units"]["tiny/0"]["workload-status"]["info"]
    finally:
        stop.set()
        writer.join()


def test_nobody_writes_while_a_watcher_looks(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    world = watched.world
    world.deploy(num_units=2)
    watched.told()
    describe, writers = deltas.describe, list[threading.Thread]()

    def disturbed(scope: views_lookup.Scope, entity: deltas.Entity) -> typing.Any:
        """Describes an entity after somebody else had time to write another."""
        if not writers:
            writers.append(threading.Thread(target=set_message, args=(world, tags.unit("tiny/1"), "late")))
            writers[0].start()
            writers[0].join(0.5)
        return describe(scope, entity)

    monkeypatch.setattr(deltas, "describe", disturbed)
    for unit in ("tiny/0", "tiny/1"):
        set_message(world, tags.unit(unit), "early")
    messages = [entity["workload-status"]["message"] for kind, _, entity in watched.watcher.next() if kind == "unit"]
    writers[0].join()
    assert messages == ["early", "early"]
    assert [entity["name"] for kind, _, entity in watched.watcher.next() if kind == "unit"] == ["tiny/1"]


def set_message(world: engine_world.World, entity: str, message: str) -> None:
    statuses.set_status(world.store, world.clock.now(), world.model, entity, "active", message)


# Over the API


@pytest.mark.api("AllWatcher.Next", "AllWatcher.Stop", "Client.WatchAll")
def test_a_watcher_waits_and_stops(api: api_world.ApiLab) -> None:
    model = api.add_model("watched")
    identifier = api.call(model, "Client", "WatchAll")["watcher-id"]

    async def ask(request: str) -> typing.Any:
        return await model.connection().rpc({"type": "AllWatcher", "request": request, "Id": identifier, "params": {}})

    (first,) = api.run(ask("Next"))["response"]["deltas"]
    assert first[:2] == ["model", "change"]
    with pytest.raises(TimeoutError):
        api.run(ask("Next"), timeout=0.3)
    started = time.monotonic()
    api.rpc("add_machine", model="watched")
    told = [delta[0] for delta in api.run(ask("Next"))["response"]["deltas"]]
    assert told == ["machine"]
    assert time.monotonic() - started < 5
    api.run(ask("Stop"))
    with pytest.raises(Exception, match="watcher was stopped"):
        api.run(ask("Next"))
    api.run(model.disconnect())
    api.rpc("destroy_model", model="watched")


def test_whoever_watches_a_model_that_goes_sees_it_go(api: api_world.ApiLab) -> None:
    model = api.add_model("going")
    api.run(model.add_machine())
    assert model.machines
    api.rpc("destroy_model", model="going")
    api.until(model, lambda: not model.machines)
    api.run(model.disconnect())
