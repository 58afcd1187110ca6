"""Facades of the controller: Controller, Cloud, Pinger."""

from __future__ import annotations

from lab.api import parameters, registry, session
from lab.controller.operations_common import Json, OperationError


class Pinger(registry.Facade, name="Pinger", version=1, scope="both"):
    """Tells clients that the connection lives."""

    @registry.call("Ping")
    def ping(self, _: Json) -> Json:
        """Nothing."""
        return {}


class Controller(registry.Facade, name="Controller", version=12, scope="controller"):
    """The controller itself."""

    @registry.call("AllModels")
    def all_models(self, _: Json) -> Json:
        """Every model, for those who look for one by name."""
        found = self.views.models()
        return {"user-models": [user_model(self.context, view) for view in found]}

    @registry.call("ControllerAPIInfoForModels")
    def controller_api_info_for_models(self, given: Json) -> Json:
        """Where the controller of models is, and whom to trust: here, whichever model it is."""
        info = {"addresses": [self.context.endpoint], "cacert": self.context.ca_certificate}
        return parameters.results(parameters.entities(given, "model"), lambda _: info)

    @registry.call("ControllerConfig")
    def controller_config(self, _: Json) -> Json:
        """The controller's configuration: what it is and where."""
        context = self.context
        return {
            "config": {
                "api-port": int(context.endpoint.rpartition(":")[2]),
                "ca-cert": context.ca_certificate,
                "controller-name": context.described.name,
                "controller-uuid": context.described.uuid,
            }
        }

    @registry.call("ControllerVersion")
    def controller_version(self, _: Json) -> Json:
        """The version of Juju that it says it is."""
        return {"version": self.context.described.version, "git-commit": ""}


def user_model(context: session.Context, view: Json) -> Json:
    """A model in a list of those that a user sees."""
    return {
        "model": {
            "name": view["short-name"],
            "uuid": view["model-uuid"],
            "type": "iaas",
            "owner-tag": f"user-{view['owner']}",
        },
        "last-connection": context.controller.now().isoformat(),
    }


class Cloud(registry.Facade, name="Cloud", version=7, scope="controller"):
    """The one cloud, which is the lab's host and needs no credential."""

    def _cloud(self) -> Json:
        described = self.context.described
        return {"type": "lab", "auth-types": ["empty"], "regions": [{"name": described.region}]}

    @registry.call("Clouds")
    def clouds(self, _: Json) -> Json:
        """All clouds by tag."""
        return {"clouds": {f"cloud-{self.context.described.cloud}": self._cloud()}}

    @registry.call("Cloud")
    def cloud(self, given: Json) -> Json:
        """Clouds that are named."""

        def find(name: str) -> Json:
            if name != self.context.described.cloud:
                raise OperationError("not found", f'cloud "{name}" not found')
            return {"cloud": self._cloud()}

        return parameters.results(parameters.entities(given, "cloud"), find)
