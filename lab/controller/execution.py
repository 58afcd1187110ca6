"""One run of a hook, an action or a command line: what it is about, and the environment of its process.

For each run the agent makes `lab.controller.context.HookContext(controller, execution, view)`, gives it every call of a hook
tool that comes from the run, and ends with its `commit()` if the process succeeded, `discard()` if not.
"""

from __future__ import annotations

import dataclasses

from lab.controller import core, tags
from lab.controller.entities import applications, machines, models, relations, storage, tasks, units
from lab.controller.entities import uniter as uniter_entities

AGENTS = "/var/lib/juju/agents"
TOOLS = "/var/lib/juju/tools"


@dataclasses.dataclass(frozen=True)
class Execution:
    """One run on one unit.

    `id` is the context identifier, unique among the unit's runs. Exactly one of `hook` and `task` is given for a hook and
    for an action or `juju exec`; neither for a `juju-exec` on the machine. `relation` and `remote_unit` are those of the
    hook, or what `juju-exec` was told.
    """

    id: str
    model: str
    unit: str
    hook: uniter_entities.Hook | None = None
    task: int | None = None
    relation: int | None = None
    remote_unit: str | None = None
    remote_application: str | None = None

    @property
    def application(self) -> str:
        """The unit's application."""
        return self.unit.partition("/")[0]
