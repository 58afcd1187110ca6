"""A controller that a test drives step by step, over root-less machines and a charm of shell scripts.

The charm's `dispatch` writes down each run and then runs what the test has laid out for that hook, if anything.
"""

from __future__ import annotations

import dataclasses
import pathlib
import textwrap
import typing

import yaml

from lab.controller import clock, core, engine, tags
from lab.controller import store as store_module
from lab.controller.entities import leadership, models, relations, statuses, tasks, uniter, units
from lab.machines import rootless

DISPATCH = """\
#!/bin/sh
name=${JUJU_DISPATCH_PATH#*/}
unit=${JUJU_UNIT_NAME%/*}-${JUJU_UNIT_NAME#*/}
echo "$JUJU_UNIT_NAME $name|$JUJU_REMOTE_UNIT|$JUJU_DEPARTING_UNIT|$JUJU_REMOTE_APP" >>WORLD/trace
export -p >"WORLD/environment-$unit-$name"
for script in "WORLD/scripts/$name" "WORLD/scripts/$unit-$name"; do
    if [ -f "$script" ]; then . "$script" || exit $?; fi
done
"""

METADATA: dict[str, typing.Any] = {"name": "tiny", "summary": "For tests.", "description": "For tests."}


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of the charm."""

    unit: str
    hook: str
    remote_unit: str = ""
    departing_unit: str = ""
    remote_application: str = ""


class World:
    """One controller with model `m`; time stands still until it is moved."""

    def __init__(self, directory: pathlib.Path, seed: int = 1) -> None:
        self.directory = directory
        self.trace = directory / "trace"
        self.scripts = directory / "scripts"
        self.scripts.mkdir(parents=True)
        self.clock = clock.ManualClock()
        self.seed = seed
        self.open()
        self.operations.add_model("m")

    def open(self) -> None:
        """Opens the controller over what lies on disk."""
        self.store = store_module.Store(self.directory / "controller.sqlite")
        self.controller = core.Controller(
            self.store, rootless.Machines(self.directory), self.directory, self.clock, clock.Identifiers(self.seed)
        )
        self.engine = engine.Engine(self.controller)
        self.operations = self.engine.operations

    def reopen(self) -> None:
        """What a controller finds that starts after another was killed."""
        self.engine.close()
        self.store.close()
        self.open()

    @property
    def model(self) -> str:
        found = models.by_name(self.store, "m")
        assert found is not None
        return found.uuid

    # Charms

    def charm(self, name: str = "tiny", **parts: typing.Any) -> str:
        """Writes a charm's directory; parts are `config`, `actions`, `files`, and keys of its metadata."""
        directory = self.directory / "charms" / f"{name}-{len(list(self.directory.glob('charms/*')))}"
        directory.mkdir(parents=True)
        config, actions, files = (parts.pop(key, {}) for key in ("config", "actions", "files"))
        (directory / "metadata.yaml").write_text(yaml.safe_dump(METADATA | {"name": name} | parts))
        (directory / "config.yaml").write_text(yaml.safe_dump({"options": config}))
        (directory / "actions.yaml").write_text(yaml.safe_dump(actions))
        files = {"dispatch": DISPATCH.replace("WORLD", str(self.directory))} | files
        for path, content in files.items():
            if content is not None:
                (directory / path).parent.mkdir(parents=True, exist_ok=True)
                (directory / path).write_text(content)
                (directory / path).chmod(0o755)
        return str(directory)

    def script(self, hook: str, text: str, unit: str = "") -> None:
        """What a hook or action does, on all units or one; an empty text is nothing."""
        name = f"{unit.replace('/', '-')}-{hook}" if unit else hook
        (self.scripts / name).write_text(textwrap.dedent(text) + "\n")

    # Acting

    def deploy(self, charm: str | None = None, **arguments: typing.Any) -> None:
        """Deploys a charm and lets it settle."""
        self.operations.deploy(model="m", charm=charm or self.charm(), **arguments)
        self.settle()

    def settle(self) -> None:
        self.engine.settle()

    def advance(self, seconds: float) -> None:
        """Moves time and lets things settle."""
        self.clock.advance(seconds)
        self.settle()

    def change_config(self, application: str = "tiny") -> None:
        """Changes something that config-changed tells of, without letting it settle."""
        shown = self.operations.get_config("m", application)["application-config"]["trust"]
        self.operations.trust("m", application, remove=shown["value"])

    # Seeing

    def runs(self) -> list[Run]:
        """The runs since this was last asked."""
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        self.trace.write_text("")
        result: list[Run] = []
        for line in lines:
            head, *rest = line.split("|")
            unit, hook = head.split(" ")
            result.append(Run(unit, hook, *rest))
        return result

    def hooks(self, unit: str | None = None) -> list[str]:
        """The names of the hooks that ran since this was last asked, of one unit or all."""
        return [run.hook for run in self.runs() if unit in (None, run.unit)]

    def environment(self, unit: str, hook: str) -> dict[str, str]:
        """The environment of a unit's last run of a hook."""
        text = (self.directory / f"environment-{unit.replace('/', '-')}-{hook}").read_text()
        pairs = (line.removeprefix("export ").partition("=") for line in text.splitlines())
        return {key: value.strip("'\"") for key, _, value in pairs}

    def status(self, unit: str) -> tuple[str, str]:
        """A unit's workload status and message, as clients see it."""
        workload, _ = statuses.presented(self.store, self.model, unit)
        assert workload is not None
        return workload.status, workload.message

    def agent_status(self, unit: str) -> str:
        status = statuses.get(self.store, self.model, statuses.agent(unit))
        assert status is not None
        return status.status

    def find_unit(self, name: str) -> units.Unit | None:
        return self.store.get(units.Unit, self.model, name)

    def unit(self, name: str) -> units.Unit:
        return self.store.require(units.Unit, self.model, name)

    def local(self, unit: str) -> uniter.UniterState:
        return self.store.require(uniter.UniterState, self.model, unit)

    def leader(self, application: str = "tiny") -> str:
        return leadership.holder(self.store, self.model, application) or ""

    def follower(self, application: str = "tiny") -> str:
        """The first unit that does not lead."""
        found = self.store.find(units.Unit, model=self.model, application=application)
        return next(unit.name for unit in found if unit.name != self.leader(application))

    def relation(self, key: str) -> relations.Relation | None:
        return next(iter(self.store.find(relations.Relation, model=self.model, key=key)), None)

    def databag(self, key: str, owner: str) -> dict[str, str]:
        relation = self.relation(key)
        assert relation is not None
        return relations.settings(self.store, self.model, relation.id, owner)

    def charm_directory(self, unit: str) -> pathlib.Path:
        machine = self.controller.machine(self.model, self.unit(unit).machine or "")
        return machine.outside(f"/var/lib/juju/agents/{tags.unit(unit)}/charm")

    def run_action(self, unit: str, action: str, **parameters: typing.Any) -> tasks.Task:
        """Runs an action to its end."""
        enqueued = self.operations.run_action("m", [unit], action, parameters)
        self.settle()
        return self.task(enqueued)

    def task(self, enqueued: dict[str, typing.Any], index: int = 0) -> tasks.Task:
        return self.store.require(tasks.Task, self.model, int(enqueued["tasks"][index]["id"]))

    def log(self) -> list[str]:
        """The lines of the log: level, logger and message."""
        return [f"{line['level']} {line['module']} {line['message']}" for line in self.operations.debug_log("m")]
