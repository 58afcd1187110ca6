"""The calls of the facade Application on units."""

from __future__ import annotations

from lab.api import parameters, registry
from lab.controller import tags
from lab.controller.entities import leadership, models
from lab.controller.operations_common import Json, OperationError


class UnitCalls(registry.Facade):
    """Units."""

    @registry.call("AddUnits")
    def add_units(self, given: Json) -> Json:
        """Adds units; tells their names."""
        made = self.operations.add_unit(
            self.model,
            parameters.text(given, "application"),
            parameters.pick(given, "num-units", 1),
            attach_storage=[parameters.entity(tag, "storage") for tag in parameters.items(given, "attach-storage")],
            to=placements(parameters.items(given, "placement")),
        )
        return {"units": made}

    @registry.call("DestroyUnit")
    def destroy_unit(self, given: Json) -> Json:
        """Begins the removal of units."""

        def destroy(one: Json) -> Json:
            info = self.operations.remove_unit(
                self.model,
                parameters.entity(parameters.pick(one, "unit-tag"), "unit"),
                destroy_storage=bool(parameters.pick(one, "destroy-storage", False)),
                dry_run=bool(parameters.pick(one, "dry-run", False)),
                **parameters.removal(one),
            )
            return {"info": removal_info(info)}

        return parameters.results(parameters.items(given, "units"), destroy)

    @registry.call("ResolveUnitErrors")
    def resolve_unit_errors(self, given: Json) -> Json:
        """Lets hooks in error run again (`retry`), or be skipped."""
        skip = not parameters.pick(given, "retry", False)
        if parameters.pick(given, "all", False):
            self.operations.resolved(self.model, all=True, no_retry=skip)
            return {"results": []}

        def resolve(name: str) -> Json:
            self.operations.resolved(self.model, [name], no_retry=skip)
            return {}

        return parameters.results(parameters.entities(parameters.pick(given, "tags", {}), "unit"), resolve)

    @registry.call("UnitsInfo")
    def units_info(self, given: Json) -> Json:
        """Units in detail."""
        return parameters.results(parameters.entities(given, "unit"), self._unit_info)

    def _unit_info(self, name: str) -> Json:
        unit = self.context.scope(self.model).unit(name)
        shown = self.views.show_unit(self.model, [name])[name]
        address = shown.get("public-address", "")
        return {
            "result": {
                "tag": tags.unit(name),
                "workload-version": shown.get("workload-version", ""),
                "machine": shown.get("machine", ""),
                "opened-ports": shown["opened-ports"],
                "public-address": address,
                "address": address,
                "charm": shown["charm"],
                "leader": shown["leader"],
                "life": "" if unit.life is models.Life.ALIVE else str(unit.life),
            }
        }

    @registry.call("Leader")
    def leader(self, given: Json) -> Json:
        """The unit that leads an application."""
        application = parameters.entity(parameters.pick(given, "tag"), "application")
        self.context.scope(self.model).application(application)
        holder = leadership.holder(self.store, self.model, application)
        if holder is None:
            raise OperationError("not found", f'could not determine leader for "{application}"')
        return {"result": holder}


def placements(given: list[Json]) -> list[str]:
    """Machines that units are to be put on.

    Raises:
        OperationError: something else than a machine is wanted.
    """
    found: list[str] = []
    for placement in given:
        scope, directive = parameters.pick(placement, "scope", ""), parameters.pick(placement, "directive", "")
        if scope != "#":
            raise OperationError("not supported", f'placement "{scope}:{directive}": only machines of the model work')
        found.append(directive)
    return found


def removal_info(info: Json) -> Json:
    """What goes with an entity, in tags."""
    names = {
        "destroyed-units": [tags.unit(name) for name in info.get("units", [])],
        "destroyed-storage": [parameters.storage_tag(name) for name in info["destroyed-storage"]],
        "detached-storage": [parameters.storage_tag(name) for name in info["detached-storage"]],
    }
    return {key: [{"tag": tag} for tag in found] for key, found in names.items()}
