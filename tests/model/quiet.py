"""What must hold when all is quiet: little was written, somebody is told what to do, and events change nothing."""

from __future__ import annotations

import hashlib
import json
import pathlib

from lab.controller import tags
from lab.controller.entities import models, units
from tests.model import advice, rules, simulation

WRITES = 8
"""How often a databag may be written between two times of quiet; 5 was seen."""
STEPS_A_WRITE = 4
"""Once more for so many things that were done meanwhile; 11 writes were seen after 49."""
STEPS_A_TASK = 4
"""How many things a unit may do before a task of its own has ended: crash, start, tell that it has failed."""
EVENTS = ("update-status", "config-changed")
STATE = (".verified.json", ".snap-refresh.json", ".observer.json", ".charm_refresh_v3/*")
ATTEMPT = ".failed-attempt.json"
"""What the charm and charm-refresh keep in the charm's directory."""
TIMES = frozenset({"since", "asked", "looked"})
"""Keys of what is kept that say when it was looked at; an event that comes much later looks again."""


class Quiet:
    """Looks at one simulation each time that all is quiet."""

    def __init__(self, simulated: simulation.Simulation) -> None:
        self._simulation = simulated
        self._writes = self._versions()

    def _versions(self) -> dict[tuple[int, str], int]:
        return {key: version for key, (version, _) in self._simulation.databags().items()}

    def check_writes(self, steps: int) -> None:
        """No databag was written often since the last time. steps: what was done meanwhile. Raises AssertionError."""
        now, allowed = self._versions(), WRITES + steps // STEPS_A_WRITE
        written = {key: each - self._writes.get(key, 0) for key, each in now.items()}
        much = {key: each for key, each in written.items() if each > allowed}
        assert not much, f"databags were written more than {allowed} times: {much}"
        self._writes = now

    def check_advice(self, watching: rules.Rules) -> None:
        """Who is stuck is told what to do. Raises AssertionError."""
        wanted = advice.missing(self._simulation, watching)
        assert wanted is None, f"stuck, and no status tells {wanted!r}: {advice.texts(self._simulation)}"

    def check_events(self) -> None:
        """Another event changes nothing, whatever state a unit is in. Raises AssertionError."""
        before = self._seen()
        for event in EVENTS:
            for unit in self._able():
                hook = simulation.HOOK.format(event)
                enqueued = self._simulation.operations.exec(simulation.MODEL, hook, units=[unit.name])
                # How it has ended is looked at with all other tasks.
                assert self._ends(int(enqueued["tasks"][0]["id"])), f"{unit.name} does not run {event}"
        for _ in EVENTS:
            self._simulation.engine.step()
        for old, new in zip(before, self._seen(), strict=True):
            assert old == new, f"an event changed something after all was quiet: {old} -> {new}"

    def _ends(self, number: int) -> bool:
        """Whether a task ends soon; an agent whose crash is still to come may have it now, and starts again first."""
        for _ in range(STEPS_A_TASK):
            self._simulation.engine.step()
            if self._simulation.task(number).status.ended:
                return True
        return False

    def _able(self) -> list[units.Unit]:
        """Units that can run an event, and do not try again and again what has been made to fail."""
        alive = [unit for unit in self._simulation.units() if unit.life is models.Life.ALIVE and unit.agent_alive]
        return [
            unit for unit in alive if self._simulation.status(unit)[0] != "error" and not self._fails_to_refresh(unit)
        ]

    def _fails_to_refresh(self, unit: units.Unit) -> bool:
        machine = self._simulation.machine_of(unit)
        return machine is not None and machine.refresh_fault is not None and bool(self._files(unit, (ATTEMPT,)))

    def _seen(self) -> tuple[object, ...]:
        return self._simulation.databags(), self._simulation.fingerprint(), self._traces(), self._kept()

    def _traces(self) -> dict[str, object]:
        """What the charm has done on each machine, as far as it leaves a trace."""
        found: dict[str, object] = {}
        for machine in self._simulation.server.known.values():
            file = machine.paths.patroni_configuration
            written = file.stat().st_mtime_ns if file.exists() else None
            found[machine.name] = (tuple(machine.installs), machine.stops, machine.enabled, written)
        return found

    def _kept(self) -> dict[str, str]:
        """A digest of each file in which the charm keeps its state."""
        return {str(file): _digest(file) for unit in self._able() for file in self._state_files(unit)}

    def _state_files(self, unit: units.Unit) -> list[pathlib.Path]:
        return self._files(unit, STATE)

    def _files(self, unit: units.Unit, patterns: tuple[str, ...]) -> list[pathlib.Path]:
        machine = self._simulation.machine_of(unit)
        if machine is None:
            return []
        charm = machine.root / f"var/lib/juju/agents/{tags.unit(unit.name)}/charm"
        return [file for pattern in patterns for file in charm.glob(pattern) if file.is_file()]


def _digest(file: pathlib.Path) -> str:
    content = file.read_bytes()
    if file.suffix == ".json" and isinstance(parsed := json.loads(content), dict):
        content = json.dumps({key: each for key, each in parsed.items() if key not in TIMES}).encode()
    return hashlib.sha256(content).hexdigest()
