"""The facade MachineManager."""

from __future__ import annotations

from lab.api import forms, parameters, registry
from lab.api.facades import units
from lab.controller.operations_common import Json, OperationError


class MachineManager(registry.Facade, name="MachineManager", version=10):
    """Machines without units, and the removal of machines."""

    @registry.call("AddMachines")
    def add_machines(self, given: Json) -> Json:
        """Adds machines; tells their numbers."""

        def add(one: Json) -> Json:
            if parameters.pick(one, "container-type") or parameters.pick(one, "placement"):
                raise OperationError("not supported", "machines have no containers, and are all made on this host")
            text = forms.constraints_text(parameters.pick(one, "constraints"))
            base = forms.base_text(parameters.pick(one, "base"))
            (made,) = self.operations.add_machine(self.model, 1, base, text)
            return {"machine": made}

        return {"machines": parameters.results(parameters.items(given, "params"), add)["results"]}

    @registry.call("DestroyMachineWithParams")
    def destroy_machine_with_params(self, given: Json) -> Json:
        """Begins the removal of machines."""
        dry_run = bool(parameters.pick(given, "dry-run", False))

        def destroy(tag: str) -> Json:
            number = parameters.entity(tag, "machine")
            info = self.operations.remove_machine(self.model, number, dry_run=dry_run, **parameters.removal(given))
            return {"info": units.removal_info(info) | {"machine-id": number}}

        return parameters.results(parameters.items(given, "machine-tags"), destroy)
