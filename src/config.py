"""The charm's configuration, typed and checked.

A wrong value is told with the option, the value and what is allowed.
"""

import collections.abc
import dataclasses
import enum
import re
import typing

import timer

MAXIMUM_UNITS = 9


class ConfigError(ValueError):
    """An option has a value that is not allowed."""

    def __init__(self, option: str, value: object, allowed: str):
        super().__init__(f"{option}: {str(value)[:24]!r} is not allowed ({allowed}); set with `juju config`")
        self.option = option


class Profile(enum.Enum):
    """How much of the machine PostgreSQL may use."""

    PRODUCTION = "production"
    TESTING = "testing"


PAUSE_VALUES = ("all", "first", "none")


@dataclasses.dataclass(frozen=True)
class Config:
    """The configuration options of the charm."""

    pause_after_unit_refresh: typing.Literal["all", "first", "none"] = "first"
    synchronous_node_count: typing.Literal["all", "majority"] | int = "all"
    profile: Profile = Profile.PRODUCTION
    snap_refresh_window: timer.Timer | None = None
    """When the snaps below the workload may refresh; None: at any time."""

    @classmethod
    def parse(cls, options: collections.abc.Mapping[str, object]) -> "Config":
        """From Juju's options. Raises ConfigError for the first one that is wrong; unknown ones are ignored."""
        pause = str(options.get("pause-after-unit-refresh", "first"))
        if pause not in PAUSE_VALUES:
            raise ConfigError("pause-after-unit-refresh", pause, "all, first, none")
        profile = str(options.get("profile", "production"))
        if profile not in {each.value for each in Profile}:
            raise ConfigError("profile", profile, "production, testing")
        return cls(
            pause_after_unit_refresh=typing.cast(typing.Literal["all", "first", "none"], pause),
            synchronous_node_count=_synchronous_node_count(str(options.get("synchronous-node-count", "all"))),
            profile=Profile(profile),
            snap_refresh_window=_snap_refresh_window(str(options.get("snap-refresh-window", ""))),
        )

    def synchronous_standbys(self, units: int) -> int:
        """How many standbys of a cluster of that many units must confirm a transaction; 0 for a unit alone."""
        standbys = max(units - 1, 0)
        if self.synchronous_node_count == "all":
            return standbys
        if self.synchronous_node_count == "majority":
            # With the primary this is more than half of the units.
            return units // 2
        return min(self.synchronous_node_count, standbys)


def _synchronous_node_count(value: str) -> typing.Literal["all", "majority"] | int:
    if value in ("all", "majority"):
        return typing.cast(typing.Literal["all", "majority"], value)
    if re.fullmatch("[0-9]{1,9}", value) and int(value) < MAXIMUM_UNITS:
        return int(value)
    raise ConfigError("synchronous-node-count", value, f"all, majority, 0 to {MAXIMUM_UNITS - 1}")


def _snap_refresh_window(value: str) -> timer.Timer | None:
    try:
        return timer.parse(value) if value else None
    except timer.TimerError as error:
        raise ConfigError("snap-refresh-window", value, "a timer of snapd: sat,02:00-04:00") from error
