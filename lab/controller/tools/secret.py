"""Tools for secrets."""

from __future__ import annotations

import base64
import datetime
import json
import re
import typing
from collections.abc import Sequence

from lab.controller import secrets, secrets_content, secrets_rotation, tags
from lab.controller.tools import errors, flags, registry, relations

if typing.TYPE_CHECKING:
    from lab.controller import context as hook_context
    from lab.controller import secrets_staged

_DURATION = re.compile(r"([0-9]*\.?[0-9]+)(ns|us|µs|μs|ms|h|m|s)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def _identifier(text: str) -> str:
    try:
        return secrets_content.identifier(text)
    except ValueError as error:
        raise errors.UsageError(str(error)) from None


def expiry(text: str, now: datetime.datetime) -> datetime.datetime:
    """Read a time (RFC 3339, UTC where no zone is given) or a duration as Go writes it (``24h``, ``1h30m``).

    Raises:
        UsageError: it is neither, or a duration that is not positive.
    """
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        if "T" in text:
            return time if time.tzinfo else time.replace(tzinfo=datetime.UTC)
    parts = _DURATION.findall(text.removeprefix("-").removeprefix("+"))
    if not parts or "".join(number + unit for number, unit in parts) != text.lstrip("+-"):
        raise errors.UsageError(f"expire time or duration {json.dumps(text)} not valid")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if text.startswith("-") or seconds <= 0:
        raise errors.UsageError(f"negative expire duration {json.dumps(text)} not valid")
    return now + datetime.timedelta(seconds=seconds)


_UPSERT = (
    flags.Option(("expire",), "either a duration or time when the secret should expire"),
    flags.Option(("rotate",), "the secret rotation policy"),
    flags.Option(("description",), "the secret description"),
    flags.Option(("label",), "a label used to identify the secret in hooks"),
    flags.Option(("file",), "a YAML file containing secret key values"),
    flags.Option(("owner",), "the owner of the secret, either the application or unit"),
)


def _changes(invocation: registry.Invocation, words: Sequence[str]) -> secrets.Changes:
    options = invocation.options
    expires = options.get("expire")
    rotate = options.get("rotate") or None
    if rotate is not None and rotate not in secrets_rotation.POLICIES:
        raise errors.UsageError(f"rotate policy {json.dumps(rotate)} not valid")
    if options.get("owner", "application") not in ("application", "unit"):
        raise errors.UsageError(f"secret owner {json.dumps(options['owner'])} not valid")
    return secrets.Changes(
        content=_content(invocation, words) or None,
        label=options.get("label") or None,
        description=options.get("description") or None,
        rotate=rotate,
        expires=expiry(expires, invocation.context.now()) if expires else None,
    )


def _content(invocation: registry.Invocation, words: Sequence[str]) -> dict[str, str]:
    """``key=value``, ``key#base64=value`` and ``key#file=path`` arguments, under the YAML map of ``--file``."""
    pairs: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise errors.UsageError(f"key value {json.dumps(word)} not valid")
        pairs[key] = value
    from_files = {key: path for key, path in pairs.items() if key.endswith("#file")}
    more = invocation.options.get("file")
    try:
        contents = invocation.read(*from_files.values(), *([more] if more else []))
        for key, content in zip(from_files, contents, strict=False):
            del pairs[key]
            pairs[key.removesuffix("#file")] = content
        if more:
            pairs |= relations.yaml_settings(contents[-1])
    except errors.ToolError as error:
        raise errors.UsageError(str(error)) from None
    try:
        return secrets_content.encode(pairs)
    except ValueError as error:
        raise errors.UsageError(str(error)) from None


@registry.tool("secret-add", "Add a new secret.", "[key[#base64|#file]=value...]", *_UPSERT)
def secret_add(invocation: registry.Invocation) -> str:
    """Stage a secret and print its URI."""
    if not invocation.arguments and not invocation.options.get("file"):
        raise errors.UsageError("missing secret value or filename")
    changes = _changes(invocation, invocation.arguments)
    if not changes.content:
        raise errors.ToolError("empty secret value not valid")
    of_unit = invocation.options.get("owner", "application") == "unit"
    identifier = invocation.context.create_secret(changes, of_unit=of_unit)
    return f"{secrets_content.uri(identifier)}\n"


@registry.tool("secret-set", "Update an existing secret.", "<ID> [key[#base64]=value...]", *_UPSERT)
def secret_set(invocation: registry.Invocation) -> None:
    """Stage new content or metadata."""
    if not invocation.arguments:
        raise errors.UsageError("missing secret URI")
    identifier, *words = invocation.arguments
    identifier = _identifier(identifier)
    invocation.context.update_secret(identifier, _changes(invocation, words))


@registry.tool(
    "secret-remove",
    "Remove an existing secret.",
    "<ID>",
    flags.Option(("revision",), "remove the specified revision", convert=lambda _, value: int(value)),
)
def secret_remove(invocation: registry.Invocation) -> None:
    """Stage the removal of a secret or one revision."""
    (text,) = invocation.only(1, least=1, missing="missing secret URI")
    invocation.context.remove_secret(_identifier(text), invocation.options.get("revision") or None)


@registry.tool(
    "secret-get",
    "Get the content of a secret.",
    "<ID> [key[#base64]]",
    flags.Option(("label",), "a label used to identify the secret in hooks"),
    flags.Option(("peek",), "get the latest revision just this time", switch=True),
    flags.Option(
        ("refresh",), "get the latest revision and also get this same revision for subsequent calls", switch=True
    ),
    formats=registry.YAML,
)
def secret_get(invocation: registry.Invocation) -> object:
    """The content, or the value of one key."""
    arguments = list(invocation.arguments)
    identifier = _identifier(arguments.pop(0)) if arguments else None
    options = invocation.options
    label = options.get("label") or None
    if identifier is None and label is None:
        raise errors.UsageError("require either a secret URI or label")
    peek, refresh = options.get("peek", False), options.get("refresh", False)
    if peek and refresh:
        raise errors.UsageError("specify one of --peek or --refresh but not both")
    flags.no_more(arguments[1:])
    content = invocation.context.secret_content(identifier, label, refresh=refresh, peek=peek)
    if not arguments:
        return secrets_content.decode(content)
    key, _, encoded = arguments[0].partition("#")
    if key not in content:
        raise errors.ToolError(f"secret key value {json.dumps(arguments[0])} not found")
    return content[key] if encoded == "base64" else base64.b64decode(content[key]).decode(errors="surrogateescape")


@registry.tool(
    "secret-info-get",
    "Get a secret's metadata info.",
    "<ID>",
    flags.Option(("label",), "a label used to identify the secret"),
    formats=registry.YAML,
)
def secret_info_get(invocation: registry.Invocation) -> object:
    """What a secret's manager may know of it, under its bare identifier."""
    arguments = invocation.only(1)
    identifier = _identifier(arguments[0]) if arguments else None
    label = invocation.options.get("label") or None
    if identifier is None and label is None:
        raise errors.UsageError("require either a secret URI or label")
    if identifier is not None and label is not None:
        raise errors.UsageError("specify either a secret URI or label but not both")
    for metadata in invocation.context.secret_metadata().values():
        if identifier == metadata.id or (label and metadata.label == label):
            return {metadata.id: _described(invocation.context, metadata)}
    raise errors.ToolError(f"secret {json.dumps(identifier or label)} not found")


def _described(context: hook_context.HookContext, metadata: secrets_staged.Metadata) -> dict[str, object]:
    details: dict[str, object] = {
        "revision": metadata.revision,
        "label": metadata.label,
        "owner": tags.kind(metadata.owner),
        "description": metadata.description,
        "rotation": metadata.rotate,
        "expiry": _rfc3339(metadata.expires),
        "rotates": _rfc3339(metadata.rotates),
        "access": [
            {"target": access.subject, "scope": context.scope_tag(access.scope), "role": access.role}
            for access in metadata.access
        ],
    }
    return {key: value for key, value in details.items() if value or key in ("revision", "label", "owner")}


def _rfc3339(time: datetime.datetime | None) -> str:
    return time.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z") if time else ""


@registry.tool("secret-ids", "Print secret IDs.", formats=registry.SMART)
def secret_ids(invocation: registry.Invocation) -> list[str]:
    """The bare identifiers of the secrets that the unit manages."""
    invocation.only(0)
    return list(invocation.context.secret_metadata())


@registry.tool(
    "secret-grant",
    "Grant access to a secret.",
    "<ID>",
    flags.Option(("unit",), "the unit to grant access"),
    relations.RELATION,
)
def secret_grant(invocation: registry.Invocation) -> None:
    """Stage a grant to a related application or one of its units, for as long as the relation lives."""
    if not invocation.arguments:
        raise errors.UsageError("missing secret URI")
    identifier = _identifier(invocation.arguments[0])
    relation = relations.relation_of(invocation)
    unit = invocation.options.get("unit")
    if unit:
        _check_unit(unit)
        if unit.partition("/")[0] != relation.remote_application:
            raise errors.UsageError(
                f"cannot specify unit {json.dumps(unit)} in relation to application "
                f"{json.dumps(relation.remote_application)}"
            )
    invocation.only(1)
    invocation.context.grant_secret(identifier, unit or relation.remote_application, relation.id)


@registry.tool(
    "secret-revoke",
    "Revoke access to a secret.",
    "<ID>",
    flags.Option(("app", "application"), "the application to revoke access"),
    flags.Option(("unit",), "the unit to revoke access"),
    relations.RELATION,
)
def secret_revoke(invocation: registry.Invocation) -> None:
    """Stage the end of a grant."""
    if not invocation.arguments:
        raise errors.UsageError("missing secret URI")
    identifier = _identifier(invocation.arguments[0])
    subject = _revoked_subject(invocation)
    invocation.only(1)
    invocation.context.revoke_secret(identifier, subject)


def _revoked_subject(invocation: registry.Invocation) -> str:
    application, unit = invocation.options.get("app", ""), invocation.options.get("unit", "")
    if application and not relations.APPLICATION.fullmatch(application):
        raise errors.UsageError(f"application {json.dumps(application)} not valid")
    if unit:
        _check_unit(unit)
    if application and unit:
        raise errors.UsageError("specify only one of application or unit")
    relation = invocation.context.hook_relation
    if "relation" in invocation.options:
        relation = invocation.context.relation(invocation.options["relation"])
    if relation is not None:
        if application:
            raise errors.UsageError("do not specify both relation and app")
        application = relation.remote_application
    if not application and not unit:
        raise errors.UsageError("missing relation or application or unit")
    return unit or application


def _check_unit(unit: str) -> None:
    if not relations.UNIT.fullmatch(unit):
        raise errors.UsageError(f"unit {json.dumps(unit)} not valid")
