"""Tools about relations: who is related, and the databags."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Mapping

import yaml

from lab.controller.tools import errors, flags, registry

if typing.TYPE_CHECKING:
    from lab.controller import context as hook_context
    from lab.controller.tools import views

UNIT = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]*[a-z][a-z0-9]*)*/(0|[1-9][0-9]*)")
APPLICATION = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]*[a-z][a-z0-9]*)*")


def _relation_id(context: hook_context.HookContext, value: str) -> int:
    number = value.rpartition(":")[2]
    if not re.fullmatch(r"[+-]?\d+", number):
        raise ValueError("invalid relation id")
    return context.relation(int(number)).id


RELATION = flags.Option(("relation", "r"), "Specify a relation by id", convert=_relation_id)


def relation_of(invocation: registry.Invocation) -> views.Relation:
    """The relation that was asked for, or the one that the hook is about.

    Raises:
        UsageError: neither exists.
    """
    wanted = invocation.options.get("relation")
    if wanted is not None:
        return invocation.context.relation(wanted)
    relation = invocation.context.hook_relation
    if relation is None:
        raise errors.UsageError("no relation id specified")
    return relation


@registry.tool("relation-ids", "List all relation IDs for the given endpoint.", "[<name>]", formats=registry.SMART)
def relation_ids(invocation: registry.Invocation) -> list[str]:
    """``db:4`` for each relation of the endpoint that is not broken."""
    arguments = invocation.only(1)
    relation = invocation.context.hook_relation
    name = arguments[0] if arguments else relation.endpoint if relation else ""
    if not name:
        raise errors.UsageError("no endpoint name specified")
    return sorted(one.key for one in invocation.context.relations() if one.endpoint == name and not one.broken)


@registry.tool(
    "relation-list",
    "List relation units.",
    "",
    RELATION,
    flags.Option(("app",), "List remote application instead of participating units", switch=True),
    formats=registry.SMART,
)
def relation_list(invocation: registry.Invocation) -> list[str] | str:
    """The remote units that take part, or the remote application."""
    relation = relation_of(invocation)
    invocation.only(0)
    return relation.remote_application if invocation.options.get("app") else list(relation.members)


@registry.tool(
    "relation-get",
    "Get relation settings.",
    "[<key> [<unit id>]]",
    RELATION,
    flags.Option(("app",), "Get the relation data for the overall application, not just a unit", switch=True),
    formats=registry.SMART,
)
def relation_get(invocation: registry.Invocation) -> dict[str, str] | str | None:
    """A databag or one value of it."""
    relation = relation_of(invocation)
    key, *rest = invocation.arguments or ["-"]
    owner, rest = _databag_owner(invocation, rest)
    flags.no_more(rest)
    settings = invocation.context.databag(relation, owner)
    return settings if key in ("-", "") else settings.get(key)


def _databag_owner(invocation: registry.Invocation, rest: list[str]) -> tuple[str, list[str]]:
    """Whose databag is meant, and the arguments that are left."""
    application = invocation.options.get("app", False)
    context = invocation.context
    if rest:
        name, rest = rest[0], rest[1:]
        if application:
            return name.partition("/")[0], rest
        if not UNIT.fullmatch(name):
            if APPLICATION.fullmatch(name):
                raise errors.UsageError(f"expected unit name, got application name {json.dumps(name)}")
            raise errors.UsageError(f"invalid unit name {json.dumps(name)}")
        return name, rest
    owner = context.remote_application if application else context.remote_unit or context.remote_application
    if not owner:
        raise errors.UsageError("no unit or application specified")
    return owner, rest


@registry.tool(
    "relation-set",
    "Set relation settings.",
    "<key>=<value> [<key>=<value> ...]",
    RELATION,
    flags.Option(("file",), "file containing key-value pairs"),
    flags.Option(("app",), "pick whether you are setting application settings or unit settings", switch=True),
    flags.Option(("format",), "deprecated format flag"),
)
def relation_set(invocation: registry.Invocation) -> None:
    """Stage changes of the own unit's or application's databag; an empty value deletes a key."""
    relation = relation_of(invocation)
    changes = settings_from(invocation)
    invocation.context.write_databag(relation, changes, application=invocation.options.get("app", False))


def settings_from(invocation: registry.Invocation) -> dict[str, str]:
    """``key=value`` arguments over the YAML map of ``--file``.

    Raises:
        UsageError: an argument is not of that form.
        ToolError: the file holds no map of plain values.
    """
    overrides = flags.key_values(invocation.arguments)
    path = invocation.options.get("file")
    if not path:
        return overrides
    (content,) = invocation.read(path)
    return {**yaml_settings(content), **overrides}


def yaml_settings(content: str) -> dict[str, str]:
    """A YAML (or JSON) map of plain values; null becomes the empty text.

    Raises:
        ToolError: it is something else.
    """
    try:
        # JSON first: it is what ops sends, and much faster to read.
        settings = json.loads(content)
    except ValueError:
        try:
            settings = yaml.load(content, yaml.BaseLoader)  # noqa: S506 - the base loader makes text only
        except yaml.YAMLError as error:
            raise errors.ToolError(f"yaml: {error}") from None
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        raise errors.ToolError("yaml: unmarshal errors: cannot unmarshal into map[string]string")
    return {str(key): _plain(value) for key, value in settings.items()}


def _plain(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return str(value).lower()
        case int() | float():
            return json.dumps(value)
    raise errors.ToolError("yaml: unmarshal errors: cannot unmarshal into string")


@registry.tool(
    "relation-model-get", "Get details about the model hosting a related application.", "", RELATION,
    formats=registry.YAML,
)  # fmt: skip
def relation_model_get(invocation: registry.Invocation) -> dict[str, str]:
    """The model of the remote application; every relation here is within one model."""
    relation_of(invocation)
    invocation.only(0)
    return {"uuid": invocation.context.model_uuid}
