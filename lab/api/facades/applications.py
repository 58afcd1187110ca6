"""The facade Application: deployment, refresh and settings; `relations` and `units` have its other calls."""

from __future__ import annotations

import pathlib
import typing

from lab.api import charm_urls, forms, parameters, registry
from lab.api.facades import relations, units
from lab.controller import tags
from lab.controller.entities import applications
from lab.controller.operations_common import Json


class Application(relations.RelationCalls, units.UnitCalls, registry.Facade, name="Application", version=20):
    """Applications, their units and relations."""

    def _application(self, name: str) -> applications.Application:
        return self.context.scope(self.model).application(name)

    # Deployment

    @registry.call("Deploy")
    def deploy(self, given: Json) -> Json:
        """Deploys charms that were uploaded or added before."""
        return parameters.results(parameters.items(given, "applications"), self._deploy)

    def _deploy(self, given: Json) -> Json:
        url = charm_urls.parse(parameters.text(given, "charm-url"))
        origin: Json = parameters.pick(given, "charm-origin", {})
        with _Resources(self, parameters.pick(given, "resources")) as resources:
            self.operations.deploy(
                self.model,
                url.text if url.local else url.name,
                parameters.text(given, "application"),
                num_units=parameters.pick(given, "num-units", 0),
                config=parameters.pick(given, "config"),
                config_yaml=parameters.pick(given, "config-yaml", ""),
                storage=storage_directives(parameters.pick(given, "storage")),
                attach_storage=_storage_names(parameters.items(given, "attach-storage")),
                resources=resources,
                channel=charm_urls.channel(origin) or parameters.pick(given, "channel"),
                revision=None if url.local else url.revision,
                base=forms.base_text(parameters.pick(origin, "base")),
                constraints=forms.constraints_text(parameters.pick(given, "constraints")),
                to=units.placements(parameters.items(given, "placement")),
                force=bool(parameters.pick(given, "force", False)),
            )
        return {}

    @registry.call("DeployFromRepository")
    def deploy_from_repository(self, given: Json) -> Json:
        """Deploys charms of the local Charmhub. Errors are lists here, one for each application."""
        results = parameters.results(parameters.items(given, "args"), self._deploy_from_repository)["results"]
        return {
            "results": [
                {"Errors": [result["error"]], "Info": {}, "PendingResourceUploads": []} if "error" in result else result
                for result in results
            ]
        }

    def _deploy_from_repository(self, given: Json) -> Json:
        url = charm_urls.parse(parameters.text(given, "CharmName"))
        deployed = self.operations.deploy(
            self.model,
            url.name,
            parameters.pick(given, "ApplicationName") or None,
            num_units=parameters.pick(given, "num-units", 1),
            config_yaml=parameters.pick(given, "ConfigYAML", ""),
            storage=storage_directives(parameters.pick(given, "Storage")),
            attach_storage=_storage_names(parameters.items(given, "AttachStorage")),
            resources=_revisions(parameters.pick(given, "resources")),
            trust=bool(parameters.pick(given, "Trust", False)),
            channel=parameters.pick(given, "channel"),
            revision=parameters.pick(given, "revision", url.revision),
            base=forms.base_text(parameters.pick(given, "base")),
            constraints=forms.constraints_text(parameters.pick(given, "Cons")),
            to=units.placements(parameters.items(given, "Placement")),
        )
        info = {
            "architecture": forms.architecture(),
            "base": forms.base(deployed["base"]),
            "channel": deployed["channel"],
            "effective-channel": deployed["channel"],
            "name": deployed["application"],
            "revision": deployed["revision"],
        }
        return {"Errors": [], "Info": info, "PendingResourceUploads": []}

    # Refresh

    @registry.call("SetCharm")
    def set_charm(self, given: Json) -> Json:
        """Lets an application use another charm, which was uploaded or added before."""
        name, url = parameters.text(given, "application"), charm_urls.parse(parameters.text(given, "charm-url"))
        origin: Json = parameters.pick(given, "charm-origin", {})
        where: Json = {"switch": url.text}
        if not url.local:
            where = {"switch": url.name, "revision": url.revision, "channel": charm_urls.channel(origin)}
        with _Resources(self, parameters.pick(given, "resource-ids")) as resources:
            self.operations.refresh(
                self.model,
                name,
                force=bool(parameters.pick(given, "force", False)),
                force_units=bool(parameters.pick(given, "force-units", False)),
                force_base=bool(parameters.pick(given, "force-base", False)),
                config=parameters.pick(given, "config-settings"),
                config_yaml=parameters.pick(given, "config-settings-yaml", ""),
                storage=storage_directives(parameters.pick(given, "storage-constraints")),
                resources=resources,
                **where,
            )
        return {}

    @registry.call("GetCharmURLOrigin")
    def get_charm_url_origin(self, given: Json) -> Json:
        """The URL of an application's charm and where it came from."""
        application = self._application(parameters.text(given, "application"))
        charm = applications.charm_of(self.store, application)
        return {"url": charm.url, "charm-origin": forms.origin(application, charm)}

    # Settings

    @registry.call("Get")
    def get(self, given: Json) -> Json:
        """An application's settings and constraints."""
        name = parameters.text(given, "application")
        application = self._application(name)
        shown = self.operations.get_config(self.model, name)
        return {
            "application": name,
            "charm": shown["charm"],
            "config": shown["settings"],
            "application-config": shown["application-config"],
            "constraints": forms.constraints(application.constraints),
            "base": forms.base(application.base),
            "channel": application.channel,
            "endpoint-bindings": self.views.show_application(self.model, [name])[name]["endpoint-bindings"],
        }

    @registry.call("GetConfig")
    def get_config(self, given: Json) -> Json:
        """The settings of several applications."""

        def find(name: str) -> Json:
            return {"config": self.operations.get_config(self.model, name)["settings"]}

        return parameters.results(parameters.entities(given, "application"), find)

    @registry.call("SetConfigs")
    def set_configs(self, given: Json) -> Json:
        """Sets options."""

        def change(one: Json) -> Json:
            self.operations.set_config(
                self.model,
                parameters.text(one, "application"),
                parameters.pick(one, "config"),
                parameters.pick(one, "config-yaml", ""),
            )
            return {}

        return parameters.results(parameters.items(given, "args"), change)

    @registry.call("UnsetApplicationsConfig")
    def unset_applications_config(self, given: Json) -> Json:
        """Gives options their defaults again."""

        def reset(one: Json) -> Json:
            keys = parameters.items(one, "options")
            self.operations.reset_config(self.model, parameters.text(one, "application"), keys)
            return {}

        return parameters.results(parameters.items(given, "args"), reset)

    @registry.call("GetConstraints")
    def get_constraints(self, given: Json) -> Json:
        """The constraints of applications."""

        def find(name: str) -> Json:
            return {"constraints": forms.constraints(self._application(name).constraints)}

        return parameters.results(parameters.entities(given, "application"), find)

    @registry.call("SetConstraints")
    def set_constraints(self, given: Json) -> Json:
        """Sets the constraints of an application."""
        text = forms.constraints_text(parameters.pick(given, "constraints"))
        self.operations.set_constraints(self.model, parameters.text(given, "application"), text)
        return {}

    @registry.call("Expose")
    def expose(self, given: Json) -> Json:
        """Shows an application as exposed."""
        self.operations.expose(self.model, parameters.text(given, "application"))
        return {}

    @registry.call("Unexpose")
    def unexpose(self, given: Json) -> Json:
        """Shows it as no longer exposed."""
        self.operations.unexpose(self.model, parameters.text(given, "application"))
        return {}

    @registry.call("ApplicationsInfo")
    def applications_info(self, given: Json) -> Json:
        """Applications in detail."""

        def find(name: str) -> Json:
            application, shown = self._application(name), self.views.show_application(self.model, [name])[name]
            described = {key: shown[key] for key in ("charm", "principal", "exposed", "remote", "life")}
            return {
                "result": described
                | {
                    "tag": tags.application(name),
                    "base": forms.base(application.base),
                    "channel": application.channel,
                    "constraints": forms.constraints(application.constraints),
                    "endpoint-bindings": shown["endpoint-bindings"],
                }
            }

        return parameters.results(parameters.entities(given, "application"), find)

    # Removal

    @registry.call("DestroyApplication")
    def destroy_application(self, given: Json) -> Json:
        """Begins the removal of applications."""

        def destroy(one: Json) -> Json:
            name = parameters.entity(parameters.pick(one, "application-tag"), "application")
            info = self.operations.remove_application(
                self.model,
                name,
                destroy_storage=bool(parameters.pick(one, "destroy-storage", False)),
                dry_run=bool(parameters.pick(one, "dry-run", False)),
                **parameters.removal(one),
            )
            return {"info": units.removal_info(info)}

        return parameters.results(parameters.items(given, "applications"), destroy)


class _Resources:
    """The files of pending resources while they are taken over; gone afterwards."""

    def __init__(self, facade: Application, identifiers: dict[str, str] | None) -> None:
        self._taken = facade.context.pending.take(identifiers)

    def __enter__(self) -> dict[str, typing.Any]:
        return self._taken

    def __exit__(self, *_: object) -> None:
        for taken in self._taken.values():
            if isinstance(taken, str):
                pathlib.Path(taken).unlink(missing_ok=True)


def storage_directives(given: Json | None) -> dict[str, Json]:
    """Storage constraints as `deploy` takes them: what is not said (or 0) is left to the charm."""
    wanted = ("pool", "size", "count")
    return {
        name: {key: value for key in wanted if (value := parameters.pick(constraint, key))}
        for name, constraint in (given or {}).items()
    }


def _storage_names(given: list[str]) -> list[str]:
    return [parameters.entity(tag, "storage") if tag.startswith("storage-") else tag for tag in given]


def _revisions(given: dict[str, str] | None) -> dict[str, int]:
    """Resources that are to be taken at some revision, as deployments from Charmhub name them."""
    return {name: int(revision) for name, revision in (given or {}).items()}
