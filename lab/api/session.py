"""What the calls work with: the controller as all connections share it, and what belongs to one connection."""

from __future__ import annotations

import dataclasses
import typing
import uuid

from lab.api import changes as changes_module
from lab.api import pending as pending_module
from lab.controller import core, operations, views, views_lookup

if typing.TYPE_CHECKING:
    from lab.api import watcher as watcher_module

USER = "admin"
"""The only user."""


@dataclasses.dataclass
class Context:
    """The controller, as every connection sees it. `endpoint` is where clients reach it: `127.0.0.1:17070`."""

    controller: core.Controller
    operations: operations.Operations
    views: views.Views
    described: views_lookup.Controller
    password: str = dataclasses.field(repr=False, default="")
    ca_certificate: str = ""
    endpoint: str = ""
    pending: pending_module.PendingResources = dataclasses.field(default_factory=pending_module.PendingResources)
    changes: changes_module.Changes = dataclasses.field(default_factory=changes_module.Changes)

    def scope(self, model: str) -> views_lookup.Scope:
        """One model to look at, by name or UUID.

        Raises:
            OperationError: there is none.
        """
        store = self.controller.store
        return views_lookup.Scope(store, self.described, views_lookup.find_model(store, model), self.controller.now())

    @property
    def controller_model(self) -> str:
        """The UUID of the model `controller`, which Juju has for itself; nothing is in the lab's."""
        return str(uuid.uuid5(uuid.UUID(self.described.uuid), "controller"))


@dataclasses.dataclass
class Session:
    """One connection: to the controller (`model` is None) or to a model, by its UUID."""

    context: Context
    model: str | None = None
    logged_in: bool = False
    watchers: dict[str, watcher_module.Watcher] = dataclasses.field(default_factory=dict)
