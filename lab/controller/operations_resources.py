"""Operations on resources."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import shutil
import typing

from lab.controller import charm_selection, operations_common
from lab.controller.entities import applications


class ResourceOperations(operations_common.Base):
    """Resources of applications: files that a client uploads, or that come with the charm from the local Charmhub."""

    def attach_resource(self, model: str, application: str, resource: str = "", path: str = "", name: str = "") -> None:
        """Uploads a file as a resource's next revision; the units run upgrade-charm.

        Raises:
            OperationError: the charm has no such resource, or the file cannot be read.
        """
        with self.store.transaction():
            entity = self._application(self._living_model(model), application)
            self._upload(entity, resource or name, path)
            version = entity.charm_modified_version + 1
            self.store.put(dataclasses.replace(entity, charm_modified_version=version))

    def _set_up_resources(
        self,
        application: applications.Application,
        selected: charm_selection.Selected,
        given: dict[str, typing.Any],
    ) -> bool:
        """Brings resources to what the charm and the client say; whether any of them has changed."""
        for name in given:
            if name not in selected.charm.resources:
                raise operations_common.bad_request(f'unrecognized resource "{name}"')
        changed = False
        for name in selected.charm.resources:
            present = self.store.get(applications.Resource, application.model, application.name, name)
            if name in given and not isinstance(given[name], int):
                self._upload(application, name, str(given[name]))
                changed = True
            elif (revision := given.get(name, selected.resources.get(name))) is not None:
                if present is None or present.origin != "upload" or name in given:
                    changed |= self._take_from_charmhub(application, selected.charm.name, name, int(revision), present)
            elif present is None:
                empty = applications.Resource(application.model, application.name, name, "upload", -1)
                self.store.put(empty)
        return changed

    def _take_from_charmhub(
        self,
        application: applications.Application,
        charm: str,
        name: str,
        revision: int,
        present: applications.Resource | None,
    ) -> bool:
        if present is not None and (present.origin, present.revision) == ("store", revision):
            return False
        file = self.controller.state / "charmhub" / charm / "resources" / f"{name}_r{revision}"
        self._store_resource(application, name, file, "store", revision)
        return True

    def _upload(self, application: applications.Application, name: str, path: str) -> None:
        charm = applications.charm_of(self.store, application)
        if name not in charm.resources:
            raise operations_common.OperationError("not found", f'resource "{application.name}/{name}" not found')
        present = self.store.get(applications.Resource, application.model, application.name, name)
        revision = max(present.revision, 0) + 1 if present else 1
        self._store_resource(application, name, pathlib.Path(path), "upload", revision)

    def _store_resource(
        self, application: applications.Application, name: str, file: pathlib.Path, origin: str, revision: int
    ) -> None:
        directory = self.controller.state / "resources" / application.model / application.name / name
        directory.mkdir(parents=True, exist_ok=True)
        target = directory / f"{origin}-{revision}"
        try:
            shutil.copyfile(file, target)
        except OSError as error:
            raise operations_common.bad_request(f'resource "{name}": {error}') from error
        described = applications.charm_of(self.store, application).resources.get(name, {})
        content = target.read_bytes()
        self.store.put(
            applications.Resource(
                model=application.model,
                application=application.name,
                name=name,
                origin=origin,
                revision=revision,
                path=str(target),
                filename=described.get("filename", name),
                fingerprint=hashlib.sha384(content).hexdigest(),
                size=len(content),
                uploaded=self.controller.now(),
                username="admin" if origin == "upload" else "",
            )
        )
