"""What an agent does about tasks: actions, `juju exec`, and `juju-exec` on the machine."""

from __future__ import annotations

import dataclasses
import typing

from lab.controller import context as context_module
from lab.controller import exec_arguments, execution, faults, hooks, resolver, runs, tools, transitions
from lab.controller.entities import charms, tasks, units
from lab.machines import machine as machine_module

if typing.TYPE_CHECKING:
    from lab.controller import agent as agent_module

_OPERATIONS = "juju.worker.uniter.operation"
_CUT_OFF = "action terminated"


def execute(agent: agent_module.Agent, operation: resolver.RunTask | resolver.FailTask | resolver.RunCommand) -> None:
    """Does one such operation.

    Raises:
        AgentCrash: a fault struck.
    """
    match operation:
        case resolver.FailTask():
            _fail(agent, operation.task)
        case resolver.RunTask():
            with agent.controller.hook_lock(agent.machine.name):
                _run(agent, operation.task)
        case resolver.RunCommand():
            with agent.controller.hook_lock(agent.machine.name):
                _command(agent, operation.command)


def _fail(agent: agent_module.Agent, number: int) -> None:
    with agent.controller.store.transaction():
        task = agent.controller.store.get(tasks.Task, agent.model, number)
        if task is not None and not task.status.ended:
            _end(agent, dataclasses.replace(task, status=tasks.TaskStatus.FAILED, message=_CUT_OFF))
        if agent.local.task == number:
            agent.save(transitions.ended_task(agent.local))


def _end(agent: agent_module.Agent, task: tasks.Task) -> None:
    agent.controller.store.put(dataclasses.replace(task, completed=agent.controller.now()))


def _run(agent: agent_module.Agent, number: int) -> None:
    store = agent.controller.store
    task = store.get(tasks.Task, agent.model, number)
    if task is None or task.status is not tasks.TaskStatus.PENDING:
        # It was cancelled meanwhile, or had begun before the agent crashed.
        _fail(agent, number)
        return
    if (reason := _refusal(agent, task)) is not None:
        _end(agent, dataclasses.replace(task, status=tasks.TaskStatus.ERROR, message=reason))
        return
    with store.transaction():
        agent.save(transitions.started_task(agent.local, number))
        store.put(dataclasses.replace(task, status=tasks.TaskStatus.RUNNING, started=agent.controller.now()))
        agent.set_agent_status("executing", f"running action {task.name}")
    run = execution.Execution(agent.runner.identifier(task.name), agent.model, agent.unit, task=number)
    context = context_module.HookContext(agent.controller, run, agent.view)
    agent.runner.task = number
    agent.log_operation("executing", f"run action {number}")
    try:
        outcome, error = _process(agent, task, run, context)
    except machine_module.MachineError as gone:
        raise faults.AgentCrash(False) from gone
    finally:
        agent.runner.task = None
    hooks.check_machine(agent)
    _finish(agent, task, outcome, error, context)


def _refusal(agent: agent_module.Agent, task: tasks.Task) -> str | None:
    if task.name == tasks.EXEC:
        return None
    unit = agent.controller.store.require(units.Unit, agent.model, agent.unit)
    charm = agent.controller.store.require(charms.Charm, agent.model, unit.charm_url or "")
    if task.name not in charm.actions:
        return f'action "{task.name}" not defined on unit "{agent.unit}"'
    return None


def _process(
    agent: agent_module.Agent, task: tasks.Task, run: execution.Execution, context: context_module.HookContext
) -> tuple[runs.Outcome, str]:
    """Runs the task; how it went, and the reason if it could not run to its end."""
    if task.name != tasks.EXEC:
        outcome = agent.runner.charm(agent.machine, run, context, agent.socket, f"actions/{task.name}")
        return outcome, outcome.error if outcome.found else f'action not implemented on unit "{agent.unit}"'
    timeout = task.parameters.get("timeout")
    command = str(task.parameters["command"])
    try:
        outcome = agent.runner.command(
            agent.machine, run, context, agent.socket, command, None if timeout is None else float(timeout)
        )
    except TimeoutError:
        return runs.Outcome("command", code=1), "command timed out"
    # A command's exit status is a result like others; only what a signal ended has failed.
    return outcome, outcome.error if outcome.code < 0 else ""


