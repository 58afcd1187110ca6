"""Whether another event changes anything once a life is over: of what a unit does, tells and has in its files."""

from __future__ import annotations

import concurrent.futures
import json
import time
from collections.abc import Callable, Mapping

import application
import sighting

SECONDS = 180.0
"""How long all units may take for one hook."""
UPDATE_STATUS = "cd $CHARM_DIR && JUJU_HOOK_NAME=update-status JUJU_DISPATCH_PATH=hooks/update-status ./dispatch"
"""A command line that gives a unit an event."""
_OPTION = "pause-after-unit-refresh"
"""A change of it is an event of Juju's own for all units, and no work while no refresh is under way."""
# When something was looked at may change: a unit looks again now and then.
_ON_MACHINE = """
systemctl show --property ActiveEnterTimestampMonotonic,MainPID snap.charmed-postgresql.patroni.service {observer}
ls -l --time-style=full-iso /etc/systemd/system/{observer} /etc/systemd/system/multi-user.target.wants/{observer}
sha256sum /etc/systemd/system/{observer} /etc/systemd/system/snap.charmed-postgresql.patroni.service.d/*
---
stat --format '%n %U %a %Y %Z' /var/snap/charmed-postgresql/current/etc/patroni/patroni.yaml
sha256sum /var/snap/charmed-postgresql/current/etc/patroni/patroni.yaml
sha256sum /var/snap/charmed-postgresql/common/gate-auto-refresh 2>/dev/null
cd {charm}
find .observer.json .failed-attempt.json .charm_refresh_v3 -type f 2>/dev/null | LC_ALL=C sort | xargs sha256sum
sed --regexp-extended 's/"(since|looked|asked)": ("[^"]*"|[0-9.]+)//' .verified.json .snap-refresh.json
---
snap list | cut --characters 1-1000
snap get -d charmed-postgresql 2>&1
snap get -d system refresh 2>&1
"""
_PARTS = ("services", "files", "snaps")


def changes(applied: application.Application, machines: Mapping[str, sighting.Machine]) -> list[str]:
    """Give each unit an update-status, and two config-changed that end where they began; return what has changed."""
    assert applied.juju.model

    def update_status() -> None:
        with concurrent.futures.ThreadPoolExecutor() as executor:
            list(executor.map(lambda unit: applied.juju.exec(UPDATE_STATUS, unit=unit, wait=120), machines))

    def config_changed() -> None:
        before = applied.juju.config(applied.application)[_OPTION]
        for value in ("all" if before != "all" else "none", before):
            log = sighting.Log(applied.lab.settings, str(applied.juju.model))
            applied.juju.config(applied.application, {_OPTION: value})
            _await_hook(log, "config-changed", set(machines))

    found: list[str] = []
    events: dict[str, Callable[[], None]] = {"update-status": update_status, "config-changed": config_changed}
    for name, happen in events.items():
        before = _state(applied, machines)
        happen()
        after = _state(applied, machines)
        found += [f"another {name} changed {each}" for each in before if before[each] != after[each]]
    return found


def _await_hook(log: sighting.Log, hook: str, units: set[str]) -> None:
    limit = time.monotonic() + SECONDS
    while units:
        for line in log.poll():
            if line["message"].startswith(f'ran "{hook}" hook '):
                units = units - {sighting.unit_of(line["entity"])}
        assert time.monotonic() < limit, f"no {hook} of {', '.join(sorted(units))} within {SECONDS:g} s"


def _state(applied: application.Application, machines: Mapping[str, sighting.Machine]) -> dict[str, str]:
    """What must stay as it is, by its name."""

    def of(unit: str) -> dict[str, str]:
        name = unit.replace("/", "-")
        charm = f"/var/lib/juju/agents/unit-{name}/charm"
        script = _ON_MACHINE.format(observer=f"{name}-observer.service", charm=charm).replace("---", "echo ---")
        seen = applied.lab.shell(machines[unit].name, script, check=False).split("---\n")
        assert len(seen) == len(_PARTS), f"{unit} tells {seen}"
        shown = json.loads(applied.juju.cli("show-unit", unit, "--format", "json"))[unit]
        return {
            **{f"the {part} of {unit}": text for part, text in zip(_PARTS, seen, strict=True)},
            f"the databags that {unit} sees": json.dumps(shown["relation-info"], sort_keys=True),
            f"the status of {unit}": " ".join(applied.message(unit)),
        }

    with concurrent.futures.ThreadPoolExecutor() as executor:
        found = {name: text for each in executor.map(of, machines) for name, text in each.items()}
    return {**found, "the application's status": " ".join(applied.message())}
