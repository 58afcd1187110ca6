"""Operations on actions and commands. What shows them is among the views."""

from __future__ import annotations

import dataclasses
import functools
import typing

from lab.controller import action_parameters, operations_common, tags
from lab.controller.entities import applications, charms, machines, models, tasks
from lab.controller.operations_common import Json, OperationError


class TaskOperations(operations_common.Base):
    """Actions, commands, and their tasks."""

    def run_action(self, model: str, units: typing.Sequence[str], action: str, parameters: Json | None = None) -> Json:
        """Enqueues an action on units (`pg/leader` is the leader).

        Returns:
            The operation's number, and for each unit its task or the error why there is none.
        """
        wanted = [{"unit": unit, "action": action, "parameters": parameters} for unit in units]
        return self.run_actions(model, wanted)

    def run_actions(self, model: str, actions: typing.Sequence[Json]) -> Json:
        """Enqueues actions, each with its `unit`, `action` and `parameters`, as one operation.

        Returns:
            As `run_action`, in the order of the actions.
        """
        found = self._model(model)
        names = ",".join(dict.fromkeys(str(one["action"]) for one in actions))
        with self.store.transaction():
            wanted: list[tuple[str, typing.Callable[[int], tasks.Task]]] = []
            for one in actions:
                name, parameters = one["unit"], one.get("parameters") or {}
                enqueue = functools.partial(self._action, found, name=name, action=one["action"], parameters=parameters)
                wanted.append((name, enqueue))
            return self._enqueue_all(found, f"{names} run on {','.join(name for name, _ in wanted)}", wanted)

    def _action(self, model: models.Model, operation: int, name: str, action: str, parameters: Json) -> tasks.Task:
        unit = self._unit(model, name)
        application = self._application(model, unit.application)
        charm = self.store.require(charms.Charm, model.uuid, unit.charm_url or application.charm_url)
        described = charm.actions.get(action)
        if described is None:
            raise OperationError("not found", f'action "{action}" not defined on unit "{unit.name}"')
        try:
            values = action_parameters.check(described, parameters)
        except action_parameters.ParameterError as error:
            raise operations_common.bad_request(str(error)) from error
        return self._task(model, operation, unit.tag, action, values)

    def exec(
        self,
        model: str,
        command: str,
        units: typing.Sequence[str] = (),
        applications: typing.Sequence[str] = (),
        machines: typing.Sequence[str] = (),
        all: bool = False,
        parallel: bool = False,
        timeout: float | None = None,
    ) -> Json:
        """Enqueues a command line on units in their contexts, on machines without any, or on all machines.

        Args:
            model: Name or UUID.
            command: The command line, for a shell.
            units: Units.
            applications: Applications, for all of their units.
            machines: Machines.
            all: All machines of the model.
            parallel: Accepted; units on different machines run at the same time anyway.
            timeout: Seconds after which it is killed.
        """
        found = self._model(model)
        parameters: Json = {"command": command}
        if timeout is not None and timeout > 0:
            parameters["timeout"] = timeout
        with self.store.transaction():
            receivers = self._receivers(found, units, applications, machines, all)
            return self._enqueue_all(
                found,
                "run on " + ",".join(tags.name(receiver) for receiver in receivers),
                [
                    (
                        tags.name(receiver),
                        functools.partial(self._task, found, receiver=receiver, name=tasks.EXEC, parameters=parameters),
                    )
                    for receiver in receivers
                ],
            )

    def _receivers(
        self,
        model: models.Model,
        wanted_units: typing.Sequence[str],
        wanted_applications: typing.Sequence[str],
        wanted_machines: typing.Sequence[str],
        all_machines: bool,
    ) -> list[str]:
        if all_machines:
            return [tags.machine(machine.id) for machine in self.store.find(machines.Machine, model=model.uuid)]
        receivers = [self._unit(model, name).tag for name in wanted_units]
        for name in wanted_applications:
            self._application(model, name)
            receivers += [unit.tag for unit in applications.units_of(self.store, model.uuid, name)]
        receivers += [tags.machine(self._machine(model, name).id) for name in wanted_machines]
        return list(dict.fromkeys(receivers))

    def _task(self, model: models.Model, operation: int, receiver: str, name: str, parameters: Json) -> tasks.Task:
        number = models.next_number(self.store, model.uuid, "operation", first=1)
        task = tasks.Task(model.uuid, number, operation, receiver, name, parameters, self.controller.now())
        self.store.put(task)
        return task

    def _enqueue_all(
        self,
        model: models.Model,
        summary: str,
        wanted: list[tuple[str, typing.Callable[[int], tasks.Task]]],
    ) -> Json:
        number = models.next_number(self.store, model.uuid, "operation", first=1)
        enqueued: list[Json] = []
        errors: list[str] = []
        for receiver, enqueue in wanted:
            try:
                task = enqueue(number)
            except OperationError as error:
                errors.append(error.message)
                enqueued.append({"receiver": receiver, "error": error.message, "code": error.code})
                continue
            described = {"id": str(task.id), "receiver": tags.name(task.receiver)}
            enqueued.append(described | {"receiver-kind": tags.kind(task.receiver)})
        fail = "\n".join(errors) if len(errors) == len(wanted) else ""
        self.store.put(tasks.Operation(model.uuid, number, summary, self.controller.now(), fail))
        return {"operation": str(number), "tasks": enqueued}

    def cancel_task(self, model: str, task: str) -> None:
        """Cancels a task that waits, or kills one that runs.

        Raises:
            OperationError: there is none, or it has ended.
        """
        found = self._model(model)
        with self.store.transaction():
            entity = self.store.get(tasks.Task, found.uuid, int(task)) if str(task).isdigit() else None
            if entity is None:
                raise operations_common.not_found("task", str(task))
            if entity.status is tasks.TaskStatus.PENDING:
                now = self.controller.now()
                self.store.put(dataclasses.replace(entity, status=tasks.TaskStatus.CANCELLED, completed=now))
                return
            if entity.status is not tasks.TaskStatus.RUNNING:
                raise operations_common.bad_request(f"task {task} has ended already: {entity.status}")
            self.store.put(dataclasses.replace(entity, status=tasks.TaskStatus.ABORTING))
        agent = self.controller.agents.get((found.uuid, tags.name(entity.receiver)))
        if agent is not None and agent.runner.task == entity.id:
            agent.runner.kill()
