"""Finds the charm that a client asks for, and makes it known to a model."""

from __future__ import annotations

import dataclasses
import pathlib
import platform

from lab.controller import assumes, charm_archives, charmhub, core, operations_common
from lab.controller.entities import charms, models
from lab.controller.operations_common import OperationError

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclasses.dataclass(frozen=True)
class Selected:
    """A charm of the model, the channel that it came from (empty for local ones), and its resources there."""

    charm: charms.Charm
    channel: str = ""
    resources: dict[str, int] = dataclasses.field(default_factory=dict)


def is_path(name: str) -> bool:
    """Whether a client's name for a charm is a path."""
    return name.startswith(("/", "./", "../", "~")) or name.endswith(".charm")


def local(controller: core.Controller, model: models.Model, path: str, name: str | None = None) -> Selected:
    """Takes in a charm from a path, as the next local revision of its name.

    Args:
        controller: The controller.
        model: The model that is to have it.
        path: A `.charm` file or a directory.
        name: The name that it must have, if it does matter.

    Raises:
        OperationError: it is not a charm, or not of that name, or assumes what is not there.
    """
    archive = _take(controller, model, pathlib.Path(path))
    if name is not None and archive.name != name:
        raise operations_common.bad_request(f'cannot refresh "{name}" to "{archive.name}"')
    _check_assumes(archive)
    revision = models.next_number(controller.store, model.uuid, f"charm-{archive.name}")
    return Selected(_known(controller, model, archive, f"local:{archive.name}-{revision}", revision))


def is_uploaded(name: str) -> bool:
    """Whether a client's name for a charm is the URL of one that it has uploaded."""
    return name.startswith("local:")


def uploaded(controller: core.Controller, model: models.Model, url: str) -> Selected:
    """A charm that was uploaded before.

    Raises:
        OperationError: there is none of that URL.
    """
    found = controller.store.get(charms.Charm, model.uuid, url)
    if found is None:
        raise operations_common.not_found("charm", url)
    return Selected(found)


def from_charmhub(
    controller: core.Controller, model: models.Model, name: str, channel: str | None, revision: int | None
) -> Selected:
    """Takes in a charm from the local Charmhub.

    Raises:
        OperationError: there is none, it is not a charm, or it assumes what is not there.
    """
    try:
        found = charmhub.find(controller.state / "charmhub", name, channel, revision)
    except charmhub.CharmhubError as error:
        raise OperationError("not found", str(error)) from error
    archive = _take(controller, model, found.file)
    _check_assumes(archive)
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    charm = _known(controller, model, archive, f"ch:{architecture}/{name}-{found.revision}", found.revision)
    return Selected(charm, found.channel, found.resources)


def _take(controller: core.Controller, model: models.Model, path: pathlib.Path) -> charm_archives.CharmArchive:
    try:
        return charm_archives.take(path, controller.state / "charms" / model.uuid)
    except (charm_archives.CharmError, OSError) as error:
        raise operations_common.bad_request(str(error)) from error


def _check_assumes(archive: charm_archives.CharmArchive) -> None:
    if problems := assumes.problems(archive.metadata.get("assumes")):
        listed = "".join(f"\n  - {problem}" for problem in problems)
        raise OperationError("bad request", f"Charm cannot be deployed because:{listed}")


def _known(
    controller: core.Controller, model: models.Model, archive: charm_archives.CharmArchive, url: str, revision: int
) -> charms.Charm:
    charm = charms.Charm(
        model=model.uuid,
        url=url,
        name=archive.name,
        revision=revision,
        archive=str(archive.path),
        sha256=archive.sha256,
        metadata=archive.metadata,
        options=archive.options,
        actions=archive.actions,
        manifest=archive.manifest,
        version=archive.version,
    )
    controller.store.put(charm)
    return charm
