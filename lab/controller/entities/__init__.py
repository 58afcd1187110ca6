"""The entities of the controller, one concern a module, each with its table and the queries that go with it.

| module | entities, with their primary keys |
|---|---|
| `models` | Model (uuid), Sequence (model, name) |
| `charms` | Charm (model, url) |
| `applications` | Application (model, name), Settings (+ charm_url), Resource (+ name) |
| `units` | Unit (model, name), Ports (model, unit), CharmState (model, unit) |
| `uniter` | UniterState (model, unit): what one agent remembers on its machine; Hook |
| `machines` | Machine (model, id) |
| `relations` | Relation (model, id), Membership (model, relation, unit), Databag (model, relation, owner) |
| `statuses` | Status (model, entity), StatusHistory (sequence) |
| `storage` | StorageInstance (model, id), StorageAttachment (model, storage, unit) |
| `secrets` | Secret (model, id), SecretRevision (+ revision), SecretConsumer (+ consumer), SecretGrant (+ subject) |
| `tasks` | Operation (model, id), Task (model, id) |
| `leadership` | Lease (model, application), LeaderSettings (model, application) |
| `logs` | LogLine (sequence) |
| `annotations` | Annotations (model, entity) |
| `cleanups` | Cleanup (model, kind, entity): removals by force that are due at some time |

`model` is always the model's UUID. Entities are referred to by the names that Juju shows: unit `pg/0`, application
`pg`, machine `0`, storage `data/0`, relation by its number, secret by its bare identifier (no `secret:`).
Where one column may hold entities of several kinds (`Status.entity`, the owners and readers of secrets), it holds
Juju's tag: `unit-pg-0`, `application-pg`, `machine-0`, `model-UUID`; see `lab.controller.tags`.
"""

from lab.controller.entities import (
    annotations,
    applications,
    charms,
    cleanups,
    leadership,
    logs,
    machines,
    models,
    relations,
    secrets,
    statuses,
    storage,
    tasks,
    uniter,
    units,
)

__all__ = [
    "annotations",
    "applications",
    "charms",
    "cleanups",
    "leadership",
    "logs",
    "machines",
    "models",
    "relations",
    "secrets",
    "statuses",
    "storage",
    "tasks",
    "uniter",
    "units",
]
