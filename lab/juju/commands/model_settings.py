"""model-config, model-constraints, set-model-constraints."""

from __future__ import annotations

import typing

from lab.juju import command, flags, names, output, tabular
from lab.juju.commands import settings_files

_OWN_ATTRIBUTES = frozenset({"name", "type", "uuid"})
_READ_ONLY = {"agent-version": "upgrade-model", "charmhub-url": "add-model"}


@command.define(
    "model-config",
    "Displays or sets configuration values on a model.",
    usage="[<model-key>[=<value>] ...]",
    formats=("tabular", "json", "yaml"),
    options=(
        flags.text("file", usage="Path to yaml-formatted configuration file"),
        flags.boolean("ignore-read-only-fields", usage="Ignore read only fields of a yaml document"),
        flags.repeated("reset", usage="Reset the provided comma delimited keys"),
        *command.COLOR_FLAGS,
    ),
)
def model_config(invocation: command.Invocation) -> None:
    """Show, set and reset the model's configuration."""
    wanted = settings_files.wishes(invocation, invocation.arguments)
    if not (wanted.file or wanted.reset or wanted.values):
        _show(invocation, wanted.keys[0] if wanted.keys else "")
        return
    values: dict[str, typing.Any] = {}
    if wanted.file:
        values |= {
            key: value["value"] if isinstance(value, dict) and "value" in value else value
            for key, value in settings_files.mapping(invocation.read(wanted.file)).items()
        }
    values |= wanted.values
    values = _without_read_only(values, ignore=invocation.options.on("ignore-read-only-fields"))
    known = invocation.call("model_config")
    for key in [*values, *wanted.reset]:
        if key not in known:
            invocation.warn(f'key "{key}" is not defined in the current model configuration: possible misspelling')
    invocation.call("set_model_config", values=values, reset=wanted.reset)


def _without_read_only(values: dict[str, typing.Any], *, ignore: bool) -> dict[str, typing.Any]:
    for key, remedy in _READ_ONLY.items():
        if key in values and not ignore:
            raise command.CommandError(f'"{key}" must be set via "{remedy}"')
    return {key: value for key, value in values.items() if key not in _READ_ONLY}


def _show(invocation: command.Invocation, key: str) -> None:
    found = invocation.call("model_config")
    values = {
        name: {"Value": entry["value"], "Source": entry["source"]}
        for name, entry in sorted(found.items())
        if name not in _OWN_ATTRIBUTES
    }
    if not key:
        shown = {name: {"value": entry["Value"], "source": entry["Source"]} for name, entry in values.items()}
        # Juju's JSON has the names of Go's fields here, its YAML has not.
        invocation.show(
            values if invocation.format == "json" else shown, tabular=lambda value: _table(invocation, value)
        )
        return
    if key not in values:
        raise command.CommandError(f'"{key}" is not a key of the currently targeted model: "{invocation.model}"')
    if invocation.format == "tabular":
        invocation.write(output.as_smart(values[key]["Value"]))
    else:
        lower = {"value": values[key]["Value"], "source": values[key]["Source"]}
        invocation.show({key: values[key] if invocation.format == "json" else lower})


def _table(invocation: command.Invocation, values: dict[str, typing.Any]) -> str:
    table = tabular.Table(color=invocation.color)
    table.heading("Attribute", "From", "Value")
    for name, entry in values.items():
        table.add(name, entry["source"], output.as_yaml(entry["value"]).rstrip("\n"))
    return table.render()


@command.define(
    "model-constraints", "Displays machine constraints for a model.", formats=("constraints", "json", "yaml")
)
def model_constraints(invocation: command.Invocation) -> None:
    """Show the constraints that machines of the model get."""
    invocation.at_most(0)
    text = invocation.call("model_constraints")
    invocation.show(names.pairs(text.split()), constraints=lambda _: f"{text}\n" if text else "")


@command.define(
    "set-model-constraints",
    "Sets machine constraints on a model.",
    usage="<constraint>=<value> ...",
)
def set_model_constraints(invocation: command.Invocation) -> None:
    """Set the constraints that new machines of the model get."""
    try:
        names.pairs(invocation.arguments)
    except ValueError as error:
        raise command.UsageError(f"malformed constraint: {error}") from error
    invocation.call("set_model_constraints", constraints=" ".join(invocation.arguments))
