"""Juju's tags: the names that tell entities of different kinds apart (`unit-pg-0`, `application-pg`, `machine-0`)."""

from __future__ import annotations


def unit(name: str) -> str:
    """The tag of unit `pg/0`: `unit-pg-0`."""
    return f"unit-{name.replace('/', '-')}"


def application(name: str) -> str:
    """The tag of an application."""
    return f"application-{name}"


def machine(identifier: str) -> str:
    """The tag of a machine."""
    return f"machine-{identifier}"


def model(uuid: str) -> str:
    """The tag of a model."""
    return f"model-{uuid}"


def task(identifier: int) -> str:
    """The tag of a task, which Juju's interfaces call an action."""
    return f"action-{identifier}"


def kind(tag: str) -> str:
    """What kind of entity a tag names: `unit`, `application`, `machine`, `model` or `action`."""
    return tag.partition("-")[0]


def name(tag: str) -> str:
    """The name behind a tag: `pg/0` for `unit-pg-0`."""
    kind_, _, rest = tag.partition("-")
    if kind_ == "unit":
        head, _, number = rest.rpartition("-")
        return f"{head}/{number}"
    return rest


def owner(name_: str) -> str:
    """The tag of a unit or an application, told apart by the slash in its name."""
    return unit(name_) if "/" in name_ else application(name_)
