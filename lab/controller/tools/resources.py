"""The tool for the application's resources."""

from __future__ import annotations

from lab.controller.tools import errors, registry


@registry.tool("resource-get", "Get the path to the locally cached resource file.", "<resource name>")
def resource_get(invocation: registry.Invocation) -> str:
    """Where in the machine the current file of a resource is; no line break follows, as Juju has it."""
    (name,) = invocation.only(1, least=1, missing="missing required resource name")
    try:
        return invocation.context.resource(name)
    except errors.ToolError as error:
        raise errors.ToolError(f"could not download resource: {error}") from None
