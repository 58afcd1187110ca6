"""Tools that Juju has and that have no meaning here: each is refused by its name."""

from __future__ import annotations

from lab.controller.tools import errors, registry

KUBERNETES = ("k8s-raw-get", "k8s-raw-set", "k8s-spec-get", "k8s-spec-set")
PAYLOADS = ("payload-register", "payload-status-set", "payload-unregister")


def _refuse(name: str, reason: str) -> None:
    def run(invocation: registry.Invocation) -> None:
        raise errors.ToolError(f"{invocation.context.unit}: {name} {reason}")

    registry.TOOLS[name] = registry.Tool(name, run, f"Not available: {reason}.", options=())


for _name in KUBERNETES:
    _refuse(_name, "is not supported on machines")
for _name in PAYLOADS:
    _refuse(_name, "is not supported: payloads are deprecated")
_refuse("add-metric", "is not supported: metrics not allowed in this context")
