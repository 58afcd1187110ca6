"""What can happen to a real machine, on demand. See also `crash` and `change_address` of the machine itself."""

from __future__ import annotations

from lab.machines import groups, network, nspawn


def isolate(machine: nspawn.NspawnMachine) -> None:
    """Lose all packets between the machine and all others, the lab's own address included, until `rejoin`."""
    network.unplug(machine.index)


def block(machine: nspawn.NspawnMachine, address: str) -> None:
    """Lose the packets that the machine sends to `address`, in this direction only, until `rejoin`."""
    network.block(machine.name, address)


def rejoin(machine: nspawn.NspawnMachine) -> None:
    """Undo `isolate` and `block`."""
    network.plug(machine.index)
    network.unblock(machine.name)


def freeze(machine: nspawn.NspawnMachine) -> None:
    """Stop all its processes in their tracks, as those of a virtual machine that is paused, until `thaw`.

    Raises:
        TimeoutError: a process does not stop, for instance since it waits for a disk.
    """
    groups.freeze(machine.group, True)


def thaw(machine: nspawn.NspawnMachine) -> None:
    """Undo `freeze`."""
    groups.freeze(machine.group, False)
