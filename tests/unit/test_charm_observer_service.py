"""The service of the observer, which the charm writes, starts and removes."""

from __future__ import annotations

import os
import pathlib
import typing

import pytest
from charms.operator_libs_linux.v1 import systemd as library

import observer
from workload import files, service, watch


class Systemd:
    SystemdError = library.SystemdError

    def __init__(self, units: pathlib.Path) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.wanted = units / "multi-user.target.wants"

    def service_enable(self, service: str) -> None:
        self.calls.append(("service_enable", service))
        self.wanted.mkdir(exist_ok=True)
        (self.wanted / service).unlink(missing_ok=True)
        (self.wanted / service).symlink_to(f"../{service}")

    def service_disable(self, *arguments: str) -> None:
        self.calls.append(("service_disable", *arguments))
        (self.wanted / arguments[-1]).unlink()

    def __getattr__(self, name: str) -> typing.Callable[..., None]:
        return lambda *arguments: self.calls.append((name, *arguments))


@pytest.fixture
def systemd(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    stand_in = Systemd(tmp_path / "units")
    monkeypatch.setattr(watch, "systemd", stand_in)
    monkeypatch.setattr(files, "ROOT", files.Owner(os.getuid(), os.getgid()))
    return stand_in


@pytest.fixture
def watcher(tmp_path: pathlib.Path) -> watch.Watch:
    (tmp_path / "charm/src").mkdir(parents=True)
    (tmp_path / "charm/src/observer.py").write_text("first")
    return watch.Watch("pg/3", tmp_path / "charm", tmp_path / "units")


def test_the_service_is_started_once_and_again_for_another_program(systemd: Systemd, watcher: watch.Watch) -> None:
    started = [
        ("daemon_reload",),
        ("service_restart", "pg-3-observer.service"),
        ("service_enable", "pg-3-observer.service"),
    ]
    watcher.ensure(["http://10.0.0.1:8008"], 30.0)
    assert systemd.calls == started
    unit = (watcher.systemd_units / "pg-3-observer.service").read_text()
    assert f"--unit pg/3 --charm-directory {watcher.charm_directory}" in unit
    assert "Restart=always" in unit
    # Other settings are read while it runs.
    watcher.ensure(["http://10.0.0.1:8008", "http://10.0.0.2:8008"], None)
    assert systemd.calls == started
    assert observer.read_settings(watcher.charm_directory / ".observer.json") == {
        "endpoints": ["http://10.0.0.1:8008", "http://10.0.0.2:8008"],
        "retry_seconds": None,
    }
    (watcher.charm_directory / "src/observer.py").write_text("second")
    watcher.ensure([], None)
    assert systemd.calls == started * 2


@pytest.mark.parametrize("failing", ["daemon_reload", "service_restart", "service_enable"])
@pytest.mark.parametrize(
    ("error", "told"),
    [(library.SystemdError("no bus"), service.ServiceError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_an_installation_that_is_cut_off_is_made_again(
    systemd: Systemd,
    watcher: watch.Watch,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    error: BaseException,
    told: type[BaseException],
) -> None:
    def fail(*_: str) -> typing.NoReturn:
        raise error

    monkeypatch.setattr(systemd, failing, fail, raising=False)
    with pytest.raises(told):
        watcher.ensure([], None)
    monkeypatch.undo()
    monkeypatch.setattr(watch, "systemd", systemd)
    monkeypatch.setattr(files, "ROOT", files.Owner(os.getuid(), os.getgid()))
    systemd.calls.clear()
    watcher.ensure([], None)
    assert [name for name, *_ in systemd.calls] == ["daemon_reload", "service_restart", "service_enable"]


def test_the_service_is_removed(systemd: Systemd, watcher: watch.Watch) -> None:
    watcher.remove()
    assert systemd.calls == []
    watcher.ensure([], None)
    systemd.calls.clear()
    watcher.remove()
    assert systemd.calls == [("service_disable", "--now", "pg-3-observer.service"), ("daemon_reload",)]
    assert list(watcher.systemd_units.glob("*.service")) == []
    assert not (watcher.charm_directory / ".observer.json").exists()
