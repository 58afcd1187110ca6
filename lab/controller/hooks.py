"""What an agent does about its charm: puts files in place, runs hooks or skips them, and notes how they ended."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import typing
import zipfile

from lab.controller import (
    charm_files,
    execution,
    faults,
    removal,
    resolver,
    runs,
    secrets_events,
    storage_lifecycle,
    transitions,
)
from lab.controller import context as context_module
from lab.controller import remote as remote_module
from lab.controller import store as store_module
from lab.controller.entities import charms, leadership, machines, relations, secrets, units
from lab.controller.entities.uniter import Hook
from lab.machines import machine as machine_module

if typing.TYPE_CHECKING:
    from lab.controller import agent as agent_module

_LOGGER = "juju.worker.uniter"
_OPERATIONS = "juju.worker.uniter.operation"
_FOR_LEADER = ("leader-elected",)
_FOR_OWNER = ("secret-rotate", "secret-expired", "secret-remove")
_EXEC = pathlib.Path(__file__).with_name("juju-exec")


def install_exec(machine: machine_module.Machine) -> None:
    """Puts the `juju-exec` command onto a machine."""
    target = machine.outside("/usr/local/bin/juju-exec")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(_EXEC, target)


def execute(
    agent: agent_module.Agent,
    operation: resolver.RunHook | resolver.SkipHook | resolver.Deploy | resolver.DropStorage,
    remote: remote_module.Remote,
) -> None:
    """Does one such operation.

    Raises:
        AgentCrash: a fault struck.
        OSError, zipfile.BadZipFile: the charm's files cannot be put in place.
    """
    match operation:
        case resolver.Deploy():
            _deploy(agent, operation, remote)
        case resolver.DropStorage():
            storage_lifecycle.detach(agent.controller, agent.model, agent.unit, operation.storage)
            agent.save(transitions.forgot_storage(agent.local, operation.storage))
        case resolver.SkipHook():
            if operation.resolved:
                _clear_resolved(agent)
            _complete(agent, operation.hook, remote)
        case resolver.RunHook():
            with agent.controller.hook_lock(agent.machine.name):
                _run(agent, operation.hook, remote)


def report_error(agent: agent_module.Agent) -> None:
    """Shows the hook in error as the agent's status."""
    hook = agent.local.hook
    assert hook is not None
    name = _name(agent, hook) or hook.kind
    data: dict[str, object] = {"hook": name}
    if hook.relation is not None:
        data["relation-id"] = hook.relation
        if hook.remote_unit:
            data["remote-unit"] = hook.remote_unit
    agent.set_agent_status("error", f'hook failed: "{name}"', data)


def _name(agent: agent_module.Agent, hook: Hook) -> str | None:
    """The hook's full name; None if what it is about is gone."""
    try:
        return execution.hook_name(agent.controller, agent.model, hook)
    except store_module.NotFoundError:
        return None


def _clear_resolved(agent: agent_module.Agent) -> None:
    store = agent.controller.store
    with store.transaction():
        unit = store.get(units.Unit, agent.model, agent.unit)
        if unit is not None and unit.resolved:
            store.put(dataclasses.replace(unit, resolved=""))


def _deploy(agent: agent_module.Agent, operation: resolver.Deploy, remote: remote_module.Remote) -> None:
    """Puts the charm's files in place. No hook of another unit is waited for, as in Juju."""
    store = agent.controller.store
    charm = store.require(charms.Charm, agent.model, operation.charm_url)
    if operation.upgrade:
        agent.save(transitions.started_upgrade(agent.local))
    base = agent.machine.outside(execution.agent_directory(agent.unit))
    files = charm_files.CharmFiles(base / "charm", base / "state" / "deployer" / "manifests")

    def progress() -> None:
        if (fault := agent.runner.faults.reach(faults.Point.DEPLOY, "")) is not None:
            raise faults.AgentCrash(fault.stay_down)

    try:
        files.deploy(pathlib.Path(charm.archive), charm.url, progress)
    except (OSError, zipfile.BadZipFile) as error:
        agent.log("ERROR", _OPERATIONS, f"cannot deploy charm {charm.url}: {error}")
        # Not a crash, after which the agent would try again at once: this may stay so until somebody mends it.
        raise
    agent.log("INFO", _OPERATIONS, f"deployed charm {charm.url}")
    with store.transaction():
        unit = store.require(units.Unit, agent.model, agent.unit)
        store.put(dataclasses.replace(unit, charm_url=charm.url))
        version = remote.charm_modified_version
        agent.save(transitions.deployed(agent.local, charm.url, version, upgrade=operation.upgrade))


