"""What systemd is told of Patroni's service."""

from __future__ import annotations

import configparser
import os
import pathlib
import types

import pytest

from tests.unit.conftest import Deployed
from workload import files, paths, service

UNIT = f"snap.{paths.SNAP}.{paths.PATRONI_SERVICE}.service.d"


class SystemdError(Exception):
    """The library's."""


class Systemd(types.SimpleNamespace):
    """Counts how often systemd has read its units."""

    def __init__(self) -> None:
        super().__init__(SystemdError=SystemdError, failing=False, reloads=0)

    def daemon_reload(self) -> bool:
        if self.failing:
            raise SystemdError("no answer")
        self.reloads += 1
        return True


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Systemd:
    stand_in = Systemd()
    monkeypatch.setattr(service, "systemd", stand_in)
    monkeypatch.setattr(files, "ROOT", files.Owner(os.getuid(), os.getgid()))
    return stand_in


def test_the_service_is_stopped_as_postgresql_wants_it(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    service.ensure_stop_signal(tmp_path)
    [drop_in] = (tmp_path / UNIT).iterdir()
    parsed = configparser.ConfigParser()
    parsed.optionxform = str  # type: ignore[assignment]
    parsed.read_string(drop_in.read_text())
    assert dict(parsed["Service"]) == {"KillSignal": "SIGINT"}
    assert drop_in.suffix == ".conf"


def test_systemd_reads_it_once(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    service.ensure_stop_signal(tmp_path)
    service.ensure_stop_signal(tmp_path)
    assert systemd.reloads == 1


def test_what_systemd_has_not_read_is_told_again(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    systemd.failing = True
    with pytest.raises(service.ServiceError, match="no answer"):
        service.ensure_stop_signal(tmp_path)
    systemd.failing = False
    service.ensure_stop_signal(tmp_path)
    assert systemd.reloads == 1


def test_it_goes_with_the_unit_and_what_others_have_written_stays(systemd: Systemd, tmp_path: pathlib.Path) -> None:
    service.forget_stop_signal(tmp_path)
    service.ensure_stop_signal(tmp_path)
    service.forget_stop_signal(tmp_path)
    assert list(tmp_path.iterdir()) == []
    service.ensure_stop_signal(tmp_path)
    (tmp_path / UNIT / "limits.conf").touch()
    service.forget_stop_signal(tmp_path)
    assert [file.name for file in (tmp_path / UNIT).iterdir()] == ["limits.conf"]


def test_each_unit_has_it_until_it_leaves(deployed: Deployed) -> None:
    on = deployed(2)
    machines = [unit.machine for unit in on.units.values()]
    assert all((machine.paths.systemd_units / UNIT / service.DROP_IN).exists() for machine in machines)
    on.remove_unit(1)
    on.settle()
    assert [(machine.paths.systemd_units / UNIT).exists() for machine in machines] == [True, False]
