"""The last attempt to refresh this unit's snap that failed, for which PostgreSQL may have been stopped.

Juju repeats a hook that fails at longer and longer intervals. The observer's events come between these, also while a
hook is in error, and each of them could stop PostgreSQL for another vain attempt. So they wait as long as Juju would.
"""

import dataclasses
import json
import logging
import pathlib

from workload import files

logger = logging.getLogger(__name__)

FILE = ".failed-attempt.json"
"""In the charm directory; what the charm's package does not have survives upgrades."""
FIRST_SECONDS = 5.0
LONGEST_SECONDS = 300.0
"""As Juju's pauses between the attempts of a hook."""


@dataclasses.dataclass(frozen=True)
class FailedAttempt:
    """Attempts to get one revision, the last of which has failed."""

    revision: str
    """The revision of the snap that was wanted."""
    count: int
    """How many there were in a row, at least 1."""
    time: float
    """When the last one failed, in seconds since the epoch."""
    reason: str

    @classmethod
    def parse(cls, text: str) -> "FailedAttempt":
        """From the file. Unknown keys are ignored. Raises ValueError, KeyError, TypeError."""
        content = json.loads(text)
        return cls(str(content["revision"]), int(content["count"]), float(content["time"]), str(content["reason"]))

    def text(self) -> str:
        """For the file."""
        return json.dumps(dataclasses.asdict(self))

    def is_recent(self, now: float) -> bool:
        """Whether it is too early to try again; not where the clock was put back."""
        pause = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(self.count - 1, 10))
        return 0 <= now - self.time < pause


def load(directory: pathlib.Path, revision: str) -> FailedAttempt | None:
    """What is remembered of that revision; None where there is no file, or one that cannot be read."""
    try:
        found = FailedAttempt.parse((directory / FILE).read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s cannot be read and is begun anew: %s", FILE, error)
        return None
    return found if found.revision == revision else None


def remember(directory: pathlib.Path, revision: str, now: float, reason: str) -> None:
    """One more attempt to get that revision has failed."""
    before = load(directory, revision)
    failed = FailedAttempt(revision, before.count + 1 if before else 1, now, reason)
    try:
        files.ensure_file(directory / FILE, failed.text() + "\n", files.ROOT, 0o600)
    except OSError as error:
        # A full disk may be what has failed; then the next attempt comes sooner.
        logger.warning("%s cannot be written: %s", FILE, error)


def forget(directory: pathlib.Path) -> None:
    """The snap was refreshed."""
    (directory / FILE).unlink(missing_ok=True)
