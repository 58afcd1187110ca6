"""What one unit knows in one hook: plain values, gathered once, from which everything else is planned."""

import collections.abc
import dataclasses

import config as options
import confirmation
import forced_majority
import refresh_facts
import refresh_history
from snap_refresh import model as snap_model
from workload import cluster as clusters
from workload import configuration, datadir
from workload import raft as rafts
from workload import snap as snaps

NOT_INSTALLED = snaps.SnapState(None)
NO_DATA = datadir.DataDirectory(datadir.Content.EMPTY)


def member_name(application: str, number: int) -> str:
    """The name of a unit's member in the cluster; it stays for the unit's life."""
    return f"{application}-{number}"


def unit_name(application: str, number: int) -> str:
    """The unit's name in Juju."""
    return f"{application}/{number}"


@dataclasses.dataclass(frozen=True)
class Peer:
    """Another unit of the application, as its databag tells."""

    number: int
    address: str | None = None
    """Published once the unit is installed and may become a member."""
    cluster_id: str | None = None
    refreshed: bool = False
    """Whether its snap is at the revision that this unit's charm pins."""
    consent: forced_majority.Consent | None = None
    """What it has told when it gave up a majority that was lost."""
    short_of_room: frozenset[str] = frozenset()
    """What it lacks room for (room.py)."""


@dataclasses.dataclass(frozen=True)
class Machine:
    """What was found on this unit's machine."""

    architecture_supported: bool = True
    address: str | None = None
    storages_missing: tuple[str, ...] = ()
    storages_unmounted: tuple[str, ...] = ()
    """Storages that the machine should have mounted when it booted."""
    storages_full: tuple[str, ...] = ()
    """Storages with less free space than a database needs to go on safely."""
    short_of_room: frozenset[str] = frozenset()
    """What a refresh needs room for and there is none (room.py)."""
    snap: snaps.SnapState | None = NOT_INSTALLED
    """None: snapd does not answer."""
    snap_error: str | None = None
    data: datadir.DataDirectory = NO_DATA
    other_major_version: str | None = None
    patroni_running: bool = False
    has_raft_state: bool = False
    """Whether this machine has been a member before."""
    configured_address: str | None = None
    """This machine's address in Patroni's configuration; None where there is none."""
    ports_taken: tuple[int, ...] = ()
    clock_skew_seconds: float = 0.0
    """Between this machine's clock and the primary's, or without a primary another unit's."""
    memory_bytes: int = 0

    @property
    def address_is_ipv6(self) -> bool:
        """Whether it is an address for which the rules of pg_hba.conf are not made."""
        return ":" in (self.address or "")


@dataclasses.dataclass(frozen=True)
class RefreshFacts:
    """Where a refresh stands, as far as the charm's own rules need it."""

    in_progress: bool = False
    pinned_revision: str = ""
    next_unit_allowed: bool = True
    """Whether this unit has already allowed the next one."""
    build: refresh_facts.Build | None = None
    """This charm."""
    charm_time: float = 0.0
    """When its files came to this unit, in seconds since the epoch."""
    original: refresh_facts.Build | None = None
    """What all units ran after the last refresh that has ended."""
    order: confirmation.Order | None = None
    """The units that this one has recorded when a new charm came."""
    old: frozenset[int] = frozenset()
    """Numbers of the units whose snap is at another revision than the one that this charm pins, also of this one."""
    accepted: str | None = None
    """URL of the charm that the operator has accepted on this unit."""
    history: tuple[refresh_history.Entry, ...] = ()
    now: float = 0.0
    """Seconds since the epoch."""

    @property
    def is_rollback(self) -> bool:
        """Whether this charm is the one that the refresh under way began with."""
        return self.build is not None and refresh_facts.is_rollback(self.build, self.original)


