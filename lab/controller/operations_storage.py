"""Operations on storage. What shows it is among the views."""

from __future__ import annotations

import dataclasses

from lab.controller import operations_common, storage_directives, storage_lifecycle
from lab.controller.entities import applications, models
from lab.controller.entities import storage as storage_entities
from lab.controller.operations_common import OperationError


class StorageOperations(operations_common.Base):
    """Storage instances."""

    def add_storage(
        self,
        model: str,
        unit: str,
        storage: str,
        pool: str | None = None,
        size: int | str | None = None,
        count: int | None = None,
    ) -> list[str]:
        """Adds instances of a charm's storage to a unit; returns their identifiers.

        Raises:
            OperationError: the charm has no such storage, or not so many.
        """
        with self.store.transaction():
            found = self._living_model(model)
            entity = self._unit(found, unit)
            charm = applications.charm_of(self.store, self._application(found, entity.application))
            if storage not in charm.storage:
                raise OperationError("not found", f'charm storage "{storage}" not found')
            more = count or 1
            total = self._count(found, unit, storage) + more
            storage_directives.check_count(charm, storage, total)
            wanted = storage_directives.constraints(charm, {storage: {"pool": pool, "size": size, "count": total}})
            constraint = wanted[storage]
            return [storage_lifecycle.create(self.controller, entity, storage, constraint).id for _ in range(more)]

    def _count(self, model: models.Model, unit: str, name: str) -> int:
        attached = storage_entities.of_unit(self.store, model.uuid, unit)
        return sum(1 for attachment in attached if attachment.storage.partition("/")[0] == name)

    def attach_storage(self, model: str, unit: str, storage: str) -> None:
        """Attaches a detached instance to a unit.

        Raises:
            OperationError: it is attached, or the unit's charm has no such storage, or no room for it.
        """
        with self.store.transaction():
            found = self._living_model(model)
            entity = self._unit(found, unit)
            instance = self._instance(found, storage)
            if self._attachments(found, storage):
                raise operations_common.bad_request(f"cannot attach storage {storage}: it is attached already")
            charm = applications.charm_of(self.store, self._application(found, entity.application))
            if instance.name not in charm.storage:
                raise OperationError("not found", f'charm storage "{instance.name}" not found')
            storage_directives.check_count(charm, instance.name, self._count(found, unit, instance.name) + 1)
            storage_lifecycle.attach(self.controller, entity, instance)

    def detach_storage(self, model: str, storage: str, force: bool = False) -> None:
        """Begins the detachment of an instance, of which its unit's charm is told first; with `force` it is not.

        Raises:
            OperationError: it is not attached.
        """
        found = self._model(model)
        self._instance(found, storage)
        attachments = self._attachments(found, storage)
        if not attachments:
            raise operations_common.bad_request(f'storage "{storage}" is not attached')
        for attachment in attachments:
            if force:
                storage_lifecycle.detach(self.controller, found.uuid, attachment.unit, storage)
            else:
                self.store.put(dataclasses.replace(attachment, life=models.Life.DYING))

    def remove_storage(self, model: str, storage: str, force: bool = False, destroy: bool = True) -> None:
        """Removes an instance from the model, with its content unless told otherwise.

        Raises:
            OperationError: it is attached, and not to be removed by force; or its content cannot outlive it.
        """
        found = self._model(model)
        instance = self._instance(found, storage)
        attachments = self._attachments(found, storage)
        if attachments and not force:
            raise OperationError("storage is attached", f"storage {storage} is attached")
        if not destroy and not storage_lifecycle.POOLS[instance.pool].outlives_machine:
            problem = f'storage provider "{instance.pool}" does not support releasing storage'
            raise operations_common.bad_request(f'cannot release storage "{storage}": {problem}')
        with self.store.transaction():
            # Who asked first has decided what becomes of the content.
            if not destroy and instance.life is models.Life.ALIVE:
                self.store.put(storage_entities.StorageRelease(found.uuid, storage))
            for attachment in attachments:
                self.store.put(dataclasses.replace(instance, life=models.Life.DYING))
                self.store.put(dataclasses.replace(attachment, life=models.Life.DYING))
            if not attachments:
                storage_lifecycle.end(self.controller, instance)

    def _instance(self, model: models.Model, identifier: str) -> storage_entities.StorageInstance:
        found = self.store.get(storage_entities.StorageInstance, model.uuid, identifier)
        if found is None:
            raise operations_common.not_found("storage instance", identifier)
        return found

    def _attachments(self, model: models.Model, identifier: str) -> list[storage_entities.StorageAttachment]:
        return self.store.find(storage_entities.StorageAttachment, model=model.uuid, storage=identifier)
