"""run, actions, show-action."""

from __future__ import annotations

import typing

from lab.juju import command, flags, names, output, tabular, task_results, task_wait
from lab.juju.commands import settings_files

RUN_FLAGS = (
    flags.boolean("background", usage="Run the task in the background"),
    flags.duration("wait", usage="Maximum wait time for a task to complete"),
    *command.COLOR_FLAGS,
    command.UTC_FLAG,
)


def wait_time(options: flags.Values, default: float) -> float:
    """Seconds to wait for the tasks.

    Raises:
        UsageError: Both `--wait` and `--background` were given.
    """
    if options.on("background") and options.seconds("wait") > 0:
        raise command.UsageError("cannot specify both --wait and --background")
    return options.seconds("wait") or default


@command.define(
    "run",
    "Run an action on a specified unit.",
    usage="<unit> [<unit> ...] <action-name> [<key>=<value> [<key>[.<key> ...]=<value>]]",
    formats=("plain", "json", "yaml"),
    options=(
        *RUN_FLAGS,
        flags.text("params", usage="Path to yaml-formatted params file"),
        flags.boolean("string-args", usage="Use raw string values of CLI args"),
        flags.words("u", "unit", usage="Units to run the action on, besides those named as arguments"),
    ),
)
def run(invocation: command.Invocation) -> None:
    """Run an action on units of one application and wait for its results; `app/leader` is the leader.

    Values are read as YAML unless `--string-args` is given; `a.b=1` sets `b` within `a`. Arguments override `--params`.
    """
    wait = wait_time(invocation.options, 60.0)
    receivers, action, words = _split(invocation)
    parameters = {}
    if invocation.options.text("params"):
        parameters = settings_files.mapping(invocation.read(invocation.options.text("params")))
    for word in words:
        _assign(parameters, word, raw=invocation.options.on("string-args"))
    enqueued = invocation.call("run_action", units=receivers, action=action, parameters=parameters)
    task_wait.report(invocation, enqueued, plain=task_results.plain, wait=wait, quiet=False)


def _split(invocation: command.Invocation) -> tuple[list[str], str, list[str]]:
    """Units, action and parameters of the command line."""
    receivers = list(invocation.options.texts("u"))
    rest = list(invocation.arguments)
    while rest and names.is_unit_or_leader(rest[0]):
        receivers.append(rest.pop(0))
    if rest and not names.is_action(rest[0]):
        raise command.UsageError(f'invalid unit or action name "{rest[0]}"')
    if not receivers:
        raise command.UsageError("no unit specified")
    if not rest:
        raise command.UsageError("no action specified")
    if len({receiver.partition("/")[0] for receiver in receivers}) > 1:
        raise command.UsageError("all units must be of the same application")
    for word in rest[1:]:
        _check_parameter(word)
    return receivers, rest[0], rest[1:]


def _check_parameter(word: str) -> None:
    key, equals, _ = word.partition("=")
    if not equals:
        raise command.UsageError(f'argument "{word}" must be of the form key.key.key...=value')
    for part in key.split("."):
        if not names.is_action(part):
            rule = "must start and end with lowercase alphanumeric, and contain only lowercase alphanumeric and hyphens"
            raise command.UsageError(f'key "{part}" {rule}')


def _assign(parameters: dict[str, typing.Any], word: str, *, raw: bool) -> None:
    key, _, text = word.partition("=")
    *path, last = key.split(".")
    target = parameters
    for part in path:
        if not isinstance(target.get(part), dict):
            target[part] = {}
        target = target[part]
    target[last] = text if raw else parse(text)


def parse(text: str) -> typing.Any:
    """A parameter's value, read as YAML.

    Raises:
        CommandError: It is no YAML.
    """
    import yaml  # late: actions without parameters do not need it

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise command.CommandError(f"yaml: {error}") from error


@command.define(
    "actions",
    "List actions defined for an application.",
    usage="<application>",
    formats=("default", "tabular", "json", "yaml"),
    aliases=("list-actions",),
    options=(flags.boolean("schema", usage="Display the full action schema"),),
)
def actions(invocation: command.Invocation) -> None:
    """List an application's actions with their descriptions."""
    schema = invocation.options.on("schema")
    if schema and invocation.format == "tabular":
        raise command.UsageError("full schema not compatible with tabular output")
    invocation.require(1, "no application name specified")
    name = _application(invocation)
    found = invocation.call("actions", application=name)
    if schema:
        invocation.show({action: details["schema"] for action, details in found.items()}, default=output.as_yaml)
        return
    descriptions = {action: details["description"] for action, details in found.items()}
    if not descriptions and invocation.format in ("default", "tabular"):
        invocation.inform(f"No actions defined for {name}.")
        return
    invocation.show(descriptions, default=_actions_table, tabular=_actions_table)


def _application(invocation: command.Invocation) -> str:
    name = invocation.arguments[0]
    if not names.is_application(name):
        raise command.UsageError(f'invalid application name "{name}"')
    return name


def _actions_table(descriptions: dict[str, str]) -> str:
    table = tabular.Table()
    table.add("Action", "Description")
    for action in sorted(descriptions, key=tabular.natural_key):
        first, *more = descriptions[action].strip().splitlines() or [""]
        table.add(action, first)
        for line in more:
            table.add("", line)
    return table.render()


@command.define("show-action", "Shows detailed information about an action.", usage="<application> <action>")
def show_action(invocation: command.Invocation) -> None:
    """Show one action: description and arguments."""
    invocation.require(1, "no application specified")
    name = _application(invocation)
    invocation.require(2, "no action specified")
    invocation.at_most(2)
    found = invocation.call("actions", application=name)
    action = found.get(invocation.arguments[1])
    if action is None:
        invocation.inform(f'unknown action "{invocation.arguments[1]}"')
        raise command.CommandError
    properties = action["schema"]["properties"]
    described = {key: _argument(properties[key]) for key in sorted(properties) if isinstance(properties[key], dict)}
    invocation.write(f"{action['description']}\n\nArguments\n{output.as_yaml(described)}\n")


def _argument(declared: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """What show-action tells of a parameter: its type and description always, its default where it has one."""
    described = {"type": declared.get("type"), "description": declared.get("description")}
    default = declared.get("default")
    return described if default is None else described | {"default": default}
