"""One run of a hook, an action or a command line: what it is about, and the environment of its process.

For each run the agent makes `lab.controller.context.HookContext(controller, execution, view)`, gives it every call of a
hook tool that comes from the run, and ends with its `commit()` if the process succeeded, `discard()` if not.
"""

from __future__ import annotations

import dataclasses

from lab.controller import core, tags
from lab.controller.entities import machines, models, relations, storage, tasks
from lab.controller.entities.uniter import Hook
from lab.machines import machine as machine_module

AGENTS = "/var/lib/juju/agents"
TOOLS = "/var/lib/juju/tools"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"


@dataclasses.dataclass(frozen=True)
class Execution:
    """One run on one unit.

    `id` is the context identifier, unique among the unit's runs. A hook has `hook`, an action or `juju exec` has
    `task`, a `juju-exec` on the machine has neither. The relation and the remote unit are the hook's, or what
    `juju-exec` named.
    """

    id: str
    model: str
    unit: str
    hook: Hook | None = None
    task: int | None = None
    relation: int | None = None
    remote_unit: str | None = None
    remote_application: str | None = None

    @property
    def application(self) -> str:
        """The unit's application."""
        return self.unit.partition("/")[0]


def agent_directory(unit: str) -> str:
    """The directory of a unit's agent, as its machine names it."""
    return f"{AGENTS}/{tags.unit(unit)}"


def charm_directory(unit: str) -> str:
    """Where a unit's charm is, as its machine names it."""
    return f"{agent_directory(unit)}/charm"


def tools_directory(unit: str) -> str:
    """Where a unit's hook tools are, as its machine names it."""
    return f"{TOOLS}/{tags.unit(unit)}"


def hook_name(controller: core.Controller, model: str, hook: Hook) -> str:
    """The full name of a hook: `db-relation-changed`, `data-storage-attached`, `install`.

    Raises:
        NotFoundError: its relation or storage is gone.
    """
    if hook.relation is not None:
        relation = controller.store.require(relations.Relation, model, hook.relation)
        return f"{_own_endpoint(relation, hook).name}-{hook.kind}"
    if hook.storage is not None:
        return f"{hook.storage.partition('/')[0]}-{hook.kind}"
    return hook.kind


def _own_endpoint(relation: relations.Relation, hook: Hook) -> relations.RelationEndpoint:
    for endpoint in relation.endpoints:
        if endpoint.application != hook.remote_application:
            return endpoint
    return relation.endpoints[0]


def environment(controller: core.Controller, execution: Execution, dispatch_path: str) -> dict[str, str]:
    """The whole environment of the run's process; nothing is inherited.

    Args:
        controller: The controller.
        execution: The run.
        dispatch_path: `hooks/NAME`, `actions/NAME`, or nothing for a command line.
    """
    hook_name_ = dispatch_path.removeprefix("hooks/") if dispatch_path.startswith("hooks/") else ""
    result = _common(controller, execution)
    result["JUJU_HOOK_NAME"] = hook_name_
    result["JUJU_DISPATCH_PATH"] = dispatch_path
    if execution.relation is not None:
        result |= _relation(controller, execution)
    if execution.hook is not None and execution.hook.storage is not None:
        result |= _storage(controller, execution.model, execution.unit, execution.hook.storage)
    if execution.hook is not None and execution.hook.secret is not None:
        result |= _secret(execution.hook)
    if execution.task is not None:
        task = controller.store.require(tasks.Task, execution.model, execution.task)
        result["JUJU_ACTION_NAME"] = task.name
        result["JUJU_ACTION_UUID"] = str(task.id)
        result["JUJU_ACTION_TAG"] = tags.task(task.id)
    return result


