"""Keeps charm-refresh from importing its Kubernetes half, which no machine uses.

charm-refresh is one module for Kubernetes and machines, and imports lightkube with its many API models. Every hook
would pay for that. Importing this module first puts stand-ins in lightkube's place; one that is used after all says so.
"""

import sys
import types

_MODULES = (
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
        raise RuntimeError("lightkube is not loaded on machines; see src/no_kubernetes.py")


class _StandIn(types.ModuleType):
    def __init__(self, name: str):
        super().__init__(name)
        self.__path__ = []

    def __getattr__(self, name: str) -> type[_Absent]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Absent


def install() -> None:
    """Put the stand-ins in place, unless lightkube itself has been imported already."""
    if "lightkube" in sys.modules:
        return
    for name in _MODULES:
        sys.modules[name] = _StandIn(name)
    for name in _MODULES:
        package, _, module = name.rpartition(".")
        if package:
            setattr(sys.modules[package], module, sys.modules[name])


install()
