"""resources, attach-resource."""

from __future__ import annotations

import typing

from lab.juju import command, directives, flags, names, tabular


@command.define(
    "resources",
    "Show the resources for an application or unit.",
    usage="<application or unit>",
    formats=("tabular", "json", "yaml"),
    aliases=("list-resources",),
    options=(flags.boolean("details", usage="Show detailed information about resources used by each unit"),),
)
def resources(invocation: command.Invocation) -> None:
    """List the resources of an application, or of a unit's application."""
    invocation.require(1, "missing application name")
    invocation.at_most(1)
    application = invocation.arguments[0].partition("/")[0]
    if not names.is_application(application):
        raise command.UsageError(f'invalid application "{application}"')
    found = invocation.call("resources", application=application)
    if not found["resources"]:
        if invocation.format == "tabular":
            invocation.inform("No resources to display.")
            return
        found = {}
    invocation.show(found, tabular=lambda value: _table(invocation, value))


def _table(invocation: command.Invocation, value: dict[str, typing.Any]) -> str:
    table = tabular.Table(color=invocation.color)
    table.heading("Resource", "Supplied by", "Revision")
    for resource in value["resources"]:
        supplied = resource.get("username") or resource["origin"]
        revision = resource["timestamp"] if resource["origin"] == "upload" else resource["revision"]
        table.add(resource["name"], supplied, revision or "-")
    return table.render()


@command.define(
    "attach-resource",
    "Update a resource for an application.",
    usage="<application> <resource name>=<resource>",
    aliases=("attach",),
)
def attach_resource(invocation: command.Invocation) -> None:
    """Upload a file as an application's resource; its units then run upgrade-charm."""
    invocation.require(1, "missing application name")
    invocation.require(2, "no resource specified")
    invocation.at_most(2)
    application, word = invocation.arguments
    if not names.is_application(application):
        raise command.UsageError(f'application name "{application}" not valid')
    name, equals, file = word.partition("=")
    if not (name and equals and file):
        raise command.UsageError(f'expected name=path format for resource, got "{word}"')
    path = directives.resource_file(invocation, file)
    invocation.call("attach_resource", application=application, resource=name, path=path)
