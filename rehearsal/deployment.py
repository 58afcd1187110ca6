"""One application on Juju, as an operator sees and commands it."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import pathlib
import re

import jubilant

SECRET_LABEL = "system-users"  # noqa: S105  # a label, not a secret
USER = "operator"
"""The administrator, a superuser of the database."""
REPLICATION_USER = "replication"
"""Who may take base backups."""
SNAP = "charmed-postgresql"

_RESUME = re.compile(r"Check units >=(\d+) are healthy & run `resume-refresh` on unit (\d+)")


class UnitError(Exception):
    """A hook failed: a unit or machine is in error."""


@dataclasses.dataclass(frozen=True)
class Pause:
    """A refresh that waits for its operator."""

    check_from: int
    """Units of this number and above are to be healthy."""
    unit: int
    """The unit to run `resume-refresh` on."""


def pause(status: jubilant.Status, application: str) -> Pause | None:
    """Return what the application's status asks its operator to do, if anything.

    While the highest unit itself is refreshing, the status names that unit in both places: it goes on by itself.
    """
    match = _RESUME.search(status.apps[application].app_status.message)
    if not match:
        return None
    found = Pause(check_from=int(match[1]), unit=int(match[2]))
    return found if found.unit < found.check_from else None


def healthy(status: jubilant.Status, application: str, lowest: int = 0) -> bool:
    """Return whether each unit from number `lowest` on is active and has nothing more to do."""
    units = status.apps[application].units
    return bool(units) and all(
        unit.workload_status.current == "active" and unit.juju_status.current == "idle"
        for name, unit in units.items()
        if number(name) >= lowest
    )


def raise_on_error(status: jubilant.Status, application: str) -> None:
    """Raise if a unit is in error.

    Raises:
        UnitError: One is; the text says which and what its status tells.
    """
    for name, unit in status.apps[application].units.items():
        if unit.workload_status.current == "error":
            raise UnitError(f"{name} is in error: {unit.workload_status.message}")
    for name, machine in status.machines.items():
        if machine.machine_status.current == "provisioning error":
            raise UnitError(f"machine {name} did not start: {machine.machine_status.message}")


def number(unit: str) -> int:
    """Return the number in a unit's name."""
    return int(unit.rpartition("/")[2])


class Deployment:
    """An application in the model that `juju` works on."""

    def __init__(self, juju: jubilant.Juju, application: str) -> None:
        """Talk about `application` through `juju`."""
        self.juju = juju
        self.application = application

    def deploy(self, charm: pathlib.Path, units: int) -> None:
        """Ask for the application; it is not there yet when this returns."""
        self.juju.deploy(charm.absolute(), self.application, num_units=units)

    def refresh(self, charm: pathlib.Path) -> None:
        """Give the application another charm; its units follow."""
        self.juju.refresh(self.application, path=charm.absolute())

    def resume(self, unit: int) -> str:
        """Let the refresh go on with that unit; return what the action says.

        Raises:
            jubilant.TaskError: The action refuses.
        """
        task = self.juju.run(f"{self.application}/{unit}", "resume-refresh", wait=300)
        return str(task.results.get("result", ""))

    def status(self) -> jubilant.Status:
        """Return the model's status now."""
        return self.juju.status()

    def addresses(self) -> dict[str, str]:
        """Return each unit's address, in the order of the units' numbers."""
        units = self.status().apps[self.application].units
        return {name: units[name].public_address for name in sorted(units, key=number)}

    def machine(self) -> str:
        """Return the name (Juju's instance id) of the lowest unit's machine."""
        status = self.status()
        units = status.apps[self.application].units
        return status.machines[units[min(units, key=number)].machine].instance_id

    def revisions(self) -> dict[str, str]:
        """Return the workload snap's revision on each unit, as snapd tells it, in the order of the units' numbers."""
        units = sorted(self.status().apps[self.application].units, key=number)
        with concurrent.futures.ThreadPoolExecutor() as executor:
            return dict(zip(units, executor.map(self._revision, units), strict=True))

    def _revision(self, unit: str) -> str:
        # Not with `juju exec`, which would wait for the unit's hooks.
        return self.juju.ssh(unit, "snap", "list", SNAP).splitlines()[-1].split()[2]

    def passwords(self) -> dict[str, str]:
        """Return the passwords of the administrator and of the replication user from the application's secret.

        Raises:
            LookupError: The application has no such secret.
        """
        for secret in self.juju.secrets():
            if secret.label == SECRET_LABEL and secret.owner == self.application:
                content = self.juju.show_secret(secret.uri, reveal=True).content
                return {user: content[f"{user}-password"] for user in (USER, REPLICATION_USER)}
        raise LookupError(f"{self.application} has no secret with the label {SECRET_LABEL}")
