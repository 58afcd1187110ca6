"""The lab's network: one bridge, and for each machine a network namespace of its own on a port of it.

Everything here runs in the lab's namespaces. Nothing connects the bridge to the host. The lab's own address on it is
each machine's default gateway, and answers that the rest of the world cannot be reached.
"""

from __future__ import annotations

import ipaddress
import pathlib

from lab import commands

BRIDGE = "br0"
INTERFACE = "eth0"
_NAMESPACES = pathlib.Path("/run/netns")
_FIRST_HOST = 10
_NOBODY = "02:00:00:00:00:01"


def gateway(subnet: str) -> str:
    """Return the lab's own address."""
    return str(ipaddress.IPv4Network(subnet)[1])


def addresses(subnet: str) -> list[str]:
    """Return the addresses that machines may have, in the order in which they get them."""
    return [str(address) for address in list(ipaddress.IPv4Network(subnet).hosts())[_FIRST_HOST - 1 :]]


def moved(address: str, subnet: str) -> str:
    """Return the address that has the same place in another subnet."""
    network = ipaddress.IPv4Network(subnet)
    return str(network[int(ipaddress.IPv4Address(address)) & int(network.hostmask)])


def make_bridge(subnet: str) -> None:
    """Make the bridge, in a network namespace that is empty so far."""
    # A packet to elsewhere is answered by "unreachable" at once, as against dropped, so nothing waits for time-outs.
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    length = ipaddress.IPv4Network(subnet).prefixlen
    _batch(
        "link set lo up",
        f"link add {BRIDGE} type bridge forward_delay 0",
        f"address add {gateway(subnet)}/{length} dev {BRIDGE}",
        f"link set {BRIDGE} up",
    )


def connect(name: str, index: int, address: str, subnet: str) -> None:
    """Make the network namespace of a machine and plug it into the bridge. Nothing happens if it is there."""
    if (_NAMESPACES / name).exists():
        return
    _batch(
        f"netns add {name}",
        f"link add {port(index)} type veth peer name {INTERFACE} netns {name}",
        f"link set {port(index)} master {BRIDGE} up",
    )
    _batch(
        "link set lo up",
        f"address add {address}/{ipaddress.IPv4Network(subnet).prefixlen} dev {INTERFACE}",
        f"link set {INTERFACE} up",
        f"route add default via {gateway(subnet)}",
        namespace=name,
    )


def disconnect(name: str, index: int) -> None:
    """Undo `connect`. Nothing happens if there is nothing to undo."""
    if (_NAMESPACES / name).exists():
        _batch(f"link del {port(index)}", f"netns del {name}")


def readdress(name: str, address: str, subnet: str) -> None:
    """Give a machine another address in place of all it has."""
    _batch(
        f"address flush dev {INTERFACE}",
        f"address add {address}/{ipaddress.IPv4Network(subnet).prefixlen} dev {INTERFACE}",
        f"route replace default via {gateway(subnet)}",
        namespace=name,
    )


def unplug(index: int) -> None:
    """Take a machine off the bridge. Its own interface stays up: packets are lost without a sign, as in a network."""
    _batch(f"link set {port(index)} nomaster")


def plug(index: int) -> None:
    """Put a machine on the bridge again."""
    _batch(f"link set {port(index)} master {BRIDGE}")


def block(name: str, address: str) -> None:
    """Lose every packet that a machine sends to `address`; what comes from there still arrives."""
    # The machine is made to believe in a hardware address that nobody has: this works on every kernel, and is silent.
    _batch(f"neighbor replace {address} lladdr {_NOBODY} dev {INTERFACE} nud permanent", namespace=name)


def unblock(name: str) -> None:
    """Undo every `block` of a machine."""
    _batch(f"neighbor flush nud permanent dev {INTERFACE}", namespace=name)


def port(index: int) -> str:
    """Return the name of a machine's interface on the bridge's side (at most 15 characters, so not its host name)."""
    return f"port{index}"


def namespace_path(name: str) -> pathlib.Path:
    """Return what to give to programs that enter a network namespace."""
    return _NAMESPACES / name


def _batch(*lines: str, namespace: str | None = None) -> None:
    where = () if namespace is None else ("-netns", namespace)
    commands.run("ip", *where, "-batch", "-", input="\n".join(lines) + "\n")
