"""What a unit may do in a hook: named steps, each of which can be repeated without harm."""

import dataclasses
import enum

import membership


class Step(enum.Enum):
    """A step without arguments."""

    GENERATE_CREDENTIALS = "generate the system users' passwords"
    CLAIM_BOOTSTRAP = "claim the founding of the cluster"
    INSTALL_SNAP = "install the snap"
    HOLD_SNAP = "hold the snap"
    PREPARE_DIRECTORIES = "prepare the directories on the storages"
    PREPARE_SERVICE = "have systemd stop PostgreSQL cleanly"
    PUBLISH_ADDRESS = "publish this unit's address"
    CONFIGURE = "write Patroni's configuration"
    MOVE = "follow the new address"
    GIVE_UP_MAJORITY = "give up the majority that is lost"
    START = "start Patroni"
    PUBLISH_CLUSTER = "publish the cluster that this unit has founded"
    RECORD_CLUSTER = "record the application's cluster"
    SET_ROLES = "set the system users' passwords"
    CREATE_TEMPORARY_TABLESPACE = "create the temporary tablespace"
    CHANGE_DYNAMIC_CONFIGURATION = "change the configuration that all members share"
    WAKE_PATRONI = "have Patroni look at its standbys"
    ALLOW_NEXT_UNIT = "allow the next unit to refresh"
    GATE_SNAPS = "hold the snaps below the workload"
    REFRESH_SNAPS = "refresh the snaps below the workload"
    LEAVE = "leave the cluster"


@dataclasses.dataclass(frozen=True)
class ChangeMembership:
    """Change who belongs to the Raft cluster."""

    change: membership.Change


@dataclasses.dataclass(frozen=True)
class HandOver:
    """Let another member become the primary."""

    candidate: str


@dataclasses.dataclass(frozen=True)
class AskForSynchronous:
    """Ask Patroni for more synchronous standbys: a refreshed member that is none could not take over."""

    count: int


@dataclasses.dataclass(frozen=True)
class Publish:
    """Tell the other units, in this unit's databag. An empty value takes back what was told."""

    key: str
    value: str


@dataclasses.dataclass(frozen=True)
class Record:
    """Record in the application's databag. Only for the leader."""

    key: str
    value: str


AnyStep = Step | ChangeMembership | HandOver | AskForSynchronous | Publish | Record
