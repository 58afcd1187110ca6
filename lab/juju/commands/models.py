"""add-model, models, show-model, destroy-model, switch."""

from __future__ import annotations

import time
import typing

from lab.juju import client, command, flags, names, tabular, times
from lab.juju.commands import settings_files

_POLL = 0.2
"""Seconds between looks at a model that is being destroyed."""


@command.define(
    "add-model",
    "Adds a workload model.",
    usage="<model name> [cloud|region|(cloud/region)]",
    scope="controller",
    options=(
        flags.repeated(
            "config", usage="Path to YAML model configuration file or individual options (--config key=value)"
        ),
        flags.text("credential", usage="Accepted and ignored: the lab's cloud needs none"),
        flags.boolean("no-switch", usage="Do not switch to the newly created model"),
        flags.text("owner", usage="The owner of the new model if not the current user"),
    ),
)
def add_model(invocation: command.Invocation) -> None:
    """Create a model and make it the current one."""
    invocation.require(1, "model name is required")
    invocation.at_most(2)
    name = invocation.arguments[0]
    if not names.is_model(name):
        message = f'"{name}" is not a valid name: model names may only contain lowercase letters, digits and hyphens'
        raise command.UsageError(message)
    text, pairs = settings_files.split(invocation, "config")
    config = {**(settings_files.mapping(text) if text else {}), **pairs}
    model = invocation.client.call("add_model", name=name, config=config)
    _remember(invocation)
    if not invocation.options.on("no-switch"):
        invocation.store.select(name)
    controller = invocation.controller
    where = f"{controller['cloud']}/{controller['region']}"
    invocation.inform(f"Added '{model.get('short-name', name)}' model on {where} for user 'admin'")


def _remember(invocation: command.Invocation) -> list[dict[str, typing.Any]]:
    found = invocation.client.call("models")
    invocation.store.remember({model["short-name"]: model["model-uuid"] for model in found})
    return found


@command.define(
    "models",
    "Lists models a user can access on a controller.",
    scope="controller",
    formats=("tabular", "json", "yaml"),
    aliases=("list-models",),
    options=(
        flags.boolean("all", usage="Accepted: there is one user, who sees all models"),
        flags.boolean("exact-time", usage="Use full timestamps"),
        flags.boolean("uuid", usage="Display UUID for models"),
        flags.text("user", usage="Accepted and ignored: there is one user"),
        command.UTC_FLAG,
    ),
)
def list_models(invocation: command.Invocation) -> None:
    """List the models, the current one marked with an asterisk."""
    invocation.at_most(0)
    found = _remember(invocation)
    current = invocation.store.current_model
    shown = {
        "models": [times.localize({key: value for key, value in model.items() if key != "sla"}) for model in found]
    }
    if current:
        shown["current-model"] = current  # pyright: ignore[reportArgumentType]
    invocation.show(shown, tabular=lambda value: _models_table(invocation, value))


def _models_table(invocation: command.Invocation, value: dict[str, typing.Any]) -> str:
    with_uuid = invocation.options.on("uuid")
    with_units = any(model.get("unit-count") for model in value["models"])
    titles = ["Model", *(["UUID"] if with_uuid else []), "Cloud/Region", "Type", "Status", "Machines"]
    titles += [*(["Units"] if with_units else []), "Access", "Last connection"]
    table = tabular.Table(
        right={titles.index(title) for title in ("Machines", "Units") if title in titles}, color=invocation.color
    )
    table.heading(*titles)
    for model in value["models"]:
        name = model["short-name"] + ("*" if model["short-name"] == value.get("current-model") else "")
        user = model["users"][model["owner"]]
        table.add(
            name,
            *([model["model-uuid"]] if with_uuid else []),
            f"{model['cloud']}/{model['region']}",
            model["type"],
            tabular.status_cell(model["status"]["current"]),
            str(len(model.get("machines", {}))),
            *([str(model.get("unit-count", "-"))] if with_units else []),
            user["access"],
            user["last-connection"],
        )
    return f"Controller: {invocation.controller['name']}\n\n{table.render()}"


@command.define(
    "show-model",
    "Shows information about the current or specified model.",
    usage="<model name>",
    formats=("yaml", "json"),
)
def show_model(invocation: command.Invocation) -> None:
    """Show one model."""
    invocation.at_most(1)
    name = invocation.model_of(invocation.arguments[0]) if invocation.arguments else invocation.model
    model = times.localize(invocation.call_in(name, "show_model"))
    model.pop("unit-count", None)
    invocation.show({model["short-name"]: model})


