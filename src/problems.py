"""What is wrong, as far as the facts tell: each problem has one text that names the thing, the value and the remedy.

Pure.
"""

import facts
import handover
from workload import cluster, datadir, paths, raft

MAXIMUM_CLOCK_SKEW_SECONDS = 5.0
MINIMUM_FREE_BYTES = 256 * 1024 * 1024
# PostgreSQL cannot start without room on these. A start is what empties storage temp: leftover temporary files are
# removed by it; and a PostgreSQL that is stopped does not use storage archive.
STORAGES_TO_START = frozenset({"data", "logs"})
# Patroni's words for a PostgreSQL that it tries to start, or to stop, again and again.
FAILED_STATES = frozenset({"initdb failed", "start failed", "restart failed", "stop failed"})
# Its word for one that it recovers: it then runs, or its start has failed.
CRASHED = "crashed"
RUNNING, NOT_STREAMING, STOPPED = "running", "not streaming", "stopped"
# While it is paused Patroni starts no PostgreSQL (Patroni documentation, "Pause/Resume mode for the cluster").
PAUSED = "Patroni is paused; as root: `charmed-postgresql.patronictl resume`"
READ_LOG = "tail /var/snap/charmed-postgresql/common/var/log/postgresql/*.log"


def state(member: cluster.Member) -> str:
    """The state of a member in words: Patroni calls a standby that runs, but streams from nobody, running too."""
    return NOT_STREAMING if member.state == RUNNING and not member.is_running else member.state


def prevent_installation(known: facts.Facts) -> str | None:
    """Why this unit may not even install the workload."""
    machine = known.machine
    if not machine.architecture_supported:
        return "Unsupported architecture; deploy with --constraints arch=amd64 or arch=arm64"
    if machine.address_is_ipv6:
        return f"Address {machine.address} is not IPv4; bind the endpoint to a space that has it with `juju bind`"
    if machine.storages_missing:
        return f"Storage missing: {', '.join(machine.storages_missing)}; attach with `juju attach-storage`"
    if machine.storages_unmounted:
        return f"Storage not mounted: {', '.join(machine.storages_unmounted)}; mend it, then as root: `mount -a`"
    return snap_disabled(known) or data_directory(known)


def snap_disabled(known: facts.Facts) -> str | None:
    """Whether the snap is there and cannot be used: by the administrator's will, or after a change that failed."""
    snap = known.machine.snap
    disabled = snap is not None and snap.revision is not None and not snap.enabled
    return "Snap charmed-postgresql is disabled; as root: `snap enable charmed-postgresql`" if disabled else None


def data_directory(known: facts.Facts) -> str | None:
    """Why this unit's data directory cannot be used."""
    data = known.machine.data
    other = known.machine.other_major_version
    if other is None and data.content is datadir.Content.CLUSTER and data.major_version != paths.MAJOR_VERSION:
        other = data.major_version
    if other is not None:
        return f"Storage data holds PostgreSQL {other}, this charm runs {paths.MAJOR_VERSION}; attach another storage"
    if data.content is datadir.Content.OTHER and not known.machine.has_raft_state:
        return "Storage data holds files that are no database cluster; attach another storage"
    foreign = data.content is datadir.Content.CLUSTER and data.system_identifier != known.cluster_id
    if foreign and known.cluster_id is not None:
        return f"Storage data is of cluster {data.system_identifier}, not {known.cluster_id}; attach another storage"
    if foreign and known.bootstrap_unit is not None and known.bootstrap_unit != known.number:
        return f"Storage data is of cluster {data.system_identifier}; deploy one unit with it first, then add units"
    if data.content is datadir.Content.CLUSTER and not data.has_write_ahead_log:
        return "Storage logs lacks the write-ahead log of storage data; attach the one that was kept with it"
    return None


def prevent_start(known: facts.Facts) -> str | None:
    """Why Patroni cannot be started now."""
    if known.machine.ports_taken:
        port = known.machine.ports_taken[0]
        return f"Port {port} is taken by another program; find it with `ss -ltnp 'sport = :{port}'`"
    return _storage_full(known)


