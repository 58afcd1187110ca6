"""The facade Secrets: what users do with secrets."""

from __future__ import annotations

from lab.api import parameters, registry
from lab.controller import tags, views_lookup, views_secrets
from lab.controller.entities import relations, secrets
from lab.controller.operations_common import Json


class Secrets(registry.Facade, name="Secrets", version=2):
    """User secrets, and the metadata of all."""

    @registry.call("CreateSecrets")
    def create_secrets(self, given: Json) -> Json:
        """Adds secrets; tells their URIs."""

        def create(one: Json) -> Json:
            content = parameters.pick(parameters.pick(one, "content", {}), "data", {})
            description = parameters.pick(one, "description")
            made = self.operations.add_secret(self.model, parameters.text(one, "label"), content, description)
            return {"result": made}

        return parameters.results(parameters.items(given, "args"), create)

    @registry.call("UpdateSecrets")
    def update_secrets(self, given: Json) -> Json:
        """Changes secrets; what is empty stays as it is."""

        def update(one: Json) -> Json:
            self.operations.update_secret(
                self.model,
                _reference(one, "existing-label"),
                content=parameters.pick(parameters.pick(one, "content", {}), "data") or None,
                description=parameters.pick(one, "description") or None,
                name=parameters.pick(one, "label") or None,
                auto_prune=parameters.pick(one, "auto-prune"),
            )
            return {}

        return parameters.results(parameters.items(given, "args"), update)

    @registry.call("RemoveSecrets")
    def remove_secrets(self, given: Json) -> Json:
        """Removes secrets, or some of their revisions."""

        def remove(one: Json) -> Json:
            revisions = parameters.items(one, "revisions")
            for revision in revisions or [None]:
                self.operations.remove_secret(self.model, _reference(one, "label"), revision)
            return {}

        return parameters.results(parameters.items(given, "args"), remove)

    @registry.call("GrantSecret")
    def grant_secret(self, given: Json) -> Json:
        """Lets the units of applications read a secret; a result for each of these."""

        def grant(application: str) -> Json:
            self.operations.grant_secret(self.model, _reference(given, "label"), [application])
            return {}

        return parameters.results(parameters.items(given, "applications"), grant)

    @registry.call("RevokeSecret")
    def revoke_secret(self, given: Json) -> Json:
        """Takes that back."""

        def revoke(application: str) -> Json:
            self.operations.revoke_secret(self.model, _reference(given, "label"), [application])
            return {}

        return parameters.results(parameters.items(given, "applications"), revoke)

    @registry.call("ListSecrets")
    def list_secrets(self, given: Json) -> Json:
        """The secrets that a filter lets through, with their content if that is wanted."""
        scope = self.context.scope(self.model)
        reveal = bool(parameters.pick(given, "show-secrets", False))
        criteria: Json = parameters.pick(given, "filter", {})
        with self.store.transaction():
            found = [one for one in self.store.find(secrets.Secret, model=scope.uuid) if _matches(one, criteria)]
            return {"results": [_result(scope, one, reveal, parameters.pick(criteria, "revision")) for one in found]}


def _reference(given: Json, label: str) -> str:
    return parameters.pick(given, "uri") or parameters.text(given, label)


def _matches(secret: secrets.Secret, criteria: Json) -> bool:
    uri, owner = parameters.pick(criteria, "uri"), parameters.pick(criteria, "owner-tag")
    label = parameters.pick(criteria, "label")
    return (
        (not uri or uri.removeprefix("secret:").rpartition("/")[2] == secret.id)
        and (not owner or owner == secret.owner)
        and (not label or label in (secret.name, secret.label))
    )


def _result(scope: views_lookup.Scope, secret: secrets.Secret, reveal: bool, revision: int | None) -> Json:
    revisions = scope.store.find(secrets.SecretRevision, model=scope.uuid, secret=secret.id)
    wanted = revision or secret.latest_revision
    content = next((one.content for one in revisions if one.revision == wanted), {})
    latest = next((one for one in revisions if one.revision == secret.latest_revision), None)
    return {
        "uri": f"secret:{secret.id}",
        "version": 1,
        "owner-tag": secret.owner,
        "rotate-policy": secret.rotate,
        "next-rotate-time": views_lookup.time(secret.next_rotate) or None,
        "latest-expire-time": views_lookup.time(latest.expires if latest else None) or None,
        "description": secret.description,
        "label": secret.name if tags.kind(secret.owner) == "model" else secret.label,
        "latest-revision": secret.latest_revision,
        "latest-revision-checksum": views_secrets.checksum(latest.content) if latest else "",
        "create-time": views_lookup.time(secret.created),
        "update-time": views_lookup.time(secret.updated),
        "revisions": [_revision(one) for one in revisions],
        "access": [_access(scope, grant) for grant in _grants(scope, secret)],
        **({"value": {"data": content}} if reveal else {}),
    }


def _revision(revision: secrets.SecretRevision) -> Json:
    created = views_lookup.time(revision.created)
    return {
        "revision": revision.revision,
        "backend-name": "internal",
        "create-time": created,
        "update-time": created,
        "expire-time": views_lookup.time(revision.expires) or None,
    }


def _grants(scope: views_lookup.Scope, secret: secrets.Secret) -> list[secrets.SecretGrant]:
    return scope.store.find(secrets.SecretGrant, model=scope.uuid, secret=secret.id)


def _access(scope: views_lookup.Scope, grant: secrets.SecretGrant) -> Json:
    relation = scope.store.get(relations.Relation, scope.uuid, grant.scope) if grant.scope is not None else None
    shown = f"relation-{relation.key.replace(':', '.').replace(' ', '#')}" if relation else tags.model(scope.uuid)
    return {"target-tag": grant.subject, "scope-tag": shown, "role": grant.role}
