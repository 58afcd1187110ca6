"""exec."""

from __future__ import annotations

import shlex

from lab.juju import command, flags, names, task_results, task_wait
from lab.juju.commands import actions


@command.define(
    "exec",
    "Run the commands on the remote targets specified.",
    usage="<commands>",
    formats=("plain", "json", "yaml"),
    options=(
        *actions.RUN_FLAGS,
        flags.boolean("all", usage="Run the commands on all the machines"),
        flags.boolean("operator", usage="Run the commands on the operator (k8s-only)"),
        flags.boolean("parallel", default=True, usage="Run the commands in parallel without first acquiring a lock"),
        flags.text("execution-group", usage="Commands in the same execution group are run sequentially"),
        flags.words("machine", usage="One or more machine ids"),
        flags.words("a", "app", "application", usage="One or more application names"),
        flags.words("u", "unit", usage="One or more unit ids"),
    ),
)
def execute(invocation: command.Invocation) -> None:
    """Run a shell command: for units and applications in a hook context as root, on machines as ubuntu.

    Options of the command itself must come after `--`.
    """
    options = invocation.options
    wait = actions.wait_time(options, 300.0)
    if not invocation.arguments:
        raise command.UsageError("no commands specified")
    _check_targets(options)
    if options.on("operator"):
        raise command.CommandError("only k8s models support the --operator flag")
    line = invocation.arguments[0] if len(invocation.arguments) == 1 else shlex.join(invocation.arguments)
    enqueued = invocation.call(
        "exec",
        command=line,
        units=options.texts("u"),
        applications=options.texts("a"),
        machines=options.texts("machine"),
        all=options.on("all"),
        parallel=options.on("parallel"),
        timeout=wait,
    )
    task_wait.report(invocation, enqueued, plain=task_results.streams, wait=wait, quiet=True)


def _check_targets(options: flags.Values) -> None:
    kinds = (("machine", "machines"), ("a", "applications"), ("u", "units"))
    given = [shown for name, shown in kinds if options.texts(name)]
    if options.on("all") and given:
        raise command.UsageError(f"You cannot specify --all and individual {given[0]}")
    if not options.on("all") and not given:
        raise command.UsageError("You must specify a target, either through --all, --machine, --application or --unit")
    wrong = [f'  "{word}" is not a valid machine id' for word in options.texts("machine") if not names.is_machine(word)]
    wrong += [
        f'  "{word}" is not a valid application name' for word in options.texts("a") if not names.is_application(word)
    ]
    wrong += [
        f'  "{word}" is not a valid unit name' for word in options.texts("u") if not names.is_unit_or_leader(word)
    ]
    if wrong:
        raise command.UsageError("The following exec targets are not valid:\n" + "\n".join(wrong))
