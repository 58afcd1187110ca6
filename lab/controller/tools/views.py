"""What a hook's context shows to the tools: relations, storage, addresses, and the running action."""

from __future__ import annotations

import ipaddress
import typing
from dataclasses import dataclass, field

SUBNET_LENGTH = 24
"""Prefix length of a lab's network."""


@dataclass(frozen=True)
class Relation:
    """A relation as one unit sees it.

    Attributes:
        id: Its number.
        endpoint: The own endpoint.
        remote_application: The other application; the own for peers.
        peer: Whether it is one among peers.
        members: Remote units that take part, in the order of their names.
        broken: Whether it is over for this unit.
        tag: Juju's tag of it.
    """

    id: int
    endpoint: str
    remote_application: str
    peer: bool
    members: tuple[str, ...]
    broken: bool
    tag: str

    @property
    def key(self) -> str:
        """``db:4``."""
        return f"{self.endpoint}:{self.id}"


@dataclass(frozen=True)
class Storage:
    """An attached storage instance: ``filesystem`` or ``block``, and where it is."""

    kind: str
    location: str


@dataclass(frozen=True)
class Network:
    """The one network interface of a unit's machine that others reach it by."""

    address: str
    interface: str = "eth0"

    @property
    def subnet(self) -> str:
        """The network in CIDR notation."""
        return str(ipaddress.ip_interface(f"{self.address}/{SUBNET_LENGTH}").network)

    @property
    def egress_subnets(self) -> list[str]:
        """Where the unit's connections come from."""
        return [f"{self.address}/32"]

    def described(self, *, with_former_names: bool) -> dict[str, object]:
        """What network-get prints; YAML repeats some values under the names that they had before Juju 2.9."""
        address = {"hostname": "", "value": self.address, "cidr": self.subnet}
        bind: dict[str, object] = {"mac-address": "", "interface-name": self.interface, "addresses": [address]}
        if with_former_names:
            address["address"] = self.address
            bind |= {"macaddress": "", "interfacename": self.interface}
        return {
            "bind-addresses": [bind],
            "egress-subnets": self.egress_subnets,
            "ingress-addresses": [self.address],
        }


@dataclass
class Action:
    """The running action: what it was given and what it has come to.

    Attributes:
        parameters: Its parameters, defaults included.
        results: What it has set; maps may be nested.
        failed: Whether it has called action-fail.
        message: What it gave as the reason.
    """

    parameters: dict[str, typing.Any]
    results: dict[str, typing.Any] = field(default_factory=dict)
    failed: bool = False
    message: str = ""

    def set_result(self, keys: list[str], value: str) -> None:
        """Set a result under nested keys; what stands in the way is replaced."""
        place = self.results
        for key in keys[:-1]:
            inner = place.get(key)
            if not isinstance(inner, dict):
                inner = place[key] = {}
            place = typing.cast("dict[str, typing.Any]", inner)
        place[keys[-1]] = value
