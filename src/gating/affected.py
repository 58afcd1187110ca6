"""Which gating snaps an update touches, and how. Pure."""

import collections.abc
import datetime
import typing

# What these interfaces share is mounted (snapd's mount backend), so that a refresh of one side disturbs the other.
MOUNT_INTERFACES = frozenset(
    {"appstream-metadata", "content", "desktop", "network-control", "shared-memory", "system-packages-doc", "x11"}
)


class Snap(typing.NamedTuple):
    """An installed snap, with snapd's words for its type. An empty base is core, "none" is none."""

    name: str
    type: str = "app"
    base: str = ""
    gates: bool = False  # it has a say: it carries a gate-auto-refresh hook, or somebody gates in its name
    refreshed: datetime.datetime | None = None  # as snapd reports it
    file_time: datetime.datetime = datetime.datetime.min.replace(tzinfo=datetime.UTC)  # when its file was modified
    channel: str = ""  # the one that it tracks
    inhibited: bool = False  # snapd puts its refresh off because it runs

    @property
    def last_refresh(self) -> datetime.datetime:
        """What snapd reports; where it has none, the time of the file. One that is not known is long ago."""
        return self.refreshed or self.file_time


class Candidate(typing.NamedTuple):
    """An update that the store has for an installed snap."""

    name: str
    revision: str
    version: str = ""
    channel: str = ""


Candidates = collections.abc.Mapping[str, Candidate]


class System(typing.NamedTuple):
    """A machine's snaps."""

    snaps: collections.abc.Mapping[str, Snap]
    connections: tuple[tuple[str, str, str], ...] = ()  # interface, snap with the plug, snap with the slot
    boot_base: str | None = None  # what Ubuntu Core boots from; None on a classic system


class Touched(typing.NamedTuple):
    """How pending updates touch a gating snap, and the names of the snaps whose updates do."""

    restart: bool = False
    base: bool = False
    by: frozenset[str] = frozenset()


class Pending(typing.NamedTuple):
    """What `snapctl refresh --pending` answers. Version and revision: only for an update of the snap itself."""

    pending: typing.Literal["none", "ready", "inhibited"]
    channel: str
    version: str | None
    revision: str | None
    base: bool
    restart: bool


def affected(candidates: collections.abc.Iterable[str], system: System) -> dict[str, Touched]:
    """The gating snaps that updates touch, in order of name. Raises LookupError for a candidate that is not."""
    found: dict[str, Touched] = {}
    for name in sorted(candidates):
        if name not in system.snaps:
            raise LookupError(f'snap "{name}" is not installed')
        for touched, restart, base in _touched_by(system.snaps[name], system):
            if system.snaps[touched].gates:
                before = found.get(touched, Touched())
                found[touched] = Touched(before.restart or restart, before.base or base, before.by | {name})
    return dict(sorted(found.items()))


def _touched_by(update: Snap, system: System) -> collections.abc.Iterator[tuple[str, bool, bool]]:
    """Name, restart and base of each snap that the update touches."""
    yield update.name, False, False
    if system.boot_base is not None and (update.name == system.boot_base or update.type in ("kernel", "gadget")):
        yield from ((name, True, False) for name in system.snaps)
    if update.type in ("base", "os") and update.name != "none":
        yield from ((snap.name, False, True) for snap in system.snaps.values() if (snap.base or "core") == update.name)
    for interface, plug, slot in system.connections:
        mounts = interface in MOUNT_INTERFACES
        # Other slots of core and snapd are the system's, which its update generally does not disturb.
        if slot == update.name and (mounts or update.type not in ("os", "snapd")):
            yield plug, True, False
        if plug == update.name and mounts:
            yield slot, True, False


def pending(name: str, candidates: Candidates, system: System) -> Pending:
    """What an installed snap is told of the updates. Raises LookupError as `affected` does."""
    snap, update = system.snaps[name], candidates.get(name)
    _, revision, version, channel = update or (name, None, None, snap.channel)
    touched = affected(candidates, system).get(name, Touched())
    state = "inhibited" if snap.inhibited else "ready" if update else "none"
    return Pending(state, channel, version, revision, touched.base, touched.restart)
