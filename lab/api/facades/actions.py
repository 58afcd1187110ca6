"""The facade Action: actions and commands."""

from __future__ import annotations

import typing

from lab.api import parameters, registry
from lab.controller import tags
from lab.controller.operations_common import Json


class Action(registry.Facade, name="Action", version=7):
    """Tasks and the operations that they belong to; Juju's older name for a task is action."""

    @registry.call("EnqueueOperation")
    def enqueue_operation(self, given: Json) -> Json:
        """Enqueues actions as one operation."""
        wanted = [
            {
                "unit": _receiver(parameters.text(action, "receiver")),
                "action": parameters.text(action, "name"),
                "parameters": parameters.pick(action, "parameters"),
            }
            for action in parameters.items(given, "actions")
        ]
        with self.store.transaction():  # what is told is what was enqueued: no agent has begun with it
            return self._enqueued(self.operations.run_actions(self.model, wanted))

    @registry.call("Run")
    def run(self, given: Json) -> Json:
        """Enqueues a command line on units, applications and machines."""
        return self._run(
            given,
            units=parameters.items(given, "units"),
            applications=parameters.items(given, "applications"),
            machines=parameters.items(given, "machines"),
        )

    @registry.call("RunOnAllMachines")
    def run_on_all_machines(self, given: Json) -> Json:
        """Enqueues a command line on all machines."""
        return self._run(given, all=True)

    def _run(self, given: Json, **where: typing.Any) -> Json:
        timeout = parameters.seconds(parameters.pick(given, "timeout"))
        command, parallel = parameters.text(given, "commands"), bool(parameters.pick(given, "parallel", False))
        with self.store.transaction():
            done = self.operations.exec(self.model, command, parallel=parallel, timeout=timeout, **where)
            return self._enqueued(done)

    def _enqueued(self, done: Json) -> Json:
        return {
            "operation": f"operation-{done['operation']}",
            "actions": [
                {"error": {"message": task["error"], "code": task["code"]}}
                if "error" in task
                else _result(self.views.show_task(self.model, task["id"]))
                for task in done["tasks"]
            ],
        }

    @registry.call("Actions")
    def actions(self, given: Json) -> Json:
        """Tasks with their results."""
        found = parameters.entities(given, "action")
        return parameters.results(found, lambda number: _result(self.views.show_task(self.model, number)))

    @registry.call("Cancel")
    def cancel(self, given: Json) -> Json:
        """Cancels tasks that wait, and kills those that run."""

        def end(number: str) -> Json:
            self.operations.cancel_task(self.model, number)
            return _result(self.views.show_task(self.model, number))

        return parameters.results(parameters.entities(given, "action"), end)

    @registry.call("ListOperations")
    def list_operations(self, given: Json) -> Json:
        """The operations that match."""
        names = ("applications", "units", "machines", "actions", "status")
        criteria = {name: parameters.items(given, name) for name in names}
        limits = {name: parameters.pick(given, name, 0) for name in ("limit", "offset")}
        found = self.views.operations(self.model, **criteria, **limits)
        shown = [_operation(view) for view in found["operations"]]
        return {"results": shown, "truncated": found["truncated"]}

    @registry.call("Operations")
    def operations_by_tag(self, given: Json) -> Json:
        """Operations with their tasks."""
        found = parameters.entities(given, "operation")
        return parameters.results(found, lambda number: _operation(self.views.show_operation(self.model, number)))

    @registry.call("ApplicationsCharmsActions")
    def applications_charms_actions(self, given: Json) -> Json:
        """The actions that applications' charms have."""

        def find(name: str) -> Json:
            declared = self.views.actions(self.model, name)
            specs = {
                action: {"description": spec["description"], "params": spec["schema"]}
                for action, spec in declared.items()
            }
            return {"application-tag": tags.application(name), "actions": specs}

        return parameters.results(parameters.entities(given, "application"), find)


def _receiver(text: str) -> str:
    """The unit that is to run an action: named by its tag, or as `pg/leader`."""
    return text if text.endswith("/leader") else parameters.entity(text, "unit")


def _result(view: Json) -> Json:
    """One task."""
    kind = tags.unit if view["receiver-kind"] == "unit" else tags.machine
    action = {
        "tag": f"action-{view['id']}",
        "receiver": kind(view["receiver"]),
        "name": view["name"],
        "parameters": view["parameters"],
    }
    return {
        "action": action,
        "enqueued": view["enqueued"] or None,
        "started": view["started"] or None,
        "completed": view["completed"] or None,
        "status": view["status"],
        "message": view["message"],
        "output": view["results"] or None,
        "log": [{"timestamp": line["time"], "message": line["message"]} for line in view["log"]],
    }


def _operation(view: Json) -> Json:
    return {
        "operation": f"operation-{view['id']}",
        "summary": view["summary"],
        "fail": view["fail"],
        "status": view["status"],
        "enqueued": view["enqueued"] or None,
        "started": view["started"] or None,
        "completed": view["completed"] or None,
        "actions": [_result(task) for task in view["tasks"]],
    }
