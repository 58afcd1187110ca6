"""The operator of a refresh: looks at the status, waits until all is well, and does what the status asks for."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import pathlib
import time
from collections.abc import Iterator

import jubilant

from rehearsal import charms, deployment, history, load, progress, report

POLL = 1.0
"""Seconds between two looks at the status."""


@dataclasses.dataclass(frozen=True)
class Charm:
    """A packed charm and what it pins."""

    path: pathlib.Path
    version: charms.Version


class Operator:
    """Operates one application and shows what it sees."""

    def __init__(
        self, application: deployment.Deployment, shown: progress.Progress, *, units: int, patience: float
    ) -> None:
        """Operate `application`, which is to have so many units, and give each step `patience` seconds."""
        self.application = application
        self.load: load.Load | None = None
        self.hosts: dict[str, str] = {}
        """Each unit's address, in the order of the units' numbers, once there is a client."""
        self._shown = shown
        self._units = units
        self.patience = patience
        self._target = ""
        self._revisions: dict[str, str] = {}
        self._restarted: set[str] = set()
        """The units that have stopped serving since they were asked for their snap's revision."""
        self._looked = 0.0
        """When the last status was got."""

    def attach(self, client: load.Load) -> None:
        """Watch the application's client too, once it has written, and has read from each unit.

        What is measured before that would be measured without it: on a busy host its processes take seconds to start.

        Raises:
            RuntimeError: The client has ended by itself.
            TimeoutError: It has not written and read in time.
        """
        hosts = self.application.addresses()
        limit = time.monotonic() + self.patience
        while client.history.last_acknowledged is None or not set(hosts.values()) <= client.history.endpoints.keys():
            client.check()
            if time.monotonic() > limit:
                raise TimeoutError(f"the client has not written and read from each unit after {self.patience:g} s")
            time.sleep(POLL / 10)
        self.load, self.hosts = client, hosts

    def deploy(self, step: report.Step, charm: Charm) -> None:
        """Deploy the application and wait until all its units are active.

        Raises:
            TimeoutError: They are not in time.
            deployment.UnitError: A unit is in error.
        """
        self._target = charm.version.revision
        self.application.deploy(charm.path, self._units)
        self._settle(step, charm, resume=False)

    def refresh(self, step: report.Step, charm: Charm) -> float:
        """Refresh to that charm, to the end; when, by the monotonic clock, all was well. Raises as `deploy` does."""
        self._target = charm.version.revision
        self.application.refresh(charm.path)
        return self._settle(step, charm)

    def refresh_halfway(self, step: report.Step, charm: Charm) -> None:
        """Refresh until the second unit has refreshed; of two units, until the first has. Raises as `deploy` does."""
        self._target = charm.version.revision
        self.application.refresh(charm.path)
        for status in self._statuses():
            asked = self._asked(step, status)
            if asked is None:
                continue
            if self._units == 2 or self._resume(step, asked):
                step.revisions = list(self.application.revisions().values())
                return

    def _settle(self, step: report.Step, charm: Charm, *, resume: bool = True) -> float:
        """Go on until every unit is active on the charm's snap, doing what the statuses ask for.

        Return when the status told so first: to ask each machine for its snap's revision takes a second or two more.
        """
        name = self.application.application
        for status in self._statuses():
            asked = self._asked(step, status) if resume else None
            if asked is not None:
                self._resume(step, asked)
                continue
            if name not in status.apps or len(status.apps[name].units) != self._units:
                continue
            if status.apps[name].app_status.current != "active" or not deployment.healthy(status, name):
                continue
            # Until its units have noticed the new charm, the application looks as settled as it was before.
            self._revisions = self.application.revisions()
            step.revisions = list(self._revisions.values())
            if set(step.revisions) == {charm.version.revision}:
                return self._looked
        raise AssertionError("unreachable: the statuses end with TimeoutError")

    def _asked(self, step: report.Step, status: jubilant.Status) -> int | None:
        """Return the unit to run `resume-refresh` on, once the units that the status names are healthy."""
        name = self.application.application
        if name not in status.apps:
            return None
        pause = deployment.pause(status, name)
        if pause is None:
            return None
        if not step.pauses or step.pauses[-1].unit != pause.unit:
            step.pauses.append(report.Pause(pause.unit, time.monotonic(), time.monotonic()))
        step.pauses[-1].ended = time.monotonic()
        return pause.unit if deployment.healthy(status, name, pause.check_from) else None

    def _resume(self, step: report.Step, unit: int) -> bool:
        """Run `resume-refresh`, looking on meanwhile; return whether the refresh went on."""
        self._shown.say(f"resume-refresh on unit {unit}")
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            resumed = executor.submit(self.application.resume, unit)
            while not concurrent.futures.wait([resumed], timeout=POLL).done:
                self.look()
        try:
            self._shown.say(resumed.result())
        except jubilant.TaskError as error:
            # The status lags behind the units, as it does for a person: look again.
            self._shown.say(f"resume-refresh on unit {unit}: {error.task.message}")
            return False
        step.resumed.append(unit)
        return True

    def _statuses(self) -> Iterator[jubilant.Status]:
        """Give the status again and again.

        Raises:
            TimeoutError: The step's time is over.
        """
        limit = time.monotonic() + self.patience
        while time.monotonic() < limit:
            begun = time.monotonic()
            yield self.look()
            time.sleep(max(begun + POLL - time.monotonic(), 0))
        raise TimeoutError(f"not done after {self.patience:g} s")

    def look(self) -> jubilant.Status:
        """Look at the status and show it.

        Raises:
            deployment.UnitError: A unit is in error.
            RuntimeError: The client has ended by itself.
        """
        status = self.application.status()
        self._looked = time.monotonic()
        recorded = self.load.history if self.load else None
        roles = self._roles(recorded)
        self._ask_revisions(roles)
        self._shown.show(status, recorded, roles=roles, revisions=self._revisions, target=self._target)
        if self.load:
            self.load.check()
        if self.application.application in status.apps:
            deployment.raise_on_error(status, self.application.application)
        return status

    def _roles(self, recorded: history.History | None) -> dict[str, history.State]:
        if recorded is None:
            return {}
        return {unit: recorded.endpoints[host].state for unit, host in self.hosts.items() if host in recorded.endpoints}

    def _ask_revisions(self, roles: dict[str, history.State]) -> None:
        """Ask the units that have come to serve, again or for the first time, for their snap's revision.

        Not more often: snapd takes long over its answer, on machines whose refresh is measured.
        """
        for unit, state in roles.items():
            if state is history.State.DOWN:
                self._restarted.add(unit)
            elif unit in self._restarted or unit not in self._revisions:
                try:
                    self._revisions[unit] = self.application.revision(unit)
                    self._restarted.discard(unit)
                except jubilant.CLIError:
                    # In the midst of a refresh there is none.
                    self._revisions.pop(unit, None)
