"""The facade Storage."""

from __future__ import annotations

from lab.api import parameters, registry
from lab.controller import tags
from lab.controller.operations_common import Json


class Storage(registry.Facade, name="Storage", version=6):
    """Storage instances and the file systems behind them."""

    # Looking

    @registry.call("ListStorageDetails")
    def list_storage_details(self, _: Json) -> Json:
        """All storage instances. Filters have no criteria in this version."""
        shown = self.views.storage(self.model).get("storage", {})
        return {"results": [{"result": [_details(name, view) for name, view in shown.items()]}]}

    @registry.call("StorageDetails")
    def storage_details(self, given: Json) -> Json:
        """Storage instances that are named."""

        def find(name: str) -> Json:
            return {"result": _details(name, self.views.show_storage(self.model, [name])[name])}

        return parameters.results(parameters.entities(given, "storage"), find)

    @registry.call("ListFilesystems")
    def list_filesystems(self, given: Json) -> Json:
        """The file systems, or those of machines that are named."""
        shown = self.views.storage(self.model)

        def find(criteria: Json) -> Json:
            wanted = parameters.items(criteria, "machines")
            found = [
                _filesystem(number, view, shown["storage"]) for number, view in shown.get("filesystems", {}).items()
            ]
            return {"result": [one for one in found if not wanted or set(wanted) & set(one["machine-attachments"])]}

        return parameters.results(parameters.items(given, "filters"), find)

    @registry.call("ListVolumes")
    def list_volumes(self, given: Json) -> Json:
        """Volumes: the lab has file systems only."""
        return parameters.results(parameters.items(given, "filters"), lambda _: {"result": []})

    @registry.call("ListPools")
    def list_pools(self, given: Json) -> Json:
        """The storage pools, or those of names or providers."""
        shown = self.views.storage_pools(self.model)

        def find(criteria: Json) -> Json:
            names, providers = parameters.items(criteria, "names"), parameters.items(criteria, "providers")
            return {
                "storage-pools": [
                    {"name": name, "provider": pool["provider"], "attrs": pool["attrs"]}
                    for name, pool in shown.items()
                    if (not names or name in names) and (not providers or pool["provider"] in providers)
                ]
            }

        return parameters.results(parameters.items(given, "filters"), find)

    # Changing

    @registry.call("AddToUnit")
    def add_to_unit(self, given: Json) -> Json:
        """Adds storage to units."""

        def add(one: Json) -> Json:
            constraint: Json = parameters.pick(one, "storage", {})
            wanted = {key: parameters.pick(constraint, key) or None for key in ("pool", "size", "count")}
            unit = parameters.entity(parameters.pick(one, "unit"), "unit")
            made = self.operations.add_storage(self.model, unit, parameters.text(one, "name"), **wanted)
            return {"result": {"storage-tags": [parameters.storage_tag(name) for name in made]}}

        return parameters.results(parameters.items(given, "storages"), add)

    @registry.call("Attach")
    def attach(self, given: Json) -> Json:
        """Attaches detached storage to units."""

        def attach(one: Json) -> Json:
            storage = parameters.entity(parameters.pick(one, "storage-tag"), "storage")
            unit = parameters.entity(parameters.pick(one, "unit-tag"), "unit")
            self.operations.attach_storage(self.model, unit, storage)
            return {}

        return parameters.results(parameters.items(given, "ids"), attach)

    @registry.call("DetachStorage")
    def detach_storage(self, given: Json) -> Json:
        """Begins the detachment of storage from units."""
        force = bool(parameters.pick(given, "force", False))

        def detach(one: Json) -> Json:
            storage = parameters.entity(parameters.pick(one, "storage-tag"), "storage")
            self.operations.detach_storage(self.model, storage, force)
            return {}

        return parameters.results(parameters.items(parameters.pick(given, "ids", {}), "ids"), detach)

    @registry.call("Remove")
    def remove(self, given: Json) -> Json:
        """Removes storage from the model, with its content (`destroy-storage`) or without."""

        def remove(one: Json) -> Json:
            self.operations.remove_storage(
                self.model,
                parameters.entity(parameters.pick(one, "tag"), "storage"),
                force=bool(parameters.pick(one, "force", False) or parameters.pick(one, "destroy-attachments", False)),
                destroy=bool(parameters.pick(one, "destroy-storage", False)),
            )
            return {}

        return parameters.results(parameters.items(given, "storage"), remove)


def _status(shown: Json) -> Json:
    return {"status": shown["current"], "info": "", "data": {}, "since": shown["since"] or None}


def _details(name: str, view: Json) -> Json:
    attached: Json = view.get("attachments", {}).get("units", {})
    tag = parameters.storage_tag(name)
    attachments = {
        tags.unit(unit): {
            "storage-tag": tag,
            "unit-tag": tags.unit(unit),
            "machine-tag": tags.machine(shown["machine"]) if "machine" in shown else "",
            "location": shown.get("location", ""),
            "life": shown.get("life", "alive"),
        }
        for unit, shown in attached.items()
    }
    return {
        "storage-tag": tag,
        "owner-tag": next(iter(attachments), ""),
        "kind": 2,  # state.StorageKind: 1 is block, 2 is filesystem
        "life": view.get("life", "alive"),
        "persistent": view["persistent"],
        "status": _status(view["status"]),
        "attachments": attachments,
    }


def _filesystem(number: str, view: Json, instances: Json) -> Json:
    attached: Json = view.get("attachments", {})
    info = {"mount-point": "", "read-only": False}
    on_machines = {
        tags.machine(machine): {"life": shown["life"], "mount-point": shown["mount-point"]}
        for machine, shown in attached.get("machines", {}).items()
    }
    on_units = {
        tags.unit(unit): info | {"life": shown["life"], "mount-point": shown["location"]}
        for unit, shown in attached.get("units", {}).items()
    }
    return {
        "filesystem-tag": f"filesystem-{number}",
        "info": {"filesystem-id": view["provider-id"], "pool": view["pool"], "size": view["size"]},
        "life": view["life"],
        "status": _status(view["status"]),
        "storage": _details(view["storage"], instances[view["storage"]]),
        "machine-attachments": on_machines,
        "unit-attachments": on_units,
    }
