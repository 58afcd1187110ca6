"""The end of models: once nothing in them lives any more, all that is theirs is deleted."""

from __future__ import annotations

import shutil

from lab.controller import core, storage_lifecycle
from lab.controller import store as store_module
from lab.controller.entities import applications, machines, models, storage


def step(controller: core.Controller) -> None:
    """Deletes the models that are dying and empty."""
    for model in controller.store.find(models.Model, life="dying"):
        _step(controller, model)


def _step(controller: core.Controller, model: models.Model) -> None:
    store = controller.store
    if store.find(applications.Application, model=model.uuid) or store.find(machines.Machine, model=model.uuid):
        return
    with store.transaction():
        for instance in store.find(storage.StorageInstance, model=model.uuid):
            if model.destroy_storage:
                storage_lifecycle.destroy(controller, instance)
        for entity in store_module.entities_of_models():
            store.delete_where(entity, model=model.uuid)
        store.delete(model)
    for kind in ("charms", "resources"):
        shutil.rmtree(controller.state / kind / model.uuid, ignore_errors=True)