def prevent_move(known: facts.Facts) -> str | None:
    """Why this unit cannot follow its new address.

    Raft knows members by address: this one has to leave with the old and to join with the new, which the others decide
    by majority. Without one it would lose its place and find no other.
    """
    old = known.machine.configured_address
    if not known.has_moved or old is None or not known.machine.has_raft_state or not known.peers:
        return None
    view, own = known.raft, raft.node_address(old)
    if view is not None and view.may_leave(own):
        return None
    new = known.machine.address
    return f"Address changed from {old} to {new}; no majority without it: give it back, or see force-majority"


def prevent_service(known: facts.Facts) -> str | None:
    """Why PostgreSQL does not serve although Patroni runs, and will not by itself."""
    member = known.member
    if member is not None and member.is_running:
        return None
    if known.cluster is not None and known.cluster.paused and member is not None and member.state == STOPPED:
        return f"PostgreSQL is stopped; {PAUSED}"
    full = _storage_full(known)
    if full is None and member is not None and member.state in FAILED_STATES:
        return f"PostgreSQL: {member.state}; as root: `{READ_LOG}`"
    return full


def _storage_full(known: facts.Facts) -> str | None:
    full = ", ".join(name for name in known.machine.storages_full if name in STORAGES_TO_START)
    return f"Storage full: {full}; make room or attach a larger one" if full else None


def unhealthy(known: facts.Facts, *, drained: bool = False) -> str | None:
    """Why this unit and its cluster are not healthy; None if all is well. A refresh goes on only then.

    drained: whether this unit is about to stop and has told the primary, which may have no synchronous standby then.
    """
    view = known.cluster
    if not known.machine.patroni_running:
        return "Patroni is not running"
    if view is None:
        return "Patroni does not answer"
    # With a full storage it would, as the primary, stop at once.
    return (PAUSED if view.paused else None) or _storage_full(known) or _unhealthy_cluster(known, view, drained)


def _unhealthy_cluster(known: facts.Facts, view: cluster.ClusterView, drained: bool) -> str | None:
    if view.primary is None:
        return no_primary(known)
    member = known.member
    if member is None:
        return "This unit is no member of the cluster"
    for each in (member, *view.unhealthy):
        if not each.is_running:
            return f"{each.name} is {state(each)}"
    if len(view.members) < len(known.numbers):
        missing = sorted(
            {facts.member_name(known.application, n) for n in known.numbers} - {m.name for m in view.members}
        )
        return f"{', '.join(missing)} is not a member of the cluster"
    if drained:
        return None
    if len(view.members) > 1 and known.is_synchronous and not view.synchronous_standbys:
        return "No synchronous standby"
    return _lag(member)


def _lag(member: cluster.Member) -> str | None:
    if member.is_primary or member.is_synchronous:
        return None
    if member.lag is None:
        return f"{member.name}'s lag is not known yet"
    return f"{member.name} lags by {member.lag} bytes" if member.lag > handover.MAXIMUM_LAG_BYTES else None


def no_primary(known: facts.Facts) -> str:
    """Why there is no primary, as well as it can be told."""
    view = known.raft
    if view is not None and not view.has_quorum:
        reachable = len(view.connected) + 1
        count = len(view.members)
        return f"No majority: {reachable} of {count} members reachable; start the others, or see force-majority"
    if clock(known) is not None:
        skew = known.machine.clock_skew_seconds
        return f"The cluster has no primary; clocks differ by {skew:.0f} s; check `timedatectl` on each unit"
    return "The cluster has no primary; see the action get-cluster-status"


def clock(known: facts.Facts) -> str | None:
    """Whether this machine's clock differs from the others'."""
    skew = known.machine.clock_skew_seconds
    if skew <= MAXIMUM_CLOCK_SKEW_SECONDS:
        return None
    return f"Clock differs by {skew:.0f} s from other units; check `timedatectl`"
