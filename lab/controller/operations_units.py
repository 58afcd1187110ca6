"""Operations on units and machines."""

from __future__ import annotations

import collections
import dataclasses
import typing

from lab.controller import operations_common, removal, storage_directives, storage_lifecycle, tags
from lab.controller.entities import applications, machines, models, statuses, storage, units
from lab.controller.operations_common import Json, OperationError


class UnitOperations(operations_common.Base):
    """Units and machines."""

    def add_unit(
        self,
        model: str,
        application: str,
        num_units: int = 1,
        attach_storage: typing.Sequence[str] = (),
        to: typing.Sequence[str] = (),
    ) -> list[str]:
        """Adds units, each on a machine of its own or on those of `to`; returns their names."""
        found = self._living_model(model)
        entity = self._application(found, application)
        if entity.life is not models.Life.ALIVE:
            raise OperationError("bad request", f'cannot add unit to application "{application}": application is dying')
        return self._add_units(found, entity, num_units, attach_storage, to)

    def _add_units(
        self,
        model: models.Model,
        application: applications.Application,
        count: int,
        attach_storage: typing.Sequence[str],
        to: typing.Sequence[str],
    ) -> list[str]:
        if attach_storage and count != 1:
            raise operations_common.bad_request("AttachStorage is non-empty, but NumUnits is not 1")
        instances = [self._detached(model, identifier) for identifier in attach_storage]
        with self.store.transaction():
            return [
                self._add_unit_to(model, application, instances, to[index] if index < len(to) else None)
                for index in range(count)
            ]

    def _detached(self, model: models.Model, identifier: str) -> storage.StorageInstance:
        instance = self.store.get(storage.StorageInstance, model.uuid, identifier)
        if instance is None:
            raise operations_common.not_found("storage", identifier)
        if self.store.find(storage.StorageAttachment, model=model.uuid, storage=identifier):
            raise operations_common.bad_request(f'cannot attach storage "{identifier}": it is attached already')
        return instance

    def _add_unit_to(
        self,
        model: models.Model,
        application: applications.Application,
        instances: list[storage.StorageInstance],
        placement: str | None,
    ) -> str:
        now = self.controller.now()
        machine = self._machine(model, placement) if placement else self._new_machine(model, application.constraints)
        number = models.next_number(self.store, model.uuid, f"unit-{application.name}")
        name = f"{application.name}/{number}"
        unit = units.Unit(model.uuid, name, application.name, number, now, machine=machine.id)
        self.store.put(unit)
        message = "installing agent" if machine.provisioned else "waiting for machine"
        statuses.set_status(self.store, now, model.uuid, unit.tag, "waiting", message)
        statuses.set_status(self.store, now, model.uuid, statuses.agent(name), "allocating")
        self._give_storage(unit, application, instances)
        return name

    def _give_storage(
        self, unit: units.Unit, application: applications.Application, instances: list[storage.StorageInstance]
    ) -> None:
        charm = applications.charm_of(self.store, application)
        attached = collections.Counter(instance.name for instance in instances)
        for instance in instances:
            if instance.name not in charm.storage:
                raise operations_common.bad_request(f'charm "{charm.name}" has no store called "{instance.name}"')
            storage_lifecycle.attach(self.controller, unit, instance)
        for name, constraint in application.storage.items():
            if attached[name]:
                storage_directives.check_count(charm, name, max(attached[name], constraint.count))
            for _ in range(max(0, constraint.count - attached[name])):
                storage_lifecycle.create(self.controller, unit, name, constraint)

    def _new_machine(self, model: models.Model, constraints: str, *, manual: bool = False) -> machines.Machine:
        number = models.next_number(self.store, model.uuid, "machine")
        now = self.controller.now()
        machine = machines.Machine(
            model=model.uuid,
            id=str(number),
            hostname=f"juju-{model.uuid[-6:]}-{number}",
            created=now,
            manual=manual,
            constraints=constraints or model.constraints,
        )
        self.store.put(machine)
        statuses.set_status(self.store, now, model.uuid, tags.machine(machine.id), "pending")
        statuses.set_status(self.store, now, model.uuid, statuses.instance(machine.id), "pending")
        return machine

    def remove_unit(
        self,
        model: str,
        unit: str,
        destroy_storage: bool = False,
        force: bool = False,
        no_wait: bool = False,
        dry_run: bool = False,
    ) -> Json:
        """Begins the removal of a unit; returns what goes or is detached with it."""
        found = self._model(model)
        entity = self._unit(found, unit)
        info = self._storage_info(found, [entity], destroy_storage)
        if not dry_run:
            after = (0.0 if no_wait else removal.FORCE_AFTER) if force else None
            removal.destroy_unit(self.controller, entity, destroy_storage=destroy_storage, force_after=after)
        return info

    def _storage_info(self, model: models.Model, leaving: list[units.Unit], destroy_storage: bool) -> Json:
        destroyed: list[str] = []
        detached: list[str] = []
        for unit in leaving:
            for attachment in storage.of_unit(self.store, model.uuid, unit.name):
                instance = self.store.require(storage.StorageInstance, model.uuid, attachment.storage)
                kept = storage_lifecycle.POOLS[instance.pool].outlives_machine and not destroy_storage
                (detached if kept else destroyed).append(instance.id)
        return {"destroyed-storage": destroyed, "detached-storage": detached}

    def resolved(self, model: str, units: typing.Sequence[str] = (), all: bool = False, no_retry: bool = False) -> None:
        """Lets hooks in error run again, or (`no_retry`) be skipped.

        Raises:
            OperationError: a unit is not in error.
        """
        found = self._model(model)
        mode = "no-hooks" if no_retry else "retry-hooks"
        with self.store.transaction():
            for unit in self._erring(found) if all else [self._unit(found, name) for name in units]:
                if not self._in_error(unit):
                    raise operations_common.bad_request(f'unit "{unit.name}" is not in an error state')
                if unit.resolved:
                    raise operations_common.bad_request(
                        f'cannot set resolved mode for unit "{unit.name}": already resolved'
                    )
                self.store.put(dataclasses.replace(unit, resolved=mode))

    def _in_error(self, unit: units.Unit) -> bool:
        status = statuses.get(self.store, unit.model, statuses.agent(unit.name))
        return status is not None and status.status == "error"

    def _erring(self, model: models.Model) -> list[units.Unit]:
        return [unit for unit in self.store.find(units.Unit, model=model.uuid) if self._in_error(unit)]

    # Machines

    def add_machine(self, model: str, count: int = 1, base: str | None = None, constraints: str = "") -> list[str]:
        """Adds machines without units, which stay when their last unit leaves; returns their numbers."""
        found = self._living_model(model)
        with self.store.transaction():
            return [self._new_machine(found, constraints, manual=True).id for _ in range(count)]

    def remove_machine(
        self, model: str, machine: str, force: bool = False, no_wait: bool = False, dry_run: bool = False
    ) -> Json:
        """Begins the removal of a machine; with `force` together with its units.

        Raises:
            OperationError: units are on it.
        """
        found = self._model(model)
        entity = self._machine(found, machine)
        hosted = machines.units_on(self.store, found.uuid, machine)
        if hosted and not force:
            listed = ", ".join(f'"{unit.name}"' for unit in hosted)
            raise OperationError("machine has units", f"machine {machine} has unit {listed} assigned")
        info = {"units": [unit.name for unit in hosted]} | self._storage_info(found, hosted, False)
        if dry_run:
            return info
        with self.store.transaction():
            # It goes with its last unit now, as those do that were made for one.
            self.store.put(dataclasses.replace(entity, manual=False))
            for unit in hosted:
                after = 0.0 if no_wait else removal.FORCE_AFTER
                removal.destroy_unit(self.controller, unit, force_after=after)
            if not hosted:
                removal.destroy_machine(self.controller, entity)
        return info
