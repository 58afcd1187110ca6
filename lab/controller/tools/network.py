"""Tools for addresses and ports."""

from __future__ import annotations

import json

from lab.controller.tools import errors, flags, ports, registry, relations


@registry.tool(
    "network-get",
    "Get network config.",
    "<binding-name> [--ingress-address] [--bind-address] [--egress-subnets]",
    flags.Option(("primary-address",), "(deprecated) get the primary address for the binding", switch=True),
    flags.Option(("bind-address",), "get the address for the binding on which the unit should listen", switch=True),
    flags.Option(("ingress-address",), "get the ingress address for the binding", switch=True),
    flags.Option(("egress-subnets",), "get the egress subnets for the binding", switch=True),
    relations.RELATION,
    formats=registry.SMART,
)
def network_get(invocation: registry.Invocation) -> object:
    """Addresses of the unit's machine for an endpoint; all endpoints are in the one space there is."""
    (name,) = invocation.only(1, least=1, missing="no arguments specified")
    if not name:
        raise errors.UsageError("no binding name specified")
    context = invocation.context
    if name not in context.bindings():
        raise errors.ToolError(f"no network config found for binding {json.dumps(name)}")
    network = context.network()
    values: dict[str, object] = {
        "bind-address": network.address,
        "ingress-address": network.address,
        "egress-subnets": network.egress_subnets,
    }
    wanted = [key for key in values if invocation.options.get(key)]
    if invocation.options.get("primary-address"):
        if wanted:
            raise errors.ToolError("--primary-address must be the only flag specified")
        return network.address
    if len(wanted) == 1:
        return values[wanted[0]]
    if wanted:
        return {key: values[key] for key in wanted}
    json_wanted = invocation.options.get("format") == "json"
    return network.described(with_former_names=not json_wanted)


@registry.tool("unit-get", "Print public-address or private-address.", "<setting>", formats=registry.SMART)
def unit_get(invocation: registry.Invocation) -> str:
    """The address of the unit's machine."""
    if not invocation.arguments:
        raise errors.UsageError("no setting specified")
    setting = invocation.arguments[0]
    if setting not in ("private-address", "public-address"):
        raise errors.UsageError(f"unknown setting {json.dumps(setting)}")
    invocation.only(1)
    return invocation.context.network().address


_PORT_OPTIONS = (
    flags.Option(("format",), "deprecated format flag"),
    flags.Option(("endpoints",), "a comma-delimited list of application endpoints to target with this operation"),
)
_PORT_USAGE = "<port>[/<protocol>] or <from>-<to>[/<protocol>] or icmp"


def _port_range(invocation: registry.Invocation) -> tuple[list[str], ports.PortRange]:
    if not invocation.arguments:
        raise errors.UsageError("no port or range specified")
    try:
        port_range = ports.parse(invocation.arguments[0].lower())
    except ValueError as error:
        raise errors.UsageError(str(error)) from None
    invocation.only(1)
    given = invocation.options.get("endpoints", "")
    endpoints = [endpoint.strip() for endpoint in given.split(",")] if given else [""]
    return endpoints, port_range


@registry.tool("open-port", "Register a request to open a port or port range.", _PORT_USAGE, *_PORT_OPTIONS)
def open_port(invocation: registry.Invocation) -> None:
    """Stage the opening of ports, for all endpoints or for some."""
    endpoints, port_range = _port_range(invocation)
    for endpoint in endpoints:
        invocation.context.ports.open(endpoint, port_range)


@registry.tool("close-port", "Register a request to close a port or port range.", _PORT_USAGE, *_PORT_OPTIONS)
def close_port(invocation: registry.Invocation) -> None:
    """Stage the closing of ports, for all endpoints or for some."""
    endpoints, port_range = _port_range(invocation)
    for endpoint in endpoints:
        invocation.context.ports.close(endpoint, port_range)


@registry.tool(
    "opened-ports",
    "List all ports or port ranges opened by the unit.",
    "",
    flags.Option(("endpoints",), "display the list of target application endpoints for each port range", switch=True),
    formats=registry.SMART,
)
def opened_ports(invocation: registry.Invocation) -> list[str]:
    """What is open, without what this hook has asked for."""
    invocation.only(0)
    opened = invocation.context.ports.opened
    by_range: dict[ports.PortRange, set[str]] = {}
    for endpoint, ranges in opened.items():
        for port_range in ranges:
            by_range.setdefault(port_range, set()).add(endpoint)
    lines: list[str] = []
    for port_range in sorted(by_range, key=ports.sort_key):
        line = str(port_range)
        if invocation.options.get("endpoints"):
            names = by_range[port_range]
            line += " (*)" if "" in names else f" ({', '.join(sorted(names))})"
        lines.append(line)
    return lines