def _run(agent: agent_module.Agent, hook: Hook, remote: remote_module.Remote) -> None:
    name = _name(agent, hook)
    if name is None or not _wanted(agent, hook):
        _complete(agent, hook, remote)
        return
    agent.memory.retry_version = remote.retry_version
    if hook.kind == "start":
        agent.memory.reboot_detected = False
    _prepare(agent, hook, name)
    run = execution.Execution(
        id=agent.runner.identifier(name),
        model=agent.model,
        unit=agent.unit,
        hook=hook,
        relation=hook.relation,
        remote_unit=hook.remote_unit,
        remote_application=hook.remote_application,
    )
    context = context_module.HookContext(agent.controller, run, agent.view)
    operation = f"run {hook.kind}{_subject(hook)} hook"
    agent.log_operation("executing", operation)
    try:
        outcome = agent.runner.charm(agent.machine, run, context, agent.socket, f"hooks/{name}")
    except machine_module.MachineError as error:
        raise faults.AgentCrash(False) from error
    check_machine(agent)
    if context.reboot == "now":
        context.discard()
        agent.save(transitions.requeued_hook(agent.local, hook))
    elif _succeeded(agent, name, outcome, context):
        _note(agent, name, outcome)
        agent.log_operation("committing", operation)
        _complete(agent, hook, remote, context)
    else:
        context.discard()
        return
    if context.reboot:
        reboot(agent)


def _subject(hook: Hook) -> str:
    """What a hook is about, as Juju's log words it."""
    if hook.relation is not None:
        if not hook.remote_unit:
            return f" ({hook.relation}; app: {hook.remote_application})"
        departee = f", departee: {hook.departing_unit}" if hook.departing_unit else ""
        return f" ({hook.relation}; unit: {hook.remote_unit}{departee})"
    if hook.secret is not None:
        revision = f"/{hook.secret_revision}" if hook.kind in ("secret-expired", "secret-remove") else ""
        return f" (secret:{hook.secret}{revision})"
    return f" ({hook.storage})" if hook.storage is not None else ""


def check_machine(agent: agent_module.Agent) -> None:
    """An agent whose machine has gone down in the midst of a run has gone with it."""
    if agent.machine.boot_id != agent.local.boot_id:
        raise faults.AgentCrash(False)


def reboot(agent: agent_module.Agent) -> None:
    """Reboots the machine, and the agent with it."""
    agent.set_agent_status("rebooting")
    agent.log("INFO", _LOGGER, "machine reboot requested by the charm")
    agent.machine.reboot()


def _wanted(agent: agent_module.Agent, hook: Hook) -> bool:
    """Hooks that only a leader is to see are dropped if the unit no longer leads when they come to run."""
    store, now = agent.controller.store, agent.controller.now()
    leader = leadership.is_leader(store, agent.model, agent.unit, now)
    if hook.kind in _FOR_LEADER:
        return leader
    if hook.kind in _FOR_OWNER and hook.secret is not None:
        secret = store.get(secrets.Secret, agent.model, hook.secret)
        return secret is not None and (leader or secret.owner.startswith("unit-"))
    return True


def _prepare(agent: agent_module.Agent, hook: Hook, name: str) -> None:
    with agent.controller.store.transaction():
        _clear_resolved(agent)
        agent.save(transitions.started_hook(agent.local, hook))
        if hook.kind == "install" and not agent.local.status_set:
            agent.set_workload_status("maintenance", "installing charm software")
        elif hook.kind == "stop":
            agent.set_workload_status("maintenance", "stopping charm software")
        elif hook.kind == "remove":
            agent.set_workload_status("maintenance", "cleaning up prior to charm deletion")
        elif hook.kind == "config-changed":
            _update_addresses(agent)
        if hook.kind != "update-status":
            agent.set_agent_status("executing", f"running {name} hook{resolver.describe(hook)}")
    if hook.relation is not None:
        state = agent.local.relations.get(hook.relation)
        if state is not None:
            agent.view.prune(hook.relation, set(state.members), hook.remote_application or "")
        agent.view.invalidate(hook.relation, hook.remote_unit or hook.remote_application or "")


