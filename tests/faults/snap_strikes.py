"""What goes wrong with the refresh of a snap: its hooks, and the store that it comes from."""

from __future__ import annotations

import datetime
import json
import typing

import strike


class _HookOfSnap(strike.Strike):
    seconds = 25.0
    hook = ""
    content = "fail"

    def __init__(self, scene: strike.Scene) -> None:
        super().__init__(scene)
        self._known: set[str] = set()

    @property
    def _file(self) -> str:
        return f"{strike.COMMON}/lab-fault-{self.hook}"

    def prepare(self) -> None:
        self._known = {change["id"] for change in self._snap_changes()}
        self.shell(strike.highest(self.scene), f"echo {self.content} >{self._file}")

    def strike(self, unit: str) -> None:
        """The hook does it."""

    def heal(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.shell(strike.highest(self.scene), f"rm -f {self._file}")

    def unproved(self) -> str:
        text = f"lab-fault-{self.hook} asks for a failure"
        return "" if text in json.dumps(self.changes()) else f"snapd does not tell {text!r}"

    def changes(self) -> list[dict[str, typing.Any]]:
        """Return what snapd has done since, as it tells."""
        return [change for change in self._snap_changes() if change["id"] not in self._known]

    def _snap_changes(self) -> list[dict[str, typing.Any]]:
        return self.scene.application.snap_changes(strike.highest(self.scene))


class PreRefreshHook(_HookOfSnap):
    hook = "pre-refresh"


class PostRefreshHook(_HookOfSnap):
    hook = "post-refresh"


class SlowSnap(_HookOfSnap):
    hook = "post-refresh"
    delay = 20
    content = f"sleep {delay}"

    def unproved(self) -> str:
        taken = max((_taken(change) for change in self.changes()), default=0.0)
        return "" if taken >= self.delay else f"snapd's longest change took {taken:.0f} s, less than {self.delay} s"


def _taken(change: dict[str, typing.Any]) -> float:
    if "ready-time" not in change:
        return 0.0
    spawned, ready = (_time(change[key]) for key in ("spawn-time", "ready-time"))
    return (ready - spawned).total_seconds()


def _time(told: str) -> datetime.datetime:
    # snapd tells nanoseconds, which Python 3.11 does not read.
    whole, _, rest = told.partition(".")
    zone = rest.lstrip("0123456789") if rest else ""
    return datetime.datetime.fromisoformat(whole + zone)


class _Store(strike.Strike):
    """The store fails. What a machine has already, it would not ask the store for: so it is forgotten before."""

    seconds = 75.0
    hampers = True
    keeps_serving = True
    rule: typing.ClassVar[dict[str, str]] = {}

    def prepare(self) -> None:
        remove = f"snap remove charmed-postgresql --revision={self.scene.target}"
        self.shell(strike.highest(self.scene), remove, check=False)
        self.scene.application.lab.store_faults({**self.rule, "snap": "charmed-postgresql"})

    def strike(self, unit: str) -> None:
        """The store does it."""

    def heal(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.scene.application.lab.store_faults()


class StoreRefuses(_Store):
    rule: typing.ClassVar[dict[str, str]] = {"fault": "error", "message": "the store does not serve this revision"}


class StoreAway(_Store):
    rule: typing.ClassVar[dict[str, str]] = {"fault": "unreachable"}
