"""Whom the files and directories of a unit belong to, and who else may see them (docs/reference/formats.md)."""

from __future__ import annotations

import dataclasses
import json

import application

_SNAP = "/var/snap/charmed-postgresql"
_CHARM = "/var/lib/juju/agents/unit-*/charm"
_ON_MACHINE = """
import glob, json, os, pwd, stat, sys
found = {}
for pattern in json.load(sys.stdin):
    for path in glob.glob(pattern):
        status = os.lstat(path)
        found.setdefault(pattern, []).append([path, pwd.getpwuid(status.st_uid).pw_name, stat.S_IMODE(status.st_mode)])
print(json.dumps(found))
"""


@dataclasses.dataclass(frozen=True)
class Expected:
    """What holds for each path that matches; there is one at least."""

    pattern: str
    owner: str
    mode: int


EXPECTED = (
    Expected(f"{_SNAP}/x*/etc/patroni/patroni.yaml", "_daemon_", 0o600),
    Expected(f"{_SNAP}/x*/etc/patroni/pgpass", "_daemon_", 0o600),
    Expected(f"{_SNAP}/common/var/lib/postgresql/16/main", "_daemon_", 0o700),
    Expected(f"{_SNAP}/common/data/logs/16/main", "_daemon_", 0o700),
    Expected(f"{_SNAP}/common/data/archive", "_daemon_", 0o700),
    Expected(f"{_SNAP}/common/data/temp/16/main", "_daemon_", 0o700),
    Expected(f"{_SNAP}/common/var/lib/patroni/raft", "_daemon_", 0o700),
    Expected(f"{_SNAP}/common/var/log/postgresql", "_daemon_", 0o700),
    Expected(f"{_SNAP}/common/var/log/patroni", "_daemon_", 0o700),
    Expected(f"{_SNAP}/common/gate-auto-refresh", "root", 0o644),
    Expected("/etc/systemd/system/snap.charmed-postgresql.patroni.service.d/50-charm.conf", "root", 0o644),
    Expected("/etc/systemd/system/*-observer.service", "root", 0o644),
    Expected(f"{_CHARM}/.observer.json", "root", 0o644),
    Expected(f"{_CHARM}/.snap-refresh.json", "root", 0o600),
    Expected(f"{_CHARM}/.verified.json", "root", 0o600),
    Expected(f"{_CHARM}/.snapd.json", "root", 0o600),
    Expected(f"{_CHARM}/.charm_refresh_v3", "root", 0o755),
    Expected(f"{_CHARM}/.unit-state.db", "root", 0o600),
)


def wrong(applied: application.Application, machine: str) -> list[str]:
    """Return what is not as expected on a machine, in words."""
    patterns = json.dumps([each.pattern for each in EXPECTED])
    found = json.loads(applied.lab.run(machine, "python3", "-c", _ON_MACHINE, input=patterns))
    return differences(found)


def differences(found: dict[str, list[tuple[str, str, int]]]) -> list[str]:
    """Compare what was found, by the patterns: each path with its owner and its mode."""
    told: list[str] = []
    for expected in EXPECTED:
        if not found.get(expected.pattern):
            told.append(f"nothing is {expected.pattern}")
        for path, owner, mode in found.get(expected.pattern, []):
            if (owner, mode) != (expected.owner, expected.mode):
                told.append(f"{path} is {owner} {mode:o}, not {expected.owner} {expected.mode:o}")
    return told
