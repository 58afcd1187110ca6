"""The command line of `juju-exec` on a machine."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import typing

from lab.controller.entities import relations
from lab.controller.entities.uniter import UniterState

if typing.TYPE_CHECKING:
    from lab.controller import agent as agent_module


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is to be run, and in the context of which relation."""

    script: str
    relation: int | None = None
    remote_unit: str | None = None
    remote_application: str | None = None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> typing.NoReturn:
        raise ValueError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="juju-exec", add_help=False)
    parser.add_argument("-u", "--unit")
    parser.add_argument("-r", "--relation")
    parser.add_argument("--remote-unit")
    parser.add_argument("--remote-app")
    parser.add_argument("--force-remote-unit", action="store_true")
    parser.add_argument("--operator", action="store_true")
    parser.add_argument("commands", nargs=argparse.REMAINDER)
    return parser


def parse(arguments: list[str], local: UniterState, agent: agent_module.Agent) -> Wanted:
    """Reads the command line.

    Raises:
        ValueError: it is not right, or names a relation or remote unit that the unit does not know.
    """
    given = _parser().parse_args(arguments)
    commands: list[str] = given.commands
    if commands[:1] == ["--"]:
        commands = commands[1:]
    if not given.unit and len(commands) > 1 and commands[0] == local.unit:
        commands = commands[1:]
    if not commands:
        raise ValueError("missing commands")
    # One argument is a command line for the shell; several are one command with its arguments.
    script = commands[0] if len(commands) == 1 else shlex.join(commands)
    if given.relation is None:
        if given.remote_unit:
            raise ValueError(f"remote unit: {given.remote_unit}, provided without a relation")
        return Wanted(script)
    return _with_relation(script, given, local, agent)


def _with_relation(script: str, given: argparse.Namespace, local: UniterState, agent: agent_module.Agent) -> Wanted:
    number = str(given.relation).rpartition(":")[2]
    if not number.isdigit() or int(number) not in local.relations:
        raise ValueError(f"invalid value {given.relation!r} for option -r: relation not found")
    state = local.relations[int(number)]
    relation = agent.controller.store.require(relations.Relation, local.model, int(number))
    remote: str | None = given.remote_unit
    if remote is None and len(state.members) == 1:
        remote = next(iter(state.members))
    if remote is not None and remote not in state.members and not given.force_remote_unit:
        raise ValueError(f'remote unit "{remote}" not in relation {given.relation!r}')
    if remote is None and not given.remote_app and not given.force_remote_unit and not relation.peer:
        raise ValueError(f"unable to determine remote-unit, please disambiguate: {sorted(state.members)}")
    application = relation.remote(local.unit.partition("/")[0]).application
    return Wanted(script, int(number), remote, given.remote_app or application)