def _finish(
    agent: agent_module.Agent,
    task: tasks.Task,
    outcome: runs.Outcome,
    error: str,
    context: context_module.HookContext,
) -> None:
    results = dict(context.action.results) if context.action else {}
    results["return-code"] = outcome.code if outcome.code >= 0 else 128 - outcome.code
    for key, lines in (("stdout", outcome.stdout), ("stderr", outcome.stderr)):
        if lines:
            results[key] = "\n".join(lines) + "\n"
    status, message = tasks.TaskStatus.COMPLETED, ""
    if context.action is not None and context.action.failed:
        status, message = tasks.TaskStatus.FAILED, context.action.message
    if error:
        status, message = tasks.TaskStatus.FAILED, error
        context.discard()
    elif (problem := _commit(agent, task.name, context)) is not None:
        status, message = tasks.TaskStatus.FAILED, "committing requested changes failed"
        results["return-code"] = results["return-code"] or 1
        results["stderr"] = results.get("stderr", "") + problem
    _note(agent, task.name, outcome, error)
    agent.log_operation("committing", f"run action {task.id}")
    with agent.controller.store.transaction():
        latest = agent.controller.store.get(tasks.Task, agent.model, task.id)
        if latest is not None:
            if latest.status is tasks.TaskStatus.ABORTING:
                status, message = tasks.TaskStatus.ABORTED, ""
            _end(agent, dataclasses.replace(latest, status=status, message=message, results=results))
        agent.save(transitions.ended_task(agent.local))


def _commit(agent: agent_module.Agent, name: str, context: context_module.HookContext) -> str | None:
    hooks.crash(agent, faults.Point.BEFORE_COMMIT, name)
    try:
        hooks.commit(agent, context)
    except context_module.CommitError as problem:
        return str(problem)
    hooks.crash(agent, faults.Point.AFTER_COMMIT, name)
    return None


def _note(agent: agent_module.Agent, name: str, outcome: runs.Outcome, error: str) -> None:
    if error:
        agent.log("ERROR", _OPERATIONS, f'action "{name}" (via {outcome.handler}) failed: {error}')
    else:
        agent.log("INFO", _OPERATIONS, f'ran "{name}" action (via {outcome.handler})')


def _command(agent: agent_module.Agent, command: str) -> None:
    """Runs what `juju-exec` on the machine asked for, and answers it."""
    try:
        wanted = exec_arguments.parse(agent.runner.commands.arguments(command), agent.local, agent)
    except ValueError as error:
        agent.runner.commands.answer(command, tools.Answer(err=f"ERROR {error}\n", code=2))
        return
    run = execution.Execution(
        id=agent.runner.identifier("run-commands"),
        model=agent.model,
        unit=agent.unit,
        relation=wanted.relation,
        remote_unit=wanted.remote_unit,
        remote_application=wanted.remote_application,
    )
    context = context_module.HookContext(agent.controller, run, agent.view)
    agent.set_agent_status("executing", "running commands")
    agent.log_operation("executing", "run commands")
    try:
        outcome = agent.runner.command(agent.machine, run, context, agent.socket, wanted.script, None)
    except machine_module.MachineError as gone:
        raise faults.AgentCrash(False) from gone
    hooks.check_machine(agent)
    out, err = ("".join(f"{line}\n" for line in lines) for lines in (outcome.stdout, outcome.stderr))
    code = outcome.code if outcome.code >= 0 else 128 - outcome.code
    try:
        hooks.commit(agent, context)
    except context_module.CommitError as problem:
        err, code = f"{err}ERROR {problem}\n", code or 1
    agent.log_operation("committing", "run commands")
    agent.runner.commands.answer(command, tools.Answer(out, err, code))
