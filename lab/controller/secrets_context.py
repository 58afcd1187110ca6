"""The part of a hook's context that is about secrets."""

from __future__ import annotations

import contextlib
import typing
from collections.abc import Iterator

from lab.controller import secrets, secrets_events, secrets_staged, tags
from lab.controller.entities import relations
from lab.controller.entities import secrets as entities
from lab.controller.tools import errors, run

if typing.TYPE_CHECKING:
    from lab.controller import core, execution, relation_view


@contextlib.contextmanager
def _as_tool_error() -> Iterator[None]:
    """Errors about secrets inside are those of the tool."""
    try:
        yield
    except secrets.SecretError as error:
        raise errors.ToolError(str(error)) from error


class SecretsContext(run.Run):
    """Secrets as the hook sees them, and its staged changes."""

    def __init__(
        self, controller: core.Controller, execution: execution.Execution, view: relation_view.RelationView
    ) -> None:
        super().__init__(controller, execution, view)
        self._secrets = secrets_staged.StagedSecrets(self.store, self.model_uuid, self.unit)
        self._revision_before = self._latest_revision()

    def _latest_revision(self) -> int:
        if self._hook.secret is None:
            return 0
        secret = self.store.get(entities.Secret, self.model_uuid, self._hook.secret)
        return secret.latest_revision if secret else 0

    def create_secret(self, changes: secrets.Changes, *, of_unit: bool) -> str:
        """Stage a secret of the unit or of its application; returns its identifier.

        Raises:
            NotLeaderError: only the leader creates the application's.
            ToolError: the hook has created another one with that label.
        """
        if not of_unit and not self.is_leader():
            raise errors.NotLeaderError
        identifier = self.controller.identifiers.secret()
        owner = tags.unit(self.unit) if of_unit else tags.application(self.application)
        with _as_tool_error():
            self._secrets.create(identifier, owner, changes)
        return identifier

    def update_secret(self, identifier: str, changes: secrets.Changes) -> None:
        """Stage changes. Whether the unit may make them shows at the end of the hook, as in Juju."""
        self._secrets.update(identifier, changes)

    def remove_secret(self, identifier: str, revision: int | None) -> None:
        """Stage the removal of a secret or of one revision; whether the unit may shows at the end of the hook."""
        self._secrets.remove(identifier, revision)

    def grant_secret(self, identifier: str, subject: str, scope: int) -> None:
        """Stage a grant to an application or unit for as long as a relation lives.

        Raises:
            ToolError: the unit manages no such secret.
        """
        with _as_tool_error():
            self._secrets.grant(identifier, tags.owner(subject), scope, leader=self.is_leader())

    def revoke_secret(self, identifier: str, subject: str) -> None:
        """Stage the end of a grant."""
        self._secrets.revoke(identifier, tags.owner(subject))

    def secret_metadata(self) -> dict[str, secrets_staged.Metadata]:
        """The secrets that the unit manages, by identifier."""
        return self._secrets.metadata(leader=self.is_leader())

    def secret_content(self, identifier: str | None, label: str | None, *, refresh: bool, peek: bool) -> dict[str, str]:
        """The content of a secret, values base64-encoded.

        The secret is named by its identifier or by a label; with both, the unit calls it by that label from now on.

        Raises:
            ToolError: there is no such secret, or the unit may not read it.
        """
        pending = self._secrets.pending_content(identifier, label, refresh=refresh, peek=peek)
        if pending is not None:
            return pending
        if identifier is None:
            assert label is not None
            known = secrets.by_label(self.store, self.model_uuid, self.unit, label)
            identifier = known.id if known else self._secrets.by_label(label)
            if identifier is None:
                raise errors.ToolError(f'secret with label "{label}" not found')
            pending = self._secrets.pending_content(identifier, None, refresh=refresh, peek=peek)
            if pending is not None:
                return pending
            label = None
        with _as_tool_error():
            return secrets.read(
                self.store, self.model_uuid, identifier, self.unit, label=label, refresh=refresh, peek=peek
            )

    def scope_tag(self, scope: int | None) -> str:
        """The tag of the relation that a grant lives with; empty for none."""
        relation = None if scope is None else self.store.get(relations.Relation, self.model_uuid, scope)
        return f"relation-{relation.key.replace(':', '.').replace(' ', '#')}" if relation else ""

    def commit_secrets(self) -> None:
        """Write the staged changes and plan the next event of the secret that the hook was about.

        The caller has opened a transaction.

        Raises:
            SecretError: the unit may not, or a label is taken.
        """
        self._secrets.commit(self.now(), leader=self.is_leader())
        hook = self._hook
        if hook.secret is None:
            return
        if hook.kind == "secret-rotate":
            secrets_events.after_rotate(self.store, self.now(), self.model_uuid, hook.secret, self._revision_before)
        elif hook.kind == "secret-expired":
            revision = hook.secret_revision or 0
            secrets_events.after_expired(self.store, self.now(), self.model_uuid, hook.secret, revision)
