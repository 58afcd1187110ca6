"""What snapd has told of the installed snaps, kept until it has done something since.

For that answer snapd asks systemd of each service of each snap: 70 ms of processor time in snapd and systemd, and so a
fifth of what a hook costs. But when snapd begins or ends to change snaps it records a notice (snapd documentation,
"snapd REST API", GET /v2/notices), and to ask for those after a certain one takes a millisecond.
"""

import collections.abc
import contextlib
import dataclasses
import json
import pathlib
import time
import typing

from workload import files, snapd_requests

FILE = ".snapd.json"
"""In the charm directory."""
LOOK_SECONDS = 3600.0
"""How long it counts at most, whatever has become of snapd's state."""
TYPES = "change-update,refresh-inhibit"
"""The types of notices that tell of a change of snaps, and of one that a running program has kept from coming about."""

Snaps = list[dict[str, typing.Any]]


@dataclasses.dataclass(frozen=True)
class Kept:
    """What snapd told, and when."""

    notice: str
    """When the last notice before it occurred, in snapd's own words."""
    since: float
    """When it was asked, in seconds since the epoch."""
    snaps: Snaps

    @classmethod
    def load(cls, file: pathlib.Path) -> "Kept | None":
        """From the file; None where there is none that can be read. Unknown keys are ignored."""
        try:
            content = json.loads(file.read_text())
            return cls(str(content["notice"]), float(content["since"]), list(content["snaps"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, file: pathlib.Path) -> None:
        """To the file. Raises OSError."""
        files.ensure_file(file, json.dumps(dataclasses.asdict(self)) + "\n", files.ROOT, 0o600)

    def counts(self, now: float) -> bool:
        """Whether it is recent enough; not where the clock was put back, since notices go by it."""
        asked = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.since))
        return 0 <= now - self.since < LOOK_SECONDS and self.notice[: len(asked)] <= asked


def installed(file: pathlib.Path, ask: collections.abc.Callable[[], Snaps], address: str) -> Snaps:
    """What `ask` answers, asked only where snapd has done something since it was last, or an hour ago.

    Without the snaps' services, which start and stop without snapd. address: path of snapd's socket. Raises
    SnapdUnreachableError, and what `ask` does.
    """
    kept = Kept.load(file)
    # Before the snaps: what happens between the two questions is asked for next time.
    latest = _latest_notice(kept.notice if kept else None, address)
    if kept is not None and kept.notice == latest and kept.counts(time.time()):
        return kept.snaps
    snaps = [{key: value for key, value in each.items() if key != "apps"} for each in ask()]
    if latest is not None:
        with contextlib.suppress(OSError):
            Kept(latest, time.time(), snaps).save(file)
    return snaps


def _latest_notice(after: str | None, address: str) -> str | None:
    """When the latest notice of a change occurred: `after` if there is none since; None where snapd has no notices."""
    query = {"types": TYPES} | ({"after": after} if after else {})
    try:
        answer = snapd_requests.request("GET", "/v2/notices", query=query, address=address)
    except snapd_requests.SnapdUnreachableError:
        raise
    except snapd_requests.SnapOperationError:  # before snapd 2.62
        return None
    # Ordered by that time.
    return str(answer["result"][-1]["last-repeated"]) if answer["result"] else after or ""
