"""What every strike (strikes.py) has and can do."""

from __future__ import annotations

import abc
import time
import typing
from collections.abc import Callable

import application
import cells
import sighting

COMMON = "/var/snap/charmed-postgresql/common"


class NotStruckError(AssertionError):
    """What was to befall the unit did not."""


class Scene(typing.Protocol):
    """What a strike has to know."""

    application: application.Application
    machines: dict[str, sighting.Machine]
    target: str
    """The revision that the refresh leads to."""

    def is_refreshed(self, unit: str) -> bool:
        """Whether the unit's snap is of that revision now."""
        ...


class Strike(abc.ABC):
    """One fault.

    `prepare` comes before the refresh, `arm` before the step, `strike` at it, `heal` after `seconds`, `clear` at last.
    """

    seconds = 0.0
    """How long it lasts."""
    fails = False
    """Whether the very hook or action fails of it that runs then."""
    hampers = False
    """Whether some hook of the unit fails, or an action is refused, while it lasts."""
    promotions = (0, 0)
    """How many promotions fewer, and how many more there may be than without it, where it befalls the primary or the
    member that is to become it. Two more: a failover, and a hand-over where that chose a unit whose turn is to come."""
    keeps_serving = False
    """Whether the unit's PostgreSQL must not be stopped while it lasts."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.struck = ""
        """The unit whose recovery counts."""
        self.done = 0.0
        """From when on what succeeds is a recovery, if not from the end of `strike`."""

    def prepare(self) -> None:  # noqa: B027  many strikes need none
        """Nothing."""

    def arm(self, step: cells.Step) -> None:  # noqa: B027  many strikes need none
        """The step is looked out for from now on."""

    @abc.abstractmethod
    def strike(self, unit: str) -> None:
        """Let it befall `unit`."""

    def heal(self) -> None:  # noqa: B027  many strikes need none
        """Let it end."""

    def unproved(self) -> str:
        """Return what is to be seen of it on the machine, and is not; nothing if it has happened as it should."""
        return ""

    def clear(self) -> None:  # noqa: B027  many strikes need none
        """Leave nothing of it behind, also where it was not struck."""

    @property
    def model(self) -> str:
        """The model's name."""
        assert self.scene.application.juju.model
        return self.scene.application.juju.model

    def call(self, method: str, **parameters: typing.Any) -> typing.Any:
        """Ask the lab for a fault."""
        return self.scene.application.lab.call(method, **parameters)

    def shell(self, unit: str, script: str, check: bool = True) -> str:
        """Run a script on a unit's machine."""
        return self.scene.application.lab.shell(self.scene.machines[unit].name, script, check=check)

    def primary(self) -> str:
        """Return the unit of the primary."""
        found = self.scene.application.primary()
        if not found:
            raise NotStruckError("there was no primary to strike")
        return found

    def machine(self, unit: str, action: str) -> None:
        """Let a unit's machine crash or start."""
        number = self.scene.machines[unit].name.rpartition("-")[2]
        self.call("fault_machine", model=self.model, machine=number, action=action)


def highest(scene: Scene) -> str:
    """Return the unit that refreshes first."""
    return scene.application.unit(cells.HIGHEST)


def await_(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait for `condition`.

    Raises:
        NotStruckError: It does not come about.
    """
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise NotStruckError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