def _common(controller: core.Controller, execution: Execution) -> dict[str, str]:
    model = controller.store.require(models.Model, execution.model)
    machine = machine_of(controller, execution.model, execution.unit)
    charm = machine.inside(charm_directory(execution.unit))
    socket = machine.inside(f"{agent_directory(execution.unit)}/agent.socket")

    def setting(key: str) -> str:
        return str(controller.model_config(execution.model, key) or "")

    return {
        "CHARM_DIR": charm,
        "JUJU_CHARM_DIR": charm,
        "JUJU_CONTEXT_ID": execution.id,
        "JUJU_AGENT_SOCKET_ADDRESS": socket,
        "JUJU_AGENT_SOCKET_NETWORK": "unix",
        "JUJU_UNIT_NAME": execution.unit,
        "JUJU_MODEL_UUID": execution.model,
        "JUJU_MODEL_NAME": model.name,
        "JUJU_API_ADDRESSES": controller.api_addresses,
        "JUJU_MACHINE_ID": _machine_entity(controller, execution.model, execution.unit).id,
        "JUJU_PRINCIPAL_UNIT": "",
        "JUJU_AVAILABILITY_ZONE": "",
        "JUJU_VERSION": core.JUJU_VERSION,
        "CLOUD_API_VERSION": "",
        "JUJU_CHARM_HTTP_PROXY": setting("juju-http-proxy"),
        "JUJU_CHARM_HTTPS_PROXY": setting("juju-https-proxy"),
        "JUJU_CHARM_FTP_PROXY": setting("juju-ftp-proxy"),
        "JUJU_CHARM_NO_PROXY": setting("juju-no-proxy"),
        "PATH": f"{machine.inside(tools_directory(execution.unit))}:{_PATH}",
        "APT_LISTCHANGES_FRONTEND": "none",
        "DEBIAN_FRONTEND": "noninteractive",
        "LANG": "C.UTF-8",
        "TERM": "tmux-256color",
    }


def _machine_entity(controller: core.Controller, model: str, unit: str) -> machines.Machine:
    from lab.controller.entities import units

    entity = controller.store.require(units.Unit, model, unit)
    return controller.store.require(machines.Machine, model, entity.machine or "")


def machine_of(controller: core.Controller, model: str, unit: str) -> machine_module.Machine:
    """The machine that a unit is on.

    Raises:
        NotFoundError: it has none yet.
    """
    return controller.machines.get(_machine_entity(controller, model, unit).hostname)


def _relation(controller: core.Controller, execution: Execution) -> dict[str, str]:
    assert execution.relation is not None
    relation = controller.store.require(relations.Relation, execution.model, execution.relation)
    endpoint = relation.endpoint(execution.application)
    result = {
        "JUJU_RELATION": endpoint.name,
        "JUJU_RELATION_ID": f"{endpoint.name}:{relation.id}",
        "JUJU_REMOTE_UNIT": execution.remote_unit or "",
        "JUJU_REMOTE_APP": execution.remote_application or "",
    }
    if execution.hook is not None and execution.hook.kind == "relation-departed":
        result["JUJU_DEPARTING_UNIT"] = execution.hook.departing_unit or ""
    return result


def addresses(address: str) -> dict[str, str]:
    """What Juju itself writes into a unit's databags about the address of its machine."""
    return {"private-address": address, "ingress-address": address, "egress-subnets": f"{address}/32"}


def storage_location(controller: core.Controller, attachment: storage.StorageAttachment) -> str:
    """Where an attachment is, as processes of its unit's machine name it."""
    return machine_of(controller, attachment.model, attachment.unit).inside(attachment.location)


def _storage(controller: core.Controller, model: str, unit: str, identifier: str) -> dict[str, str]:
    instance = controller.store.require(storage.StorageInstance, model, identifier)
    attachment = controller.store.require(storage.StorageAttachment, model, identifier, unit)
    return {
        "JUJU_STORAGE_ID": identifier,
        "JUJU_STORAGE_LOCATION": storage_location(controller, attachment),
        "JUJU_STORAGE_KIND": instance.kind,
    }


def _secret(hook: Hook) -> dict[str, str]:
    result = {"JUJU_SECRET_ID": f"secret:{hook.secret}", "JUJU_SECRET_LABEL": hook.secret_label or ""}
    if hook.kind in ("secret-expired", "secret-remove"):
        result["JUJU_SECRET_REVISION"] = str(hook.secret_revision)
    return result
