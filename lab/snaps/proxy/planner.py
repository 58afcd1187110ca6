"""From a client's request to what snapd is asked for: pure decisions, no input or output.

snapd offline knows side-loads and the revisions that it already has. A request for a revision or a channel of the store
becomes one of these.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import index, refusal

STORE_ACTIONS = ("install", "refresh", "switch")
REVISION_ACTIONS = ("revert", "remove")


@dataclass(frozen=True)
class Request:
    """What a client asks for one snap. Options are all fields of the request's body."""

    action: str
    name: str
    options: Mapping[str, typing.Any]

    @property
    def revision(self) -> str | None:
        """The revision asked for, as text."""
        return str(self.options["revision"]) if self.options.get("revision") else None

    @property
    def channel(self) -> str | None:
        """The channel asked for, as written by the client."""
        return self.options.get("channel") or None


@dataclass(frozen=True)
class Installed:
    """The snap as it is on the machine now."""

    revision: str  # the store's where it is known, else snapd's own
    tracking: str | None
    classic: bool = False
    devmode: bool = False


@dataclass(frozen=True)
class PassOn:
    """snapd answers by itself; `options` replace the request's body where they are given."""

    options: Mapping[str, typing.Any] | None = None


@dataclass(frozen=True)
class Switch:
    """Only the channel that the snap follows changes."""

    channel: str


@dataclass(frozen=True)
class Activate:
    """A refresh to a revision that the machine has."""

    revision: str
    local_revision: str
    channel: str


@dataclass(frozen=True)
class SideLoad:
    """A revision comes from the store; snapd will give it this local revision."""

    revision: index.Revision
    local_revision: str
    channel: str


Plan = PassOn | Switch | Activate | SideLoad


def plan(
    request: Request,
    snap: index.Snap | None,
    installed: Installed | None,
    local_revisions: Mapping[str, str],
    architecture: str,
) -> Plan:
    """What to ask snapd for.

    Args:
        request: what the client asks for.
        snap: the snap as the store offers it, None where it does not.
        installed: the snap as it is on the machine, None where it is not.
        local_revisions: what the machine has: snapd's own revisions (x1, x2, ...) and the store's that each is.
        architecture: the machine's, as the store names it.

    Raises:
        refusal.Refusal: the store, or snapd with a store, would refuse it.
    """
    if request.action in REVISION_ACTIONS:
        return _translate_revision(request, local_revisions)
    if snap is None:
        if request.action == "install" and installed is None:
            raise refusal.Refusal(404, "snap-not-found", "snap not found", request.name)
        return PassOn()
    if request.action == "install" and installed is not None:
        message = f'snap "{request.name}" is already installed'
        raise refusal.Refusal(400, "snap-already-installed", message, request.name)
    if request.action != "install" and installed is None:
        return PassOn()  # snapd knows how to say that it is not installed
    if request.revision is not None and request.revision.startswith("x"):
        return PassOn()
    return _from_store(request, snap, installed, local_revisions, architecture)


def _translate_revision(request: Request, local_revisions: Mapping[str, str]) -> PassOn:
    local_revision = _find(request.revision, local_revisions)
    return PassOn({**request.options, "revision": local_revision} if local_revision else None)


def _from_store(
    request: Request,
    snap: index.Snap,
    installed: Installed | None,
    local_revisions: Mapping[str, str],
    architecture: str,
) -> Plan:
    tracking = installed.tracking if installed else None
    channel = index.full_channel(request.channel or tracking or snap.default_channel, tracking)
    if request.action == "switch":
        snap.require_head(channel, request.action, architecture)
        return Switch(channel)
    if request.revision is not None:
        revision = snap.require_revision(request.revision)
    else:
        revision = snap.require_head(channel, request.action, architecture)
    if installed is not None and installed.revision == revision.number:
        if not request.channel or channel == tracking:
            raise refusal.Refusal(400, "snap-no-update-available", "snap has no updates available", "")
        return Switch(channel)
    local_revision = _find(revision.number, local_revisions)
    if local_revision is not None:
        return Activate(revision.number, local_revision, channel)
    return SideLoad(revision, next_local_revision(local_revisions), channel)


def _find(revision: str | None, local_revisions: Mapping[str, str]) -> str | None:
    return next((local for local, number in local_revisions.items() if number == revision), None)


def next_local_revision(local_revisions: Iterable[str]) -> str:
    """The local revision that snapd gives to the next side-load."""
    numbers = [int(revision[1:]) for revision in local_revisions if revision.startswith("x")]
    return f"x{max(numbers, default=0) + 1}"


def side_load_fields(request: Request, installed: Installed | None) -> dict[str, str]:
    """The form that accompanies the file of a side-load."""
    fields = {"action": "install", "dangerous": "true"}
    for option in ("classic", "devmode", "jailmode", "unaliased", "ignore-running", "prefer"):
        if request.options.get(option):
            fields[option] = "true"
    if installed is not None and installed.classic:
        fields["classic"] = "true"
    if installed is not None and installed.devmode:
        fields["devmode"] = "true"
    return fields


def activation_options(request: Request, activate: Activate) -> dict[str, typing.Any]:
    """The body of a refresh to a local revision."""
    options = {key: value for key, value in request.options.items() if key not in ("snaps", "revision", "channel")}
    return {**options, "action": "refresh", "revision": activate.local_revision, "channel": activate.channel}