@dataclasses.dataclass(frozen=True)
class Facts:
    """All that one unit knows in one hook."""

    application: str
    number: int
    leader: bool = False
    ready: bool = False
    """Whether all units have met in the peer relations; before that nothing may be installed or started."""
    leaving: bool = False
    refused: str | None = None
    """Why this charm's code must not change anything (refusal.py), with the commands that mend it."""
    peers: tuple[Peer, ...] = ()
    planned: frozenset[int] | None = None
    """Numbers of the units that Juju wants, without those that leave; None where it was not asked."""
    failed: frozenset[int] = frozenset()
    """Numbers of the units whose last hook failed."""
    published_address: str | None = None
    published_cluster_id: str | None = None
    published_short_of_room: str | None = None
    cluster_id: str | None = None
    """System identifier of the application's database cluster; None until there is one."""
    bootstrap_unit: int | None = None
    consent: forced_majority.Consent | None = None
    """What this unit has told when it gave up a majority that was lost."""
    formed_generation: int = 0
    """The last forced majority that the application knows to have been formed."""
    former_addresses: tuple[str, ...] = ()
    """Under which this unit was a member before."""
    passwords: configuration.Passwords | None = None
    passwords_recorded: bool = False
    """Whether the application has them, though this unit may not be able to read them yet."""
    config: options.Config | None = None
    config_error: str | None = None
    machine: Machine = Machine()
    refresh: RefreshFacts | None = None
    cluster: clusters.ClusterView | None = None
    """The cluster as this unit's Patroni tells it, or another unit's where this one is no member yet."""
    raft: rafts.RaftView | None = None
    backup_running: bool = False
    """Whether a backup is taken from the primary; asked for only where a refresh is about to hand the primary over."""
    database_seen: bool = False
    """Whether this unit's PostgreSQL was asked for what follows."""
    role_passwords_current: bool = True
    temporary_tablespace_exists: bool = True
    dynamic_configuration: collections.abc.Mapping[str, object] | None = None
    snap_refresh: snap_model.SnapRefresh | None = None
    """What is known of the snaps below the workload; None where snapd is silent or there is nothing to decide on."""

    @property
    def member_name(self) -> str:
        """This unit's member."""
        return member_name(self.application, self.number)

    @property
    def unit_name(self) -> str:
        """This unit."""
        return unit_name(self.application, self.number)

    @property
    def member(self) -> clusters.Member | None:
        """This unit's member, where the cluster knows it."""
        return self.cluster.member(self.member_name) if self.cluster else None

    @property
    def is_primary(self) -> bool:
        """Whether this unit's PostgreSQL is the primary."""
        return self.member is not None and self.member.is_primary and self.member.is_running

    @property
    def is_synchronous(self) -> bool:
        """Whether a transaction has to be on a standby before it is acknowledged, by the option or still by Patroni."""
        configured = (self.dynamic_configuration or {}).get("synchronous_mode") is True
        return configured or self.config is None or self.config.synchronous_standbys(len(self.numbers)) > 0

    @property
    def has_moved(self) -> bool:
        """Whether this machine has another address than Patroni is configured with."""
        return self.machine.configured_address not in (None, self.machine.address)

    @property
    def peer_addresses(self) -> frozenset[str]:
        """Addresses that the other units have published."""
        return frozenset(peer.address for peer in self.peers if peer.address)

    @property
    def admitted_addresses(self) -> frozenset[str]:
        """Addresses from which members connect: those of the other units, and of members that are leaving.

        Juju shows a unit as departed before it has handed its primary over: until it is no member any more, it has to
        stream from whoever took over.
        """
        members = self.cluster.members if self.cluster else ()
        return self.peer_addresses | {member.address for member in members if member.address} - {self.machine.address}

    @property
    def agreement(self) -> forced_majority.Agreement:
        """What the units have told of forcing a new majority."""
        consents = {self.number: self.consent, **{each.number: each.consent for each in self.peers}}
        return forced_majority.Agreement(consents, self.formed_generation)

    @property
    def numbers(self) -> frozenset[int]:
        """All units that this one sees, itself among them."""
        return frozenset({self.number, *(peer.number for peer in self.peers)})

    def number_of(self, member: clusters.Member) -> int | None:
        """The unit of a member; None for one that is no unit of this application."""
        prefix, _, number = member.name.rpartition("-")
        return int(number) if prefix == self.application and number.isdecimal() else None
