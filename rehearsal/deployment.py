"""One application on Juju, as an operator sees and commands it."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import pathlib
import re
from typing import Any

import jubilant

SECRET_LABEL = "system-users"  # noqa: S105  # a label, not a secret
USER = "operator"
"""The administrator, a superuser of the database."""
REPLICATION_USER = "replication"
"""Who may take base backups."""
SNAP = "charmed-postgresql"

LOGGING = "<root>=INFO;juju.worker.uniter.operation=DEBUG;jujuc=DEBUG"
"""The model's logging-config with which its log tells when each hook begins and which hook tools it calls."""

_CHANGES = "http://localhost/v2/changes?select=all"
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
    """Return whether each unit from number `lowest` on is active and has nothing more to do, nor a charm to take."""
    units = status.apps[application].units
    return bool(units) and all(
        unit.workload_status.current == "active" and unit.juju_status.current == "idle" and not unit.upgrading_from
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
            return dict(zip(units, executor.map(self.revision, units), strict=True))

    def revision(self, unit: str) -> str:
        """Return the workload snap's revision on a unit, as snapd tells it."""
        # Not with `juju exec`, which would wait for the unit's hooks.
        return self.juju.ssh(unit, "snap", "list", SNAP).splitlines()[-1].split()[2]

    def log_hooks(self) -> None:
        """Let the model's log tell when each hook begins and which hook tools it calls."""
        self.juju.model_config({"logging-config": LOGGING})

    def log(self) -> list[dict[str, str]]:
        """Return the model's log: for each line its timestamp, entity, level, module and message."""
        lines = self.juju.cli("debug-log", "--replay", "--no-tail", "--format", "json").splitlines()
        return [json.loads(line) for line in lines if line.strip()]

    def snap_changes(self, unit: str) -> list[dict[str, Any]]:
        """Return what snapd has done on a unit's machine, as its API tells it (snapcraft.io/docs/snapd-rest-api)."""
        command = ["sudo", "curl", "--silent", "--unix-socket", "/run/snapd.socket", _CHANGES]
        return json.loads(self.juju.ssh(unit, *command))["result"]

    def never_pause(self) -> None:
        """Let refreshes go on by themselves."""
        self.juju.config(self.application, {"pause-after-unit-refresh": "none"})

    def switch_over(self, old: str, new: str) -> None:
        """Have Patroni, and nobody else, move the primary from one unit to another."""
        members = ["--leader", old.replace("/", "-"), "--candidate", new.replace("/", "-")]
        self.juju.ssh(new, "sudo", f"{SNAP}.patronictl", "switchover", *members, "--force")

    def service(self, unit: str, command: str) -> None:
        """Start or stop a unit's Patroni, and PostgreSQL with it."""
        self.juju.ssh(unit, "sudo", "snap", command, f"{SNAP}.patroni")

    def agent_group(self, unit: str) -> str:
        """Return the control group that hooks of a unit run in, as its machine names it."""
        groups = self.juju.exec("cat", "/proc/self/cgroup", unit=unit).stdout.splitlines()
        return next(line.removeprefix("0::") for line in groups if line.startswith("0::"))

    def processor_seconds(self, unit: str, group: str) -> float:
        """Return the processor time that a control group of a unit's machine has taken up to now."""
        told = self.juju.ssh(unit, "cat", f"/sys/fs/cgroup{group}/cpu.stat")
        return int(dict(line.split() for line in told.splitlines())["usage_usec"]) / 1e6

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
