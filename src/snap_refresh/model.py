"""What a unit knows of its machine's snaps and of the other units' wishes: plain values."""

import collections.abc
import dataclasses
import datetime
import functools
import json
import typing

from gating import affected
from workload import paths

WORKLOAD = paths.SNAP
SNAPD = "snapd"
WISH = "snap-updates"
"""Key in a unit's databag: its Wish."""
TURN = "snap-refresh-turn"
"""Key in the application's databag: the Turn."""
FILE = ".snap-refresh.json"
"""What a unit remembers, in the charm directory; what the charm's package does not have survives upgrades."""

Time = datetime.datetime


def time_text(time: Time) -> str:
    """RFC 3339 in UTC, to the second."""
    return time.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text_or_none(time: Time | None) -> str | None:
    return None if time is None else time_text(time)


def _time(text: str) -> Time:
    found = Time.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def _time_or_none(text: str | None) -> Time | None:
    return _time(text) if text else None


def _times(values: object) -> dict[str, Time]:
    return {name: _time(text) for name, text in typing.cast(dict[str, str], values).items()}


class Attempts(typing.NamedTuple):
    """How often snapd was asked for an update."""

    revision: str
    tries: int
    last: Time


@dataclasses.dataclass(frozen=True)
class Remembered:
    """What this unit remembers from hook to hook, in a file: what cannot be seen.

    Raises ValueError, KeyError or TypeError from `parse` for what is none of its own.
    """

    asked: Time | None = None
    """When the store was last asked for updates."""
    failure: str | None = None
    """Why it did not answer then."""
    updates: collections.abc.Mapping[str, affected.Candidate] = dataclasses.field(default_factory=dict)
    """What it answered last, by name."""
    installed: collections.abc.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Revisions of the machine's snaps when the connections were looked at."""
    connections: tuple[tuple[str, str, str], ...] = ()
    looked: Time | None = None
    """When that was."""
    gating: dict[str, typing.Any] = dataclasses.field(default_factory=dict)
    """The state of the gating engine."""
    holds: collections.abc.Mapping[str, Time] = dataclasses.field(default_factory=dict)
    """The charm's own holds as it has set them in snapd."""
    overdue: collections.abc.Mapping[str, Time] = dataclasses.field(default_factory=dict)
    """Updates that are not held any more since the limit was reached, and when it was seen."""
    since: collections.abc.Mapping[str, Time] = dataclasses.field(default_factory=dict)
    """Since when the charm has held each of them without a break."""
    attempts: collections.abc.Mapping[str, Attempts] = dataclasses.field(default_factory=dict)
    """By name of the snap."""
    restored: collections.abc.Mapping[str, Time] = dataclasses.field(default_factory=dict)
    """Holds that somebody had removed, and when the charm put them back."""
    requested: Time | None = None
    """When the operator asked for the updates by run-snap-refresh."""

    @classmethod
    def parse(cls, text: str) -> "Remembered":
        """From the file. What it does not know in it is ignored."""
        found = json.loads(text)
        return cls(
            asked=_time_or_none(found.get("asked")),
            failure=found.get("failure"),
            updates={
                name: affected.Candidate(name, each["revision"], each.get("version", ""), each.get("channel", ""))
                for name, each in found.get("updates", {}).items()
            },
            installed=dict(found.get("installed", {})),
            connections=tuple((interface, plug, slot) for interface, plug, slot in found.get("connections", ())),
            looked=_time_or_none(found.get("looked")),
            gating=dict(found.get("gating", {})),
            holds=_times(found.get("holds", {})),
            overdue=_times(found.get("overdue", {})),
            since=_times(found.get("since", {})),
            attempts={
                name: Attempts(str(revision), int(tries), _time(last))
                for name, (revision, tries, last) in found.get("attempts", {}).items()
            },
            restored=_times(found.get("restored", {})),
            requested=_time_or_none(found.get("requested")),
        )

    def text(self) -> str:
        """For the file."""
        updates = {
            name: {"revision": each.revision, "version": each.version, "channel": each.channel}
            for name, each in self.updates.items()
        }
        times = {
            key: {name: time_text(time) for name, time in getattr(self, key).items()}
            for key in ("holds", "overdue", "since", "restored")
        }
        return json.dumps(
            {
                "asked": _text_or_none(self.asked),
                "failure": self.failure,
                "updates": updates,
                "installed": dict(self.installed),
                "connections": self.connections,
                "looked": _text_or_none(self.looked),
                "requested": _text_or_none(self.requested),
                "gating": self.gating,
                "attempts": {name: [*each[:2], time_text(each.last)] for name, each in self.attempts.items()},
                **times,
            },
            sort_keys=True,
            indent=1,
        )


