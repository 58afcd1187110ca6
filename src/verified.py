"""What a unit has found in order, so that a hook need not ask again what only a few things change.

To ask a Raft node costs a key derivation (pysyncobj's, slow by design), to ask PostgreSQL the import of its client. The
hooks that come by themselves, a refresh's among them, ask once an hour: what somebody has changed by hand is mended
then. All other events ask.
"""

import dataclasses
import json
import logging
import pathlib

import facts
import membership
from workload import files, raft

logger = logging.getLogger(__name__)

FILE = ".verified.json"
"""In the charm directory; what the charm's package does not have survives upgrades."""
LOOK_SECONDS = 3600.0
"""How long it counts."""


@dataclasses.dataclass(frozen=True)
class Verified:
    """What was in order, by what it depends on."""

    raft: frozenset[str] = frozenset()
    """The nodes that were exactly those of the units, with a majority of them; none: not so, or not known."""
    database: str | None = None
    """The cluster and its timeline in which roles and tablespaces were as they should be."""
    since: float = 0.0
    """When it was looked at, in seconds since the epoch."""

    @classmethod
    def parse(cls, text: str) -> "Verified":
        """From the file. Unknown keys are ignored. Raises ValueError, KeyError, TypeError, AttributeError."""
        content = json.loads(text)
        database = content["database"]
        return cls(frozenset(map(str, content["raft"])), None if database is None else str(database), content["since"])

    def text(self) -> str:
        """For the file."""
        return json.dumps({"raft": sorted(self.raft), "database": self.database, "since": self.since})

    def counts(self, now: float) -> bool:
        """Whether it is recent enough; not where the clock was put back."""
        return 0 <= now - self.since < LOOK_SECONDS

    def has_members(self, known: facts.Facts) -> bool:
        """Whether Raft's members need not be asked for: they were the units, and the cluster shows just these, well."""
        if known.cluster is None or known.cluster.unhealthy:
            return False
        shown = {raft.node_address(member.address) for member in known.cluster.members}
        return shown == self.raft == membership.claimed(known)

    def has_database(self, known: facts.Facts) -> bool:
        """Whether this unit's PostgreSQL need not be asked."""
        return self.database is not None and self.database == database(known)

    def updated(self, known: facts.Facts, now: float) -> "Verified":
        """With what was asked in this hook."""
        claimed = membership.claimed(known)
        changed = self
        if known.raft is not None:
            # Without a majority the cluster may go on to look well: nobody can tell it otherwise.
            exact = known.raft.has_quorum and known.raft.members == claimed
            changed = dataclasses.replace(changed, raft=claimed if exact else frozenset())
        if known.database_seen:
            well = known.role_passwords_current and known.temporary_tablespace_exists
            changed = dataclasses.replace(changed, database=database(known) if well else None)
        asked = known.raft is not None or known.database_seen
        # The time alone is worth a write only now and then.
        if changed == self and (not asked or 0 <= now - self.since < LOOK_SECONDS / 2):
            return self
        return dataclasses.replace(changed, since=now)


def database(known: facts.Facts) -> str | None:
    """The cluster and its timeline, as this unit's own PostgreSQL has them; None where that is not known."""
    member = known.member
    if known.cluster_id is None or member is None or member.timeline is None:
        return None
    return f"{known.cluster_id}:{member.timeline}"


def load(directory: pathlib.Path) -> Verified:
    """What this unit remembers; nothing where there is no file, or one that cannot be read."""
    try:
        return Verified.parse((directory / FILE).read_text())
    except FileNotFoundError:
        return Verified()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("%s cannot be read and is begun anew: %s", FILE, error)
        return Verified()


def save(directory: pathlib.Path, content: Verified) -> None:
    """Remember it."""
    files.ensure_file(directory / FILE, content.text() + "\n", files.ROOT, 0o600)
