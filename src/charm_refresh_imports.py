"""Imports charm-refresh without what machines do not need: each hook would pay for it.

charm-refresh is one module for Kubernetes and machines. It imports lightkube with its many API models, which machines
never use, and httpx for the one question that it asks snapd. So stand-ins are in their places while it is imported: one
that says so if it is used after all, and one that asks snapd as the charm itself does, and with it. Python's tomllib,
which the charm has loaded anyway, stands for tomli, from which it comes.
"""

import sys
import tomllib
import types
import typing
import urllib.parse

from workload import snap

_KUBERNETES = (
    "lightkube",
    "lightkube.models",
    "lightkube.models.authorization_v1",
    "lightkube.resources",
    "lightkube.resources.apps_v1",
    "lightkube.resources.authorization_v1",
    "lightkube.resources.core_v1",
)


class _Absent:
    """Stands for a class of lightkube. It can be named, as in an annotation, and not be used."""

    def __init__(self, *_: object, **__: object):
        raise RuntimeError("lightkube is not loaded on machines; see src/charm_refresh_imports.py")


class _Kubernetes(types.ModuleType):
    def __init__(self, name: str):
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> type[_Absent]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent


class _Response:
    """snapd's answer: the snaps of one name."""

    def __init__(self, name: str):
        self._name = name

    def raise_for_status(self) -> "_Response":
        return self

    def json(self) -> dict[str, typing.Any]:
        found = snap.installed(self._name)
        return {"type": "sync", "result": [] if found is None else [found]}


class _Client:
    """Asks snapd, through the library that the charm uses. What it raises is workload.snap's."""

    def __init__(self, transport: str):
        if transport != snap.SOCKET:
            raise RuntimeError(f"{transport} is not snapd's socket; see src/charm_refresh_imports.py")

    def get(self, url: str, params: dict[str, str]) -> _Response:
        if urllib.parse.urlsplit(url).path != "/v2/snaps" or set(params) != {"snaps"}:
            raise RuntimeError(f"{url} is not asked through here; see src/charm_refresh_imports.py")
        return _Response(params["snaps"])


class _Httpx(types.ModuleType):
    """Stands for httpx in charm-refresh."""

    Client = _Client

    @staticmethod
    def HTTPTransport(uds: str) -> str:  # httpx names it so
        return uds


def _import() -> None:
    stand_ins: dict[str, types.ModuleType] = {name: _Kubernetes(name) for name in _KUBERNETES}
    for name, module in stand_ins.items():
        package, _, child = name.rpartition(".")
        if package:
            setattr(stand_ins[package], child, module)
    stand_ins["httpx"] = _Httpx("httpx")
    stand_ins["tomli"] = tomllib
    before = {name: sys.modules[name] for name in stand_ins if name in sys.modules}
    sys.modules.update(stand_ins)
    try:
        import charm_refresh._main
    finally:
        for name in stand_ins:
            del sys.modules[name]
        sys.modules.update(before)
    # Where charm-refresh had been imported before.
    charm_refresh._main.httpx = stand_ins["httpx"]


_import()
