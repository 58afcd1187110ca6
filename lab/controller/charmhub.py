"""The local stand-in of Charmhub: one directory a charm, with an index of its channels and revisions.

`charmhub/NAME/index.json`: `{"channels": {"16/stable": 5}, "revisions": {"5": {"file": "name_r5.charm"}}}`. A revision
may also have `resources`, revision numbers by name, whose files are `resources/RESOURCE_rREVISION`. `default-channel`
names the channel for those who ask for none; it is `latest/stable` otherwise.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
import typing

RISKS = ("stable", "candidate", "beta", "edge")


class CharmhubError(LookupError):
    """There is no such charm, channel or revision."""


@dataclasses.dataclass(frozen=True)
class Found:
    """One revision of a charm, as a channel or a number led to it."""

    name: str
    revision: int
    channel: str
    file: pathlib.Path
    resources: dict[str, int]


def _index(root: pathlib.Path, name: str) -> dict[str, typing.Any]:
    try:
        return json.loads((root / name / "index.json").read_text())
    except FileNotFoundError:
        raise CharmhubError(f'selecting releases: charm or bundle not found for channel "", name "{name}"') from None


def normalize(channel: str, default: str) -> str:
    """A channel as track/risk: `14` is `14/stable`, `edge` is the default track's edge."""
    if not channel:
        return default
    if channel in RISKS:
        return f"{default.partition('/')[0]}/{channel}"
    return channel if "/" in channel else f"{channel}/stable"


def channels(root: pathlib.Path, name: str) -> list[str]:
    """The channels that a charm is released to.

    Raises:
        CharmhubError: there is no such charm.
    """
    return sorted(_index(root, name)["channels"])


def find(root: pathlib.Path, name: str, channel: str | None = None, revision: int | None = None) -> Found:
    """What a name leads to, in a channel or at a revision. An empty channel of less risk falls back to a stabler one.

    Raises:
        CharmhubError: nothing.
    """
    index = _index(root, name)
    wanted = normalize(channel or "", index.get("default-channel", "latest/stable"))
    if revision is None:
        revision = _released(index["channels"], wanted)
    if revision is None:
        raise CharmhubError(f'selecting releases: charm or bundle not found for channel "{wanted}", name "{name}"')
    described = index["revisions"].get(str(revision))
    if described is None:
        raise CharmhubError(f'charm "{name}" has no revision {revision}')
    return Found(name, revision, wanted, root / name / described["file"], described.get("resources", {}))


def _released(channels: dict[str, int], channel: str) -> int | None:
    track, _, risk = channel.partition("/")
    if risk not in RISKS:
        return channels.get(channel)
    for candidate in RISKS[RISKS.index(risk) :: -1]:
        if f"{track}/{candidate}" in channels:
            return channels[f"{track}/{candidate}"]
    return None


def publish(root: pathlib.Path, name: str, archive: pathlib.Path, channels: list[str]) -> int:
    """Adds an archive as the charm's next revision and releases it to channels; returns the revision."""
    directory = root / name
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "index.json"
    empty: dict[str, typing.Any] = {"channels": {}, "revisions": {}}
    index: dict[str, typing.Any] = json.loads(file.read_text()) if file.is_file() else empty
    revision = max((int(number) for number in index["revisions"]), default=0) + 1
    target = directory / f"{name}_r{revision}.charm"
    shutil.copyfile(archive, target)
    index["revisions"][str(revision)] = {"file": target.name}
    default: str = index.setdefault("default-channel", normalize(channels[0] if channels else "", "latest/stable"))
    for channel in channels:
        index["channels"][normalize(channel, default)] = revision
    temporary = file.with_suffix(".new")
    temporary.write_text(json.dumps(index, indent=2))
    temporary.replace(file)
    return revision
