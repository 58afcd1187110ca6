"""Operations on applications: deployment, configuration, removal. Their refresh is in `operations_refresh`."""

from __future__ import annotations

import collections
import dataclasses
import re
import typing

from lab.controller import (
    charm_selection,
    operations_common,
    operations_resources,
    operations_units,
    removal,
    settings,
    storage_directives,
    tags,
)
from lab.controller.entities import applications, charms, models, relations, statuses
from lab.controller.operations_common import Json, OperationError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]*[a-z][a-z0-9]*)*")
BASE = "ubuntu@24.04"


class ApplicationOperations(operations_units.UnitOperations, operations_resources.ResourceOperations):
    """Applications."""

    def deploy(
        self,
        model: str,
        charm: str,
        application: str | None = None,
        num_units: int = 1,
        config: Json | None = None,
        config_yaml: str = "",
        storage: storage_directives.Directives | None = None,
        attach_storage: typing.Sequence[str] = (),
        resources: dict[str, typing.Any] | None = None,
        trust: bool = False,
        channel: str | None = None,
        revision: int | None = None,
        base: str | None = None,
        constraints: str = "",
        to: typing.Sequence[str] = (),
        force: bool = False,
    ) -> Json:
        """Deploys a charm as a new application.

        Args:
            model: Name or UUID.
            charm: Path of a `.charm` file or a charm's directory, URL of an uploaded charm, or a name of the local
                Charmhub.
            application: The application's name; the charm's if not given.
            num_units: How many units.
            config: Values by option, as text or of the option's type.
            config_yaml: A YAML text with settings below the application's name.
            storage: Pool, size (MiB or such as `10G`) and count by storage.
            attach_storage: Identifiers of detached storage for the one unit.
            resources: Path of a file or revision by resource.
            trust: Whether the charm may read the cloud's credential.
            channel: Where the local Charmhub is to look.
            revision: What the local Charmhub is to look for.
            base: The base; all machines of the lab are alike.
            constraints: Stored.
            to: Machines for the units, one after the other.
            force: Accepted.

        Raises:
            OperationError: something of it cannot be; nothing was deployed then.
        """
        found = self._living_model(model)
        with self.store.transaction():
            selected = self._select(found, charm, channel, revision)
            name = application or selected.charm.name
            self._check_new(found, name)
            values = self._settings(selected.charm, name, config_yaml, config or {})
            asked = values.pop("trust", False) if "trust" not in selected.charm.options else False
            attached = collections.Counter(identifier.partition("/")[0] for identifier in attach_storage)
            entity = applications.Application(
                model=found.uuid,
                name=name,
                charm_url=selected.charm.url,
                created=self.controller.now(),
                trust=trust or str(asked).lower() == "true",
                constraints=constraints,
                base=base or BASE,
                channel=selected.channel,
                storage=storage_directives.constraints(selected.charm, storage or {}, attached=attached),
            )
            known, _ = self._validated(selected.charm, values)
            self.store.put(entity, applications.Settings(found.uuid, name, selected.charm.url, known))
            now = self.controller.now()
            statuses.set_status(self.store, now, found.uuid, tags.application(name), "unset")
            self._create_peers(found, name, selected.charm)
            self._set_up_resources(entity, selected, resources or {})
            units = self._add_units(found, entity, num_units, attach_storage, to)
        return describe(selected, name) | {"units": units, "base": entity.base}

    def upload_charm(self, model: str, path: str) -> str:
        """Takes in a `.charm` file as the next local revision of its name; returns its URL.

        Raises:
            OperationError: it is not a charm, or assumes what is not there.
        """
        with self.store.transaction():
            return charm_selection.local(self.controller, self._living_model(model), path).charm.url

    def _select(
        self, model: models.Model, charm: str, channel: str | None, revision: int | None
    ) -> charm_selection.Selected:
        if charm_selection.is_uploaded(charm):
            return charm_selection.uploaded(self.controller, model, charm)
        if charm_selection.is_path(charm):
            return charm_selection.local(self.controller, model, charm)
        return charm_selection.from_charmhub(self.controller, model, charm, channel, revision)

    def _check_new(self, model: models.Model, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise operations_common.bad_request(f'invalid application name "{name}"')
        if self.store.get(applications.Application, model.uuid, name):
            raise OperationError("already exists", f'cannot add application "{name}": application already exists')

    def _settings(self, charm: charms.Charm, name: str, text: str, config: Json) -> Json:
        try:
            return settings.of_application(text, name) | config
        except settings.SettingError as error:
            raise operations_common.bad_request(str(error)) from error

    def _validated(self, charm: charms.Charm, values: Json) -> tuple[Json, list[str]]:
        try:
            return settings.validate(charm.options, values)
        except settings.SettingError as error:
            raise operations_common.bad_request(str(error)) from error

    def _create_peers(self, model: models.Model, application: str, charm: charms.Charm) -> None:
        existing = {
            relation.endpoints[0].name
            for relation in relations.of_application(self.store, model.uuid, application)
            if relation.peer
        }
        for endpoint in charm.endpoints.values():
            if endpoint.role == "peer" and endpoint.name not in existing:
                number = models.next_number(self.store, model.uuid, "relation")
                own = relations.RelationEndpoint(application, endpoint.name, "peer", endpoint.interface, endpoint.scope)
                key = f"{application}:{endpoint.name}"
                self.store.put(relations.Relation(model.uuid, number, key, [own]))

    # Configuration

    def get_config(self, model: str, application: str) -> Json:
        """The configuration in the form of `juju config`: charm settings and the application's own."""
        entity = self._application(self._model(model), application)
        charm = applications.charm_of(self.store, entity)
        given = applications.settings(self.store, entity.model, application, entity.charm_url)
        return {
            "application": application,
            "charm": charm.name,
            "settings": {name: _setting(option, given.get(name)) for name, option in charm.options.items()},
            "application-config": {
                "trust": {
                    "default": False,
                    "description": "Does this application have access to trusted credentials",
                    "source": "user" if entity.trust else "default",
                    "type": "bool",
                    "value": entity.trust,
                }
            },
        }

    def set_config(self, model: str, application: str, config: Json | None = None, config_yaml: str = "") -> None:
        """Sets options of the application's present charm; a value of None gives an option its default again."""
        with self.store.transaction():
            entity = self._application(self._living_model(model), application)
            charm = applications.charm_of(self.store, entity)
            values = self._settings(charm, application, config_yaml, config or {})
            trust = values.pop("trust", None) if "trust" not in charm.options else None
            if trust is not None:
                self.store.put(dataclasses.replace(entity, trust=str(trust).lower() == "true"))
            known, reset = self._validated(charm, values)
            self._change_settings(entity, known, reset)

    def reset_config(self, model: str, application: str, keys: typing.Sequence[str]) -> None:
        """Gives options their defaults again."""
        with self.store.transaction():
            entity = self._application(self._living_model(model), application)
            charm = applications.charm_of(self.store, entity)
            if unknown := [key for key in keys if key not in charm.options and key != "trust"]:
                raise operations_common.bad_request(f'unknown option "{unknown[0]}"')
            if "trust" in keys and "trust" not in charm.options:
                self.store.put(dataclasses.replace(entity, trust=False))
            self._change_settings(entity, {}, list(keys))

    def _change_settings(self, entity: applications.Application, values: Json, reset: list[str]) -> None:
        old = applications.settings(self.store, entity.model, entity.name, entity.charm_url)
        new = {name: value for name, value in (old | values).items() if name not in reset}
        self.store.put(applications.Settings(entity.model, entity.name, entity.charm_url, new))

    def trust(self, model: str, application: str, remove: bool = False) -> None:
        """Lets an application's charm read the cloud's credential, or no longer."""
        with self.store.transaction():
            entity = self._application(self._living_model(model), application)
            self.store.put(dataclasses.replace(entity, trust=not remove))

    def expose(self, model: str, application: str) -> None:
        """Shows an application as exposed; the lab has no firewall."""
        self._set_exposed(model, application, True)

    def unexpose(self, model: str, application: str) -> None:
        """Shows an application as no longer exposed."""
        self._set_exposed(model, application, False)

    def _set_exposed(self, model: str, application: str, exposed: bool) -> None:
        with self.store.transaction():
            entity = self._application(self._living_model(model), application)
            self.store.put(dataclasses.replace(entity, exposed=exposed))

    def set_constraints(self, model: str, application: str, constraints: str) -> None:
        """Stores constraints; the lab's machines are all alike."""
        with self.store.transaction():
            entity = self._application(self._living_model(model), application)
            self.store.put(dataclasses.replace(entity, constraints=constraints))

    # Removal

    def remove_application(
        self,
        model: str,
        application: str,
        destroy_storage: bool = False,
        force: bool = False,
        no_wait: bool = False,
        dry_run: bool = False,
    ) -> Json:
        """Begins the removal of an application; returns what goes or is detached with it."""
        found = self._model(model)
        entity = self._application(found, application)
        leaving = applications.units_of(self.store, found.uuid, application)
        info = {"units": [unit.name for unit in leaving]} | self._storage_info(found, leaving, destroy_storage)
        if not dry_run:
            after = (0.0 if no_wait else removal.FORCE_AFTER) if force else None
            removal.destroy_application(self.controller, entity, destroy_storage=destroy_storage, force_after=after)
        return info


def describe(selected: charm_selection.Selected, application: str) -> Json:
    """What a client is told of the charm of a deployment or refresh."""
    charm = selected.charm
    return {
        "application": application,
        "charm": charm.url,
        "charm-name": charm.name,
        "revision": charm.revision,
        "origin": "local" if charm.local else "charmhub",
        "channel": selected.channel,
    }


def _setting(option: Json, value: typing.Any) -> Json:
    result: Json = {"description": option.get("description", ""), "type": option.get("type", "string")}
    if option.get("default") is not None:
        result["default"] = option["default"]
    if value is not None:
        return result | {"value": value, "source": "user"}
    if option.get("default") is not None:
        return result | {"value": option["default"], "source": "default"}
    return result | {"source": "unset"}