@command.define(
    "destroy-model",
    "Terminate all machines/containers and resources for a non-controller model.",
    usage="[<controller name>:]<model name>",
    scope=None,
    options=(
        flags.boolean("destroy-storage", usage="Destroy all storage instances in the model"),
        flags.boolean("release-storage", usage="Release all storage instances from the model without destroying them"),
        flags.boolean("force", usage="Force destroy model ignoring any errors"),
        flags.boolean("no-wait", usage="Rush through model destruction without waiting for each individual step"),
        flags.duration("t", "timeout", default=-1.0, usage="Timeout for each step of force model destruction"),
        command.NO_PROMPT_FLAG,
        command.LOGIN_FLAG,
    ),
)
def destroy_model(invocation: command.Invocation) -> None:
    """Remove all applications and machines of a model, then the model, and wait until it is gone."""
    options = invocation.options
    if options.on("destroy-storage") and options.on("release-storage"):
        raise command.UsageError("--destroy-storage and --release-storage cannot both be specified")
    if options.given("t") and options.seconds("t") < 0:
        raise command.UsageError("--timeout must be zero or greater")
    if options.given("t") and not options.on("force"):
        raise command.UsageError("--timeout can only be used with --force (dangerous)")
    invocation.require(1, "no model specified")
    invocation.at_most(1)
    if options.on("no-wait") and not options.on("force"):
        raise command.CommandError("--no-wait without --force not valid")
    name = invocation.model_of(invocation.arguments[0])
    details = invocation.call_in(name, "show_model")
    name = details["short-name"]
    _check_storage(invocation, name)
    if invocation.prompts:
        _warn(invocation, name)
        invocation.confirm_name("model", name)
    invocation.inform("Destroying model")
    keep = options.on("release-storage")
    invocation.client.call(
        "destroy_model",
        model=name,
        destroy_storage=True if options.on("destroy-storage") else False if keep else None,
        force=options.on("force"),
        no_wait=options.on("no-wait"),
    )
    _wait_until_gone(invocation, details["model-uuid"])
    _remember(invocation)


def _check_storage(invocation: command.Invocation, name: str) -> None:
    if invocation.options.on("destroy-storage") or invocation.options.on("release-storage"):
        return
    stored = invocation.call_in(name, "storage").get("storage", {})
    persistent = [identifier for identifier, instance in stored.items() if instance["persistent"]]
    if persistent:
        count = f"{len(persistent)} filesystem{'s' if len(persistent) > 1 else ''}"
        raise command.CommandError(
            f'cannot destroy model "{name}"\n\nThe model has persistent storage remaining:\n\t{count}\n\n'
            'Run it again with "--destroy-storage" to destroy the storage, or with "--release-storage" to\n'
            "keep it outside of Juju."
        )


def _warn(invocation: command.Invocation, name: str) -> None:
    status = invocation.call_in(name, "status")
    invocation.warn(
        f'This command will destroy the "{name}" model and affect the following resources. It cannot be stopped.'
    )
    machines, applications = status["machines"], status["applications"]
    if machines:
        listed = " ".join(f'"{number} ({machine.get("instance-id", "")})"' for number, machine in machines.items())
        invocation.inform(f" - {len(machines)} machine{'s' if len(machines) > 1 else ''} will be destroyed")
        invocation.inform(f"  - machine list: {listed}")
    invocation.inform(f" - {len(applications)} application{'s' if len(applications) > 1 else ''} will be removed")
    if applications:
        invocation.inform("  - application list: " + " ".join(f'"{application}"' for application in applications))


def _wait_until_gone(invocation: command.Invocation, uuid: str) -> None:
    reported = ""
    while True:
        try:
            status = invocation.client.call("status", model=uuid, storage=False)
        except client.RemoteError as error:
            if error.code != "model not found":
                raise
            invocation.inform("Model destroyed.")
            return
        counts = [
            f"{len(status[kind])} {kind[:-1]}{'s' if len(status[kind]) > 1 else ''}"
            for kind in ("machines", "applications")
            if status[kind]
        ]
        message = "Waiting for model to be removed" + "".join(f", {count}" for count in counts) + "..."
        if message != reported:
            invocation.inform(message)
            reported = message
        time.sleep(_POLL)


@command.define(
    "switch",
    "Selects or identifies the current controller and model.",
    usage="[<controller>|<model>|<controller>:|:<model>|<controller>:<model>]",
    scope="controller",
)
def switch(invocation: command.Invocation) -> None:
    """Without an argument, print the current model; else make another one current; `-` is the one before."""
    invocation.at_most(1)
    controller = invocation.controller["name"]
    previous = invocation.store.current_model
    before = f"{controller}:admin/{previous}" if previous else controller
    if not invocation.arguments:
        invocation.write(f"{before}\n")
        return
    wanted = invocation.store.previous_model if invocation.arguments == ["-"] else invocation.arguments[0]
    if wanted.rstrip(":") == controller:
        invocation.inform(f"{before} (no change)")
        return
    name = invocation.model_of(wanted)
    details = invocation.call_in(name, "show_model")
    after = f"{controller}:admin/{details['short-name']}"
    if before == after:
        invocation.inform(f"{before} (no change)")
        return
    _remember(invocation)
    invocation.store.select(details["short-name"])
    invocation.inform(f"{before} -> {after}")
