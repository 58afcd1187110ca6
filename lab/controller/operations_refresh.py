"""The refresh of an application to another charm, revision or resource."""

from __future__ import annotations

import dataclasses
import typing

from lab.controller import (
    charm_selection,
    operations_applications,
    operations_common,
    settings,
    storage_directives,
    storage_lifecycle,
)
from lab.controller.entities import applications, charms, models, relations, storage
from lab.controller.operations_common import Json, OperationError


class RefreshOperations(operations_applications.ApplicationOperations):
    """Refreshes."""

    def refresh(
        self,
        model: str,
        application: str,
        path: str | None = None,
        switch: str | None = None,
        channel: str | None = None,
        revision: int | None = None,
        force: bool = False,
        force_units: bool = False,
        force_base: bool = False,
        config: Json | None = None,
        config_yaml: str = "",
        storage: storage_directives.Directives | None = None,
        resources: dict[str, typing.Any] | None = None,
        trust: bool | None = None,
    ) -> Json:
        """Lets an application use another charm; its units upgrade as soon as they can.

        Args:
            model: Name or UUID.
            application: The application.
            path: A charm of the same name.
            switch: A charm of any name: a path, the URL of an uploaded charm, or a name of the local Charmhub.
            channel: Where the local Charmhub is to look from now on.
            revision: What the local Charmhub is to look for.
            force: Accepted.
            force_units: Whether units in hook error take the new files too, and then retry their hook.
            force_base: Accepted.
            config: Values by option of the new charm.
            config_yaml: A YAML text with settings below the application's name.
            storage: As of `deploy`, for storage that the new charm declares; units to come get it.
            resources: As of `deploy`.
            trust: Whether the charm may read the cloud's credential; None leaves it.

        Returns:
            The charm as `deploy` describes it, with `up-to-date` if the application has it already.

        Raises:
            OperationError: something of it cannot be; nothing has changed then.
        """
        with self.store.transaction():
            found = self._living_model(model)
            entity = self._application(found, application)
            old = applications.charm_of(self.store, entity)
            selected = self._select_new(found, entity, old, path, switch, channel, revision)
            entity = dataclasses.replace(
                entity,
                channel=selected.channel,
                trust=entity.trust if trust is None else trust,
                force_charm=force_units,
            )
            described = operations_applications.describe(selected, application) | {
                "channel-changed": selected.channel != self._application(found, application).channel
            }
            same = selected.charm.url == old.url
            if not same:
                self._check_compatible(entity, selected.charm)
                entity = self._change_charm(entity, selected.charm, storage or {})
            self.store.put(entity)
            self._configure(entity, old, selected.charm, config_yaml, config or {})
            changed = self._set_up_resources(entity, selected, resources or {})
            if changed or not same:
                version = entity.charm_modified_version + 1
                self.store.put(dataclasses.replace(entity, charm_modified_version=version))
            if not same:
                self._create_peers(found, application, selected.charm)
                self._add_storage_to_units(entity, old)
        return described | {"up-to-date": same, "resources": changed}

    def _select_new(
        self,
        model: models.Model,
        application: applications.Application,
        old: charms.Charm,
        path: str | None,
        switch: str | None,
        channel: str | None,
        revision: int | None,
    ) -> charm_selection.Selected:
        if path:
            return charm_selection.local(self.controller, model, path, name=old.name)
        if switch and charm_selection.is_uploaded(switch):
            return charm_selection.uploaded(self.controller, model, switch)
        if switch and charm_selection.is_path(switch):
            return charm_selection.local(self.controller, model, switch)
        if switch:
            return charm_selection.from_charmhub(self.controller, model, switch, channel, revision)
        if old.local:
            raise operations_common.bad_request("upgrading a local charm requires either --path or --switch")
        wanted = channel or application.channel
        return charm_selection.from_charmhub(self.controller, model, old.name, wanted, revision)

    def _check_compatible(self, application: applications.Application, charm: charms.Charm) -> None:
        for relation in relations.of_application(self.store, application.model, application.name):
            own = relation.endpoint(application.name)
            new = charm.endpoints.get(own.name)
            if new is None or (new.role, new.interface) != (own.role, own.interface):
                raise OperationError(
                    "bad request",
                    f'cannot upgrade application "{application.name}" to charm "{charm.url}": '
                    f'would break relation "{relation.key}"',
                )
        for instance in self.store.find(storage.StorageInstance, model=application.model):
            mine = instance.owner is not None and instance.owner.partition("/")[0] == application.name
            if mine and instance.name not in charm.storage:
                raise OperationError(
                    "bad request",
                    f'cannot upgrade application "{application.name}" to charm "{charm.url}": '
                    f'in-use storage "{instance.name}" removed',
                )

    def _change_charm(
        self,
        application: applications.Application,
        charm: charms.Charm,
        directives: storage_directives.Directives,
    ) -> applications.Application:
        wanted = storage_directives.constraints(charm, directives)
        kept = {name: wanted[name] for name in wanted if name in directives or name not in application.storage}
        old = {name: constraint for name, constraint in application.storage.items() if name in charm.storage}
        return dataclasses.replace(application, charm_url=charm.url, storage=old | kept)

    def _configure(
        self,
        application: applications.Application,
        old: charms.Charm,
        new: charms.Charm,
        config_yaml: str,
        config: Json,
    ) -> None:
        values = self._settings(new, application.name, config_yaml, config)
        known, reset = self._validated(new, values)
        before = applications.settings(self.store, application.model, application.name, old.url)
        carried = settings.for_new_charm(before, new.options)
        self.store.put(applications.Settings(application.model, application.name, new.url, carried))
        self._change_settings(application, known, reset)

    def _add_storage_to_units(self, application: applications.Application, old: charms.Charm) -> None:
        for unit in applications.units_of(self.store, application.model, application.name):
            for name, constraint in application.storage.items():
                if name not in old.storage:
                    for _ in range(constraint.count):
                        storage_lifecycle.create(self.controller, unit, name, constraint)