@dataclasses.dataclass(frozen=True)
class Wish:
    """What a unit publishes while it has updates that wait for their turn, or come in."""

    snaps: tuple[str, ...]
    since: Time
    """When it first held one of them."""
    until: Time
    """When it stops to hold them, whatever the cluster does."""
    requested: Time | None = None
    """When the operator asked for them, outside of the window."""
    refreshing: Time | None = None
    """Since when snapd has been at it."""

    @classmethod
    def parse(cls, text: str) -> "Wish":
        """From the databag. Raises ValueError, KeyError or TypeError for what is none."""
        found = json.loads(text)
        requested, refreshing = (_time_or_none(found.get(key)) for key in ("requested", "refreshing"))
        return cls(tuple(found["snaps"]), _time(found["since"]), _time(found["until"]), requested, refreshing)

    def text(self) -> str:
        """For the databag."""
        times = {key: getattr(self, key) for key in ("since", "until", "requested", "refreshing")}
        texts = {key: time_text(time) for key, time in times.items() if time is not None}
        return json.dumps({"snaps": list(self.snaps), **texts})


@dataclasses.dataclass(frozen=True)
class Turn:
    """Whose snaps may refresh, as the leader records it."""

    unit: int
    since: Time
    passed: tuple[int, ...] = ()
    """Units whose turn has passed without their updates coming in."""

    @classmethod
    def parse(cls, text: str) -> "Turn":
        """From the databag. Raises ValueError, KeyError or TypeError for what is none."""
        found = json.loads(text)
        return cls(int(found["unit"]), _time(found["since"]), tuple(map(int, found.get("passed", ()))))

    def text(self) -> str:
        """For the databag."""
        return json.dumps({"unit": self.unit, "since": time_text(self.since), "passed": list(self.passed)})


@dataclasses.dataclass(frozen=True)
class SnapRefresh:
    """All that one unit knows in one hook."""

    now: Time
    """In the machine's time zone, which is the window's."""
    system: affected.System
    revisions: collections.abc.Mapping[str, str]
    """Of the installed snaps, by name."""
    holds: collections.abc.Mapping[str, Time]
    """Holds in snapd, in force or not, by name; whoever has set them. To the second."""
    remembered: Remembered
    marked: frozenset[str] = frozenset()
    """Snaps whose hold bears the charm's mark (workload.snapd)."""
    wishes: collections.abc.Mapping[int, Wish] = dataclasses.field(default_factory=dict)
    """Of the other units, by number."""
    published: str | None = None
    """This unit's wish as it is in the databag."""
    recorded: Turn | None = None
    """As the leader has recorded it."""
    busy: tuple[str, ...] = ()
    """What snapd is refreshing now; looked at only where this unit may have begun it."""
    backup_running: bool | None = False
    """None: the primary could not be asked. Looked at only before this unit begins."""

    @property
    def turn(self) -> int | None:
        """The unit whose turn it is."""
        return None if self.recorded is None else self.recorded.unit

    @property
    def published_wish(self) -> Wish | None:
        """This unit's wish as it is in the databag; None too where it is not understood."""
        try:
            return Wish.parse(self.published or "")
        except (ValueError, KeyError, TypeError):
            return None

    @property
    def own_holds(self) -> dict[str, Time]:
        """Holds in snapd that the charm has set, on whatever snap but its workload's."""
        return {
            name: until
            for name, until in self.holds.items()
            if name != WORKLOAD and (name in self.marked or self.remembered.holds.get(name) == until)
        }

    @functools.cached_property
    def foundation(self) -> frozenset[str]:
        """The installed snaps whose refresh touches the workload: its base, providers of content, and snapd itself."""
        touching = {name for name in self.system.snaps if WORKLOAD in affected.affected([name], self.system)}
        return frozenset(touching | ({SNAPD} & self.system.snaps.keys())) - {WORKLOAD}

    @property
    def updates(self) -> dict[str, affected.Candidate]:
        """Updates of the foundation that wait."""
        return {name: self.available[name] for name in sorted(self.foundation & self.available.keys())}

    @property
    def available(self) -> dict[str, affected.Candidate]:
        """Updates of any installed snap, as far as they have not come in since the store was asked."""
        return {
            name: each
            for name, each in self.remembered.updates.items()
            if self.revisions.get(name) not in (None, each.revision)
        }
