"""Values of a refresh: builds of the charm, and what units tell of themselves. Pure."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Build:
    """One build of the charm, and the workload that it pins."""

    charm: str
    """The charm's version, such as 16/1.2.0."""
    workload: str
    """PostgreSQL's version."""
    snap_revision: str
    """For the architecture of the unit that tells."""
    url: str
    """As Juju names the charm: ch:amd64/postgresql-machine-3, or local:postgresql-machine-3."""

    @property
    def revision(self) -> str | None:
        """The revision on Charmhub; None for a charm from a file."""
        return charmhub_revision(self.url)


@dataclasses.dataclass(frozen=True)
class UnitState:
    """What one unit tells of itself."""

    snap_revision: str | None = None
    url: str | None = None
    """Of the charm that it runs."""
    next_unit_allowed: bool = False
    """Whether it has found itself healthy after its refresh."""
    started: bool = False
    """Whether it knows that the refresh to its charm has passed the checks, or was forced."""


def charmhub_revision(url: str | None) -> str | None:
    """The revision in a charm's URL; None where it is not from Charmhub."""
    return url.rpartition("-")[2] if url is not None and url.startswith("ch:") else None


def is_rollback(build: Build, original: Build | None) -> bool:
    """Whether a refresh to that build goes back to what all units ran before it."""
    return original is not None and original.charm == build.charm


FILE = "--path FILE"
"""What stands for a revision in the command that brings back a charm from a file: Juju keeps no revisions of these."""


def refresh_command(url: str, application: str = "") -> str:
    """The command that brings that charm back."""
    command = " ".join(("juju refresh", application)).strip()
    revision = charmhub_revision(url)
    return f"{command} {FILE}" if revision is None else f"{command} --revision {revision}"
