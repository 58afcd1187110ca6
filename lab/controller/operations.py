"""All that a client may ask of the controller, by concern in the modules `operations_*`.

Methods take keyword arguments of JSON's types, give results of JSON's types, and raise
`operations_common.OperationError`. What only shows things is in `views`.
"""

from __future__ import annotations

from lab.controller import (
    operations_faults,
    operations_models,
    operations_refresh,
    operations_relations,
    operations_secrets,
    operations_storage,
    operations_tasks,
)


class Operations(
    operations_models.ModelOperations,
    operations_refresh.RefreshOperations,
    operations_relations.RelationOperations,
    operations_tasks.TaskOperations,
    operations_secrets.SecretOperations,
    operations_storage.StorageOperations,
    operations_faults.FaultOperations,
):
    """The controller's operations."""

    def wait(self, since: int, timeout: float = 30.0) -> dict[str, object]:
        """Waits until something has changed since a sequence number of the journal, at most `timeout` seconds.

        Returns:
            The journal's sequence number, and the changes: kind of entity, and its key.
        """
        self.store.wait(since, timeout)
        changes = self.store.changes(since)
        last = changes[-1].sequence if changes else since
        return {"sequence": last, "changes": [{"kind": change.kind, "key": list(change.key)} for change in changes]}
