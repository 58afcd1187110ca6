"""An application of the charm as its operators command it and see it, on any controller.

Juju is spoken to through python-libjuju, and through the `juju` command where that is what an operator would type. The
test host has to reach the units' addresses, as it does with LXD on the same host.
"""

from __future__ import annotations

import asyncio
import json
import pathlib
import shlex
import time
import typing
import urllib.request
from collections.abc import Awaitable, Callable, Mapping

import tenacity
from juju import errors
from juju.client import client as juju_client
from pytest_operator import plugin

APPLICATION = "postgresql-machine"
SNAP = "charmed-postgresql"
SECRET_LABEL = "system-users"
PATRONI_PORT = 8008
POLL = 1.0
"""Seconds between two looks: statuses change as hooks end, and a hook takes about a second."""
PATIENCE = 600.0
"""Seconds in which anything that Juju and the charm do for one unit after the other is done, on a busy host too."""
DEPLOYING = 1200.0
"""Seconds for machines that have to be made first, and for the snap, which each of them fetches."""
ANSWERED = 120.0
"""Seconds after which a `juju` command hangs: a machine that is frozen or gone may leave `juju ssh` without an end."""
SETTLED = 120.0
"""Seconds for what has been settled already, and may be in the midst of an event."""


class Refused(Exception):
    """An action failed; the text is what it says."""