def _update_addresses(agent: agent_module.Agent) -> None:
    """Writes the machine's present address into the unit's databags; config-changed tells the charm of a new one."""
    store = agent.controller.store
    address = store.require(machines.Machine, agent.model, agent.machine_identifier).address
    for relation in agent.local.relations:
        settings = relations.settings(store, agent.model, relation, agent.unit)
        if settings.get("egress-subnets") != execution.addresses(address)["egress-subnets"]:
            relations.write(store, agent.model, relation, agent.unit, settings | execution.addresses(address))


def _succeeded(
    agent: agent_module.Agent, name: str, outcome: runs.Outcome, context: context_module.HookContext
) -> bool:
    """Whether the hook ended well and its changes were committed."""
    if outcome.code:
        agent.log("ERROR", _OPERATIONS, f'hook "{name}" (via {outcome.handler}) failed: {outcome.error}')
        return False
    crash(agent, faults.Point.BEFORE_COMMIT, name)
    try:
        commit(agent, context)
    except context_module.CommitError as error:
        agent.log("ERROR", _OPERATIONS, f'hook "{name}" (via {outcome.handler}) failed: {error}')
        return False
    crash(agent, faults.Point.AFTER_COMMIT, name)
    return True


def crash(agent: agent_module.Agent, point: faults.Point, name: str) -> None:
    """Lets the agent crash here if a fault says so."""
    if (fault := agent.runner.faults.reach(point, name)) is not None:
        raise faults.AgentCrash(fault.stay_down)


def commit(agent: agent_module.Agent, context: context_module.HookContext) -> None:
    """Writes what a run has staged, in one transaction.

    Raises:
        CommitError: it cannot be written; nothing of it was.
    """
    controller, store = agent.controller, agent.controller.store
    if controller.outage:
        raise context_module.CommitError("connection is shut down")
    with store.transaction():
        unit = store.require(units.Unit, agent.model, agent.unit)
        for name, count in context.storage_wanted.items():
            storage_lifecycle.add(controller, unit, name, count)
        context.commit()
        agent.save(dataclasses.replace(agent.local, status_set=agent.local.status_set or context.status_set))


def _note(agent: agent_module.Agent, name: str, outcome: runs.Outcome) -> None:
    if outcome.found:
        agent.log("INFO", _OPERATIONS, f'ran "{name}" hook (via {outcome.handler})')
    else:
        agent.log("INFO", _OPERATIONS, f'skipped "{name}" hook (missing)')


def _complete(
    agent: agent_module.Agent,
    hook: Hook,
    remote: remote_module.Remote,
    context: context_module.HookContext | None = None,
) -> None:
    """Notes that a hook is done, with what Juju itself does after it."""
    if hook.kind == "storage-detaching" and hook.storage is not None:
        storage_lifecycle.detach(agent.controller, agent.model, agent.unit, hook.storage)
    with agent.controller.store.transaction():
        if context is not None:
            _set_status_after(agent, hook)
        elif hook.secret is not None:
            _plan_secret(agent, hook.kind, hook.secret, hook.secret_revision or 0)
        if hook.kind == "relation-broken" and hook.relation is not None:
            removal.leave_scope(agent.controller, agent.model, hook.relation, agent.unit)
        agent.save(transitions.completed_hook(agent.local, hook, remote))
    agent.memory.update_status_version = remote.update_status_version
    if hook.kind == "leader-settings-changed":
        agent.memory.leader_settings_version = remote.leader_settings_version


def _plan_secret(agent: agent_module.Agent, kind: str, identifier: str, revision: int) -> None:
    """Plans the next event of a secret whose hook was skipped; a hook that ran has done so with its changes."""
    store, now = agent.controller.store, agent.controller.now()
    secret = store.get(secrets.Secret, agent.model, identifier)
    if secret is not None and kind == "secret-rotate":
        secrets_events.after_rotate(store, now, agent.model, identifier, secret.latest_revision)
    elif secret is not None and kind == "secret-expired":
        secrets_events.after_expired(store, now, agent.model, identifier, revision)


def _set_status_after(agent: agent_module.Agent, hook: Hook) -> None:
    if hook.kind == "stop":
        agent.set_workload_status("maintenance")
    elif hook.kind == "remove":
        agent.set_workload_status("terminated")
    elif hook.kind == "start" and not agent.local.status_set:
        agent.set_workload_status("unknown")
