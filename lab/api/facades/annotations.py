"""The facade Annotations."""

from __future__ import annotations

from lab.api import parameters, registry
from lab.controller.operations_common import Json


class Annotations(registry.Facade, name="Annotations", version=2):
    """Texts that clients keep beside entities."""

    @registry.call("Get")
    def get(self, given: Json) -> Json:
        """The annotations of entities."""

        def find(one: Json) -> Json:
            tag = parameters.text(one, "tag")
            return {"entity": tag, "annotations": self.operations.annotations(self.model, tag)}

        return parameters.results(parameters.items(given, "entities"), find)

    @registry.call("Set")
    def set(self, given: Json) -> Json:
        """Sets annotations; those set to an empty text go."""

        def change(one: Json) -> Json:
            values = parameters.pick(one, "annotations", {})
            self.operations.set_annotations(self.model, parameters.text(one, "entity"), values)
            return {}

        return parameters.results(parameters.items(given, "annotations"), change)
