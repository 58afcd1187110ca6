"""Facades of models: ModelManager on the controller's connection, ModelConfig on a model's."""

from __future__ import annotations

from lab.api import forms, parameters, registry, session
from lab.api.facades import controller
from lab.controller import model_config
from lab.controller.entities import applications, machines, storage, units
from lab.controller.operations_common import Json


class ModelManager(registry.Facade, name="ModelManager", version=10, scope="controller"):
    """Making, listing and destroying models."""

    @registry.call("CreateModel")
    def create_model(self, given: Json) -> Json:
        """Adds a model; the cloud, credential and owner may be named, but there is only one of each."""
        config = {key: value for key, value in (parameters.pick(given, "config") or {}).items() if value is not None}
        made = self.operations.add_model(parameters.text(given, "name"), config)
        return model_info(self.context, made["model-uuid"])

    @registry.call("ListModels")
    def list_models(self, _: Json) -> Json:
        """The models."""
        return {"user-models": [controller.user_model(self.context, view) for view in self.views.models()]}

    @registry.call("ListModelSummaries")
    def list_model_summaries(self, _: Json) -> Json:
        """The models with what matters of each, the controller's own among them, which clients look for."""
        own = model_summary(self.context, {"short-name": "controller", "model-uuid": self.context.controller_model})
        found = [model_summary(self.context, view) for view in self.views.models()]
        return {"results": [{"result": summary} for summary in [own | {"is-controller": True}, *found]]}

    @registry.call("ModelInfo")
    def model_info(self, given: Json) -> Json:
        """Models in detail."""
        found = parameters.entities(given, "model")
        return parameters.results(found, lambda uuid: {"result": model_info(self.context, uuid)})

    @registry.call("ModelStatus")
    def model_status(self, given: Json) -> Json:
        """How much there is still in models, which tells how far their destruction is."""
        return parameters.results(parameters.entities(given, "model"), self._model_status)

    def _model_status(self, uuid: str) -> Json:
        scope = self.context.scope(uuid)
        with self.store.transaction():
            found = [instance for instance in self.store.find(storage.StorageInstance, model=scope.uuid)]
            return {
                "model-tag": f"model-{scope.uuid}",
                "owner-tag": f"user-{scope.model.owner}",
                "type": "iaas",
                "life": str(scope.model.life),
                "application-count": len(self.store.find(applications.Application, model=scope.uuid)),
                "hosted-machine-count": len(self.store.find(machines.Machine, model=scope.uuid)),
                "unit-count": len(self.store.find(units.Unit, model=scope.uuid)),
                "filesystems": [{"id": instance.id, "status": instance.status} for instance in found],
                "volumes": [],
                "machines": [],
                "applications": [],
            }

    @registry.call("DestroyModels")
    def destroy_models(self, given: Json) -> Json:
        """Begins the removal of models."""

        def destroy(model: Json) -> Json:
            uuid = parameters.entity(parameters.pick(model, "model-tag"), "model")
            kept = parameters.pick(model, "destroy-storage")
            self.operations.destroy_model(uuid, destroy_storage=kept, **parameters.removal(model))
            return {}

        return parameters.results(parameters.items(given, "models"), destroy)


def _common(context: session.Context, view: Json) -> Json:
    """What a model's summary and its details share."""
    described = context.described
    return {
        "name": view["short-name"],
        "uuid": view["model-uuid"],
        "type": "iaas",
        "controller-uuid": described.uuid,
        "is-controller": False,
        "provider-type": "lab",
        "default-series": "",
        "cloud-tag": f"cloud-{described.cloud}",
        "cloud-region": described.region,
        "owner-tag": f"user-{session.USER}",
        "life": view.get("life", "alive"),
        "status": _status(view.get("status", {"current": "available"})),
        "migration": None,
        "sla": {"level": "unsupported", "owner": ""},
        "agent-version": described.version,
    }


def _status(shown: Json) -> Json:
    return {"status": shown["current"], "info": shown.get("message", ""), "data": {}, "since": shown.get("since")}


def model_summary(context: session.Context, view: Json) -> Json:
    """One model among all."""
    counts = [
        {"entity": "machines", "count": len(view.get("machines", {}))},
        {"entity": "units", "count": view.get("unit-count", 0)},
    ]
    return _common(context, view) | {
        "user-access": "admin",
        "last-connection": context.controller.now().isoformat(),
        "counts": counts,
    }


def model_info(context: session.Context, uuid: str) -> Json:
    """One model's details.

    Raises:
        OperationError: there is none of this UUID.
    """
    view = context.views.show_model(uuid)
    user = {"user": session.USER, "display-name": session.USER, "access": "admin", "model-tag": f"model-{uuid}"}
    found = context.controller.store.find(machines.Machine, model=uuid)
    return _common(context, view) | {
        "default-base": "",
        "cloud-credential-tag": "",
        "cloud-credential-validity": True,
        "users": [user | {"last-connection": context.controller.now().isoformat()}],
        "machines": [{"id": machine.id, "instance-id": machine.hostname} for machine in found],
        "secret-backends": [],
        "supported-features": [{"name": "juju", "description": "", "version": context.described.version}],
    }


class ModelConfig(registry.Facade, name="ModelConfig", version=3):
    """The configuration and constraints of the connection's model."""

    @registry.call("ModelGet")
    def model_get(self, _: Json) -> Json:
        """All keys with their values, and whether these are the defaults."""
        return {"config": self.operations.model_config(self.model)}

    @registry.call("ModelSet")
    def model_set(self, given: Json) -> Json:
        """Sets keys. What a client got from `ModelGet` it may send back: values as they are change nothing."""
        present = self.operations.model_config(self.model)
        config: Json = parameters.pick(given, "config", {})
        changed = {
            key: value
            for key, value in config.items()
            if present.get(key, {}).get("value") != model_config.check(key, value)
        }
        self.operations.set_model_config(self.model, changed)
        return {}

    @registry.call("ModelUnset")
    def model_unset(self, given: Json) -> Json:
        """Gives keys their defaults again."""
        self.operations.set_model_config(self.model, reset=parameters.items(given, "keys"))
        return {}

    @registry.call("GetModelConstraints")
    def get_model_constraints(self, _: Json) -> Json:
        """The constraints of new machines."""
        return {"constraints": forms.constraints(self.operations.model_constraints(self.model))}

    @registry.call("SetModelConstraints")
    def set_model_constraints(self, given: Json) -> Json:
        """Sets them."""
        text = forms.constraints_text(parameters.pick(given, "constraints"))
        self.operations.set_model_constraints(self.model, text)
        return {}