class Database:
    """One application of the charm, in the current model of `ops_test`."""

    def __init__(self, ops_test: plugin.OpsTest, name: str = APPLICATION) -> None:
        self.ops_test = ops_test
        self.name = name

    # What an operator does

    @property
    def model(self) -> typing.Any:
        """The model, as python-libjuju has it; its types are made at run time."""
        assert self.ops_test.model
        return self.ops_test.model

    @property
    def application(self) -> typing.Any:
        """The application, as python-libjuju has it."""
        return self.model.applications[self.name]

    async def deploy(self, charm: pathlib.Path, units: int) -> None:
        """Ask for the application, small enough for many units on one host."""
        await self.model.deploy(charm, self.name, num_units=units, config={"profile": "testing"})

    async def refresh(self, charm: pathlib.Path) -> None:
        """Give the application another charm; its units follow."""
        await self.application.refresh(path=charm)

    async def configure(self, **options: str) -> None:
        """Set options; their names with underscores for dashes."""
        await self.application.set_config({name.replace("_", "-"): value for name, value in options.items()})

    async def action(self, unit: str, name: str, **parameters: str | bool) -> dict[str, typing.Any]:
        """Run an action; return its results.

        Args:
            unit: A unit's name.
            name: The action's name.
            parameters: Of the action, with underscores for dashes.

        Raises:
            Refused: It failed.
        """
        given = {key.replace("_", "-"): value for key, value in parameters.items()}
        action = await self.model.units[unit].run_action(name, **given)
        await asyncio.wait_for(action.wait(), PATIENCE)
        if action.status != "completed":
            facade = juju_client.ActionFacade.from_connection(self.model.connection())
            answer = await facade.Actions([{"tag": f"action-{action.id}"}])
            raise Refused(answer.results[0].message)
        return action.results

    async def refusal(self, unit: str, name: str, **parameters: str | bool) -> str:
        """Run an action that is to fail; return what it says."""
        try:
            results = await self.action(unit, name, **parameters)
        except Refused as error:
            return str(error)
        raise AssertionError(f"{name} on {unit} did not refuse: {results}")

    async def resume(self, unit: str) -> None:
        """Confirm the refresh on a unit, once all units are found healthy: `juju status` asks to check them before."""

        async def checked() -> bool:
            told = await self.report("get-refresh-status")
            return told["state"] == "paused" and all(each["health"] == "healthy" for each in told["units"])

        await self.until(f"the refresh is paused and all units are healthy, before it resumes on {unit}", checked)
        await self.action(unit, "resume-refresh")

    async def report(self, name: str, unit: str | None = None) -> dict[str, typing.Any]:
        """Return what an action that reports tells programs, by default on the leader."""
        return json.loads((await self.action(unit or await self.leader(), name, format="json"))["status"])

    async def command(
        self, *arguments: str, stdin: bytes | None = None, check: bool = False
    ) -> tuple[int | None, str, str]:
        """Run the `juju` command in the model; return its exit status, what it prints and what it says.

        Raises:
            AssertionError: It hangs, or with `check` it failed; the text is what it says.
        """
        try:
            return await asyncio.wait_for(self.ops_test.juju(*arguments, stdin=stdin, check=check), ANSWERED)
        except TimeoutError:
            raise AssertionError(f"not within {ANSWERED:g} s: juju {shlex.join(arguments)}") from None

    async def juju(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run the `juju` command in the model; return what it prints. Raises AssertionError if it fails or hangs."""
        _, printed, _ = await self.command(*arguments, stdin=stdin, check=True)
        return printed

    async def ssh(self, unit: str, line: str, stdin: bytes = b"") -> str:
        """Run a line of shell on a unit's machine, without waiting for its hooks; return what it prints."""
        return await self.juju("ssh", unit, line, stdin=stdin)

    async def sql(self, unit: str, statement: str) -> str:
        """Run SQL on a unit's own server as its machine's administrator; return rows as lines, columns apart by `|`."""
        psql = ["sudo", f"{SNAP}.psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "operator", "-c", statement, "postgres"]
        return (await self.ssh(unit, shlex.join(psql))).strip()

    # What can be seen

    async def status(self) -> typing.Any:
        """Return the application's status now, as Juju's API tells it; None while there is no application."""
        return (await self.model.get_status()).applications.get(self.name)

    async def units(self) -> list[str]:
        """Return the units' names in the order of their numbers: 10 comes after 9."""
        found = await self.status()
        return sorted((found.units if found else None) or {}, key=number)

    async def addresses(self) -> dict[str, str]:
        """Return each unit's address, in the order of the units' numbers."""
        units = (await self.status()).units
        return {unit: units[unit].public_address for unit in sorted(units, key=number)}

    async def leader(self) -> str:
        """Return Juju's leader; it may take a minute until there is another after one was lost."""
        found: list[str] = []

        async def elected() -> bool:
            found[:] = [unit for unit, told in ((await self.status()).units or {}).items() if told.leader]
            return bool(found)

        await self.until("a leader", elected, 120)
        return found[0]

    async def message(self, unit: str | None = None) -> tuple[str, str]:
        """Return the level and the text of a status: a unit's, or the application's."""
        found = await self.status()
        told = found.units[unit].workload_status if unit else found.status
        return told.status, told.info

    async def members(self) -> list[dict[str, typing.Any]]:
        """Return the cluster's members as the first Patroni that answers tells; empty if none does."""
        for address in (await self.addresses()).values():
            told = await asyncio.to_thread(_ask_patroni, address) if address else None
            if told:
                return told
        return []

    async def primary(self) -> str:
        """Return the unit that is the primary, as Patroni tells; empty if there is none."""
        for member in await self.members():
            if member["role"] == "leader" and member["state"] == "running":
                return f"{self.name}/{member['name'].rpartition('-')[2]}"
        return ""

    async def timeline(self) -> int:
        """Return PostgreSQL's timeline, which each promotion raises."""
        return max(member["timeline"] for member in await self.members())

    async def revisions(self) -> dict[str, str]:
        """Return the revision of the workload's snap on each unit, as snapd tells it, in the order of the units."""
        units = await self.units()
        listed = await asyncio.gather(*(self.ssh(unit, f"snap list {SNAP}") for unit in units))
        return {unit: text.splitlines()[-1].split()[2] for unit, text in zip(units, listed, strict=True)}

    async def unlike(self, wanted: Mapping[str, str]) -> str:
        """Say which units have another revision of the workload's snap than they are to have; empty if none has."""
        has = await self.revisions()
        return "; ".join(
            f"{unit} has revision {has.get(unit)} of the snap, {revision} was to come"
            for unit, revision in wanted.items()
            if has.get(unit) != revision
        )

    async def replayed(self, query: str) -> dict[str, str]:
        """Ask each unit once it has replayed all that the primary has written until now; return the answers."""
        primary = await self.primary()
        written = await self.sql(primary, "SELECT pg_current_wal_lsn()")
        answers = {}
        for unit in await self.units():

            async def has_replayed(unit: str = unit) -> bool:
                return unit == primary or await self.sql(unit, f"SELECT pg_last_wal_replay_lsn() >= '{written}'") == "t"

            # Synchronous standbys have the rows on disk when they are acknowledged; to show them they replay them.
            await self.until(f"{unit} has replayed {written}", has_replayed, 60)
            answers[unit] = await self.sql(unit, query)
        return answers

    async def secret(self) -> str:
        """Return the identifier of the secret with the system users' passwords."""
        listed = json.loads(await self.juju("secrets", "--format", "json"))
        [identifier] = [
            key for key, told in listed.items() if told.get("label") == SECRET_LABEL and told["owner"] == self.name
        ]
        return identifier

    async def passwords(self) -> dict[str, str]:
        """Return the system users' passwords, as an operator gets them."""
        identifier = await self.secret()
        shown = json.loads(await self.juju("show-secret", identifier, "--reveal", "--format", "json"))
        return shown[identifier]["content"]["Data"]

    async def errors(self) -> list[str]:
        """Return what the units have logged as errors since the model was made."""
        log = await self.juju("debug-log", "--replay", "--no-tail", "--level", "ERROR")
        return [line for line in log.splitlines() if f"unit-{self.name}-" in line]

    # Waiting

    async def until(self, what: str, condition: Callable[[], Awaitable[object]], seconds: float = PATIENCE) -> None:
        """Wait until `condition` holds. A look at it that takes longer than there is time is broken off.

        Raises:
            AssertionError: It does not within so many seconds; the text tells what Juju shows instead.
        """
        # Units come and go, servers stop and start: what cannot be seen now is looked at again.
        unseen = (_NotYet, AssertionError, errors.JujuError, KeyError, TimeoutError)
        deadline = time.monotonic() + seconds
        try:
            async for attempt in tenacity.AsyncRetrying(
                stop=tenacity.stop_after_delay(seconds),
                wait=tenacity.wait_fixed(POLL),
                retry=tenacity.retry_if_exception_type(unseen),
                reraise=True,
            ):
                with attempt:
                    if not await asyncio.wait_for(condition(), max(POLL, deadline - time.monotonic())):
                        raise _NotYet
        except unseen as error:
            why = "" if isinstance(error, _NotYet) else f" ({type(error).__name__}: {error})"
            raise AssertionError(f"not within {seconds:g} s: {what}{why}\n{await self._shown()}") from None

    async def _shown(self) -> str:
        status = await self._told("status", "--storage")
        members = "\n".join(map(str, await self.members()))
        log = await self._told("debug-log", "--replay", "--no-tail")
        return f"{status}\n{members}\n{log[-3000:]}"

    async def _told(self, *arguments: str) -> str:
        try:
            _, printed, problem = await self.command(*arguments)
        except AssertionError as error:
            return str(error)
        return printed or problem

    async def raise_on_errors(self) -> None:
        """Raise UnitError if a unit is in error."""
        for name, unit in ((await self.status()).units or {}).items():
            raise_on_error(name, unit)

    async def settle(self, units: int, seconds: float = PATIENCE, *, revision: str | None = None) -> list[str]:
        """Wait until there are that many units, each active, idle and a member that streams; return their names.

        Args:
            units: How many.
            seconds: The longest wait.
            revision: Of the workload's snap, which each unit is to have. Until units have noticed a new charm, the
                application looks as settled as before.
        """
        seen: list[str] = []
        wrong: dict[str, str] = {}

        async def settled() -> bool:
            found = await self.status()
            if found is None or len(found.units or {}) != units:
                return False
            seen[:] = sorted(found.units, key=number)
            for unit in seen:
                raise_on_error(unit, found.units[unit])
            if (found.status.status, found.status.info) != ("active", ""):
                return False
            if not (all(map(is_well, found.units.values())) and healthy(await self.members(), units)):
                return False
            wrong.clear()
            if revision:
                wrong.update({unit: has for unit, has in (await self.revisions()).items() if has != revision})
            assert not wrong, f"all is well, but not at revision {revision} of the snap: {wrong}"
            return True

        await self.until(f"{units} units of {self.name}, each active and a member", settled, seconds)
        return seen

    async def await_status(self, level: str, text: str, unit: str | None = None, seconds: float = PATIENCE) -> str:
        """Wait until the status of a unit, or of the application, has that level and that text in it; return it."""

        async def told() -> bool:
            await self.raise_on_errors()
            current, message = await self.message(unit)
            return current == level and text in message

        await self.until(f"{level} with {text!r} of {unit or self.name}", told, seconds)
        return (await self.message(unit))[1]


class _NotYet(Exception):
    """What is waited for is not there."""


class UnitError(Exception):
    """A hook of a unit has failed."""


def number(unit: str) -> int:
    """Return the number in a unit's name, by which units are ordered."""
    return int(unit.rpartition("/")[2])


def is_well(unit: typing.Any) -> bool:
    """Whether a unit is active and has nothing more to do, by its status."""
    return unit.workload_status.status == "active" and unit.agent_status.status == "idle"


def raise_on_error(name: str, unit: typing.Any) -> None:
    """Raise if a unit is in error, which nobody has to wait for.

    Raises:
        UnitError: It is; the text is its status.
    """
    if unit.workload_status.status == "error":
        raise UnitError(f"{name} is in error: {unit.workload_status.info}")


def healthy(members: list[dict[str, typing.Any]], count: int, *, synchronous: bool = True) -> bool:
    """Whether there are that many members: one primary that runs, and standbys that stream.

    Args:
        members: As Patroni tells them.
        count: How many are to be there.
        synchronous: Whether each standby has to be a synchronous one. While a refresh is in progress their number does
            not follow that of the units.
    """
    leaders = [member for member in members if member["role"] == "leader"]
    roles = ("sync_standby",) if synchronous else ("sync_standby", "replica")
    standbys = [member for member in members if member["role"] in roles]
    return (
        [member["state"] for member in leaders] == ["running"]
        and len(standbys) == count - 1
        and all(member["state"] == "streaming" for member in standbys)
    )


def _ask_patroni(address: str) -> list[dict[str, typing.Any]] | None:
    try:
        with urllib.request.urlopen(f"http://{address}:{PATRONI_PORT}/cluster", timeout=3) as answer:
            return json.load(answer)["members"]
    except (OSError, ValueError):
        return None
