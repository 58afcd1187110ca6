"""What every part of a hook's context stands on."""

from __future__ import annotations

import datetime
import typing

from lab.controller.entities import leadership, uniter

if typing.TYPE_CHECKING:
    from lab.controller import core, execution, relation_view


class Run:
    """One run on one unit: where, what for, when.

    Attributes:
        controller: The store, the time and the identifiers.
        execution: What is run.
        store: The controller's store.
        model_uuid: The unit's model.
        unit: The unit.
        application: Its application.
    """

    def __init__(
        self, controller: core.Controller, execution: execution.Execution, view: relation_view.RelationView
    ) -> None:
        """Begin a run; ``view`` is for the part that reads relations."""
        self.controller = controller
        self.execution = execution
        self.store = controller.store
        self.model_uuid = execution.model
        self.unit = execution.unit
        self.application = execution.application
        self._hook = execution.hook or uniter.Hook("")

    def now(self) -> datetime.datetime:
        """The present time."""
        return self.controller.now()

    def is_leader(self) -> bool:
        """Whether the unit leads its application now."""
        return leadership.is_leader(self.store, self.model_uuid, self.unit, self.now())
