"""Facades, and the calls that they answer.

A facade is a class; each of its methods that is decorated with `call` answers the request of that name. The table of
conformance (`tools/conformance.py`) is made from here.
"""

from __future__ import annotations

import collections.abc
import importlib
import typing

from lab.api import errors
from lab.api import session as session_module
from lab.controller.operations_common import Json, OperationError

Scope = typing.Literal["controller", "model", "both"]
Answer = Json | collections.abc.Awaitable[Json]
Handler = collections.abc.Callable[[typing.Any, Json], Answer]
Decorated = typing.TypeVar("Decorated", bound=Handler)

OBJECT = "object-id"
"""Under this name calls find the identifier that a request carries beside its parameters."""

FACADES: dict[str, type[Facade]] = {}
"""All facades by name, once `load` was called."""

_MODULES = (
    "actions",
    "annotations",
    "applications",
    "charms",
    "client",
    "controller",
    "machines",
    "models",
    "relations",
    "secrets",
    "storage",
)


def call(name: str) -> collections.abc.Callable[[Decorated], Decorated]:
    """Lets a method answer the request of this name."""

    def mark(method: Decorated) -> Decorated:
        method.__dict__["request"] = name
        return method

    return mark


class Facade:
    """One facade on one connection.

    Subclasses name themselves: `class Pinger(Facade, name="Pinger", version=1, scope="both")`. The scope says on which
    connections there is one: the controller's, a model's, or both.
    """

    name: typing.ClassVar[str] = ""
    version: typing.ClassVar[int] = 0
    scope: typing.ClassVar[Scope] = "model"
    calls: typing.ClassVar[dict[str, Handler]] = {}

    def __init_subclass__(
        cls, *, name: str = "", version: int = 0, scope: Scope = "model", **others: typing.Any
    ) -> None:
        super().__init_subclass__(**others)
        members = {key: value for base in reversed(cls.__mro__) for key, value in vars(base).items()}
        marked = {getattr(member, "request", ""): member for member in members.values()}
        cls.calls = {request: typing.cast("Handler", member) for request, member in marked.items() if request}
        if name:
            cls.name, cls.version, cls.scope = name, version, scope
            FACADES[name] = cls

    def __init__(self, session: session_module.Session) -> None:
        self.session = session
        self.context = session.context
        self.operations = session.context.operations
        self.views = session.context.views
        self.store = session.context.controller.store

    @property
    def model(self) -> str:
        """The UUID of the connection's model.

        Raises:
            OperationError: the connection is the controller's.
        """
        if self.session.model is None:
            raise OperationError(
                errors.NOT_SUPPORTED, f'facade "{self.name}" not supported for controller API connection'
            )
        return self.session.model


def load() -> None:
    """Makes all facades known."""
    for module in _MODULES:
        importlib.import_module(f"lab.api.facades.{module}")


def served(of_model: bool) -> list[Json]:
    """The facades that a login tells of, with their versions."""
    return [
        {"name": facade.name, "versions": [facade.version]}
        for _, facade in sorted(FACADES.items())
        if _reachable(facade, of_model)
    ]


def find(name: str, version: int, request: str, of_model: bool) -> tuple[type[Facade], Handler]:
    """The facade and the method that answer a request.

    Raises:
        OperationError: there is none; the texts are Juju's.
    """
    facade = FACADES.get(name)
    if facade is None:
        raise OperationError(errors.NOT_IMPLEMENTED, f'unknown object type "{name}"')
    if not _reachable(facade, of_model):
        kind = "model" if of_model else "controller"
        raise OperationError(errors.NOT_SUPPORTED, f'facade "{name}" not supported for {kind} API connection')
    if version != facade.version:
        raise OperationError(errors.NOT_IMPLEMENTED, f'unknown version ({version}) of interface "{name}"')
    if request not in facade.calls:
        message = f"no such request - method {name}({version}).{request} is not implemented"
        raise OperationError(errors.NOT_IMPLEMENTED, message)
    return facade, facade.calls[request]


def _reachable(facade: type[Facade], of_model: bool) -> bool:
    return facade.scope in ("both", "model" if of_model else "controller")
