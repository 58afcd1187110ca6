"""An application as these tests command it and see it: through Juju as an operator, from outside as a client."""

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import time
import typing
from collections.abc import Callable, Collection

import jubilant
import lab_world

from rehearsal import deployment

PATIENCE = 300.0
"""Seconds that anything may take. The host may be busy with other things."""
POLL = 1.0
_GOOD_STATES = ("running", "streaming")

_CLUSTER = """
import json, sys, urllib.request
for host in sys.argv[1:]:
    try:
        with urllib.request.urlopen(f"http://{host}:8008/cluster", timeout=3) as answer:
            print(answer.read().decode())
            break
    except OSError:
        pass
"""
_RAFT = """
import json, sys
from pysyncobj import utility
password = sys.stdin.read()
try:
    answer = utility.TcpUtility(password, 5).executeCommand(f"{sys.argv[1]}:2222", ["status"])
except utility.UtilityException:
    answer = None
print(json.dumps({key: str(value) for key, value in answer.items()} if isinstance(answer, dict) else None))
"""


class Application(deployment.Deployment):
    """One application of the charm in a model of the lab."""

    def __init__(self, juju: jubilant.Juju, lab: lab_world.Lab, charm: pathlib.Path, name: str = "pg") -> None:
        super().__init__(juju, name)
        self.lab = lab
        self.charm = charm

    # What an operator does

    def create(self, units: int = 1, **options: typing.Any) -> None:
        """Ask for the application, small enough for many on one host."""
        config = {"profile": "testing", **options.pop("config", {})}
        self.juju.deploy(self.charm, self.application, num_units=units, config=config, **options)

    def add_machine(self) -> str:
        """Have a machine before there is any unit; return its name once it runs."""
        self.juju.cli("add-machine")
        self.until(
            "a machine", lambda: [m for m in self.status().machines.values() if m.juju_status.current == "started"]
        )
        [machine] = self.status().machines.values()
        return machine.instance_id

    def unit(self, number: int) -> str:
        """Return the name of a unit."""
        return f"{self.application}/{number}"

    def action(self, unit: str, name: str, **parameters: str | bool) -> dict[str, typing.Any]:
        """Run an action; return its results.

        Raises:
            jubilant.TaskError: It failed.
        """
        return self.juju.run(unit, name, parameters, wait=120).results

    def refusal(self, unit: str, name: str, **parameters: str) -> str:
        """Run an action that is to fail; return what it says."""
        try:
            results = self.action(unit, name, **parameters)
        except jubilant.TaskError as error:
            return error.task.message
        raise AssertionError(f"{name} on {unit} did not refuse: {results}")

    def fault(self, action: str, *machines: str) -> None:
        """Let machines, by their numbers, `crash`, `stop`, `start` or `reboot`, all at the same time.

        This needs neither agents nor hooks; the controller may be out.
        """

        def begin(machine: str) -> None:
            self.lab.call("fault_machine", model=self.juju.model, machine=machine, action=action)

        with concurrent.futures.ThreadPoolExecutor(len(machines)) as executor:
            list(executor.map(begin, machines))

    def cluster_status(self, unit: str = "leader") -> dict[str, typing.Any]:
        """Return what get-cluster-status tells a program."""
        return json.loads(self.action(f"{self.application}/{unit}", "get-cluster-status", format="json")["status"])

    # What can be seen

    def units(self) -> dict[str, jubilant.statustypes.UnitStatus]:
        """Return the units by name, in the order of their numbers; none if there is no such application."""
        found = self.status().apps.get(self.application)
        units = found.units if found else {}
        return {name: units[name] for name in sorted(units, key=deployment.number)}

    def leader(self) -> str:
        """Return Juju's leader; empty if there is none now."""
        return next((name for name, unit in self.units().items() if unit.leader), "")

    def hostname(self, unit: str) -> str:
        """Return the name of a unit's machine."""
        status = self.status()
        return status.machines[status.apps[self.application].units[unit].machine].instance_id

    def machine_number(self, unit: str) -> str:
        """Return Juju's number of a unit's machine."""
        return self.units()[unit].machine

    def storage(self, unit: str) -> list[str]:
        """Return the identifiers of the storage that is attached to a unit."""
        listed = json.loads(self.juju.cli("storage", "--format", "json"))["storage"]
        return sorted(name for name, each in listed.items() if unit in each.get("attachments", {}).get("units", {}))

    def data_directory(self, unit: str) -> pathlib.Path:
        """Return where the data of a unit's PostgreSQL are on this host, also after the unit has gone."""
        [identifier] = [name for name in self.storage(unit) if name.startswith("data/")]
        pool = self.lab.settings.storage
        [found] = pool.glob(f"{self.juju.show_model().model_uuid[-6:]}-{identifier.replace('/', '-')}")
        return found / "16/main"

    def compiled(self, unit: str) -> dict[bool, list[str]]:
        """Return the charm's compiled modules on a unit: those of its package (True), and those that hooks compiled.

        The former are compiled for their content, the latter for a file's time (PEP 552).
        """
        directory = f"/var/lib/juju/agents/unit-{unit.replace('/', '-')}/charm"
        flags = f"find {directory} -name '*.pyc' -printf '%p ' -exec od -A n -t u4 -j 4 -N 4 {{}} ';'"
        found = [line.split() for line in self.lab.shell(self.hostname(unit), flags).splitlines()]
        return {by: [name for name, flag in found if bool(int(flag)) is by] for by in (True, False)}

    def message(self, unit: str | None = None) -> tuple[str, str]:
        """Return the status and its text: a unit's, or the application's."""
        found = self.status().apps[self.application]
        told = found.units[unit].workload_status if unit else found.app_status
        return told.current, told.message

    def patroni(self, hosts: Collection[str] | None = None) -> dict[str, typing.Any]:
        """Return what the first Patroni that answers tells of the cluster; nothing if none does."""
        asked = self.addresses().values() if hosts is None else hosts
        return self.lab.inside(_CLUSTER, *asked) or {"members": []}

    def primary(self) -> str:
        """Return the unit whose PostgreSQL is the primary, as Patroni tells; empty if there is none."""
        for member in self.patroni()["members"]:
            if member["role"] == "leader" and member["state"] == "running":
                return self.unit(int(member["name"].rpartition("-")[2]))
        return ""

    def patroni_configuration(self) -> dict[str, typing.Any]:
        """Return the configuration that all members share."""
        return self.lab.inside(_CLUSTER.replace("/cluster", "/config"), *self.addresses().values())

    def takes_writes(self, host: str) -> bool:
        """Whether the member at `host` says of itself that it is the primary; /cluster may be out of date."""
        told = self.lab.inside(_CLUSTER.replace("/cluster", "/patroni"), host) or {}
        return told.get("role") == "primary"

    def runs(self, unit: str, hosts: Collection[str]) -> bool:
        """Whether the first of the hosts that answers says that the unit leads, or streams from the one that does."""
        members = {member["name"]: member for member in self.patroni(hosts)["members"]}
        member = members.get(unit.replace("/", "-"), {"role": "", "state": ""})
        if not any(each["role"] == "leader" and each["state"] == "running" for each in members.values()):
            return False
        return (member["role"] == "leader") is (member["state"] == "running") and member["state"] in _GOOD_STATES

    def raft(self, host: str) -> dict[str, str]:
        """Return what the Raft node at `host` tells; empty where it does not answer."""
        return self.lab.inside(_RAFT, host, input=self._raft_password) or {}

    def raft_members(self, host: str) -> set[str]:
        """Return the addresses of all members of the Raft cluster, as the node at `host` tells."""
        told = self.raft(host)
        prefix = "partner_node_status_server_"
        nodes = {key.removeprefix(prefix) for key in told if key.startswith(prefix)} | {told.get("self", "")}
        return {node.rpartition(":")[0] for node in nodes}

    def raft_leader(self) -> str:
        """Return the unit that leads the Raft cluster."""
        addresses = self.addresses()
        node = self.raft(next(iter(addresses.values()))).get("leader", "")
        return next((unit for unit, address in addresses.items() if f"{address}:2222" == node), "")

    @property
    def _raft_password(self) -> str:
        return self.secret()["raft-password"]

    def secret(self) -> dict[str, str]:
        """Return the system users' passwords by their keys."""
        for secret in self.juju.secrets():
            if secret.label == deployment.SECRET_LABEL and secret.owner == self.application:
                return self.juju.show_secret(secret.uri, reveal=True).content
        raise LookupError(f"{self.application} has no secret with the label {deployment.SECRET_LABEL}")

    # Waiting

    def until(self, what: str, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait for `condition`.

        Raises:
            AssertionError: It does not come about; the text tells what Juju shows instead.
        """
        limit = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > limit:
                raise AssertionError(f"not within {seconds:g} s: {what}\n{self._shown()}")
            time.sleep(POLL)

    def _shown(self) -> str:
        """Return what Juju shows, for the report of a failure."""
        try:
            return self.juju.cli("status", "--storage") + self.juju.cli("debug-log", "--replay", "--no-tail")[-4000:]
        except jubilant.CLIError as error:
            return f"{error}: {error.stderr}"

    def settle(self, units: int, seconds: float = PATIENCE) -> list[str]:
        """Wait until there are that many units, each of them active, idle and a member that streams; return them."""

        def settled() -> bool:
            status = self.status()
            found = status.apps.get(self.application)
            if found is None or len(found.units) != units or not deployment.healthy(status, self.application):
                return False
            if (found.app_status.current, found.app_status.message) != ("active", ""):
                return False
            members = self.patroni([unit.public_address for unit in found.units.values()])["members"]
            names = {f"{self.application}-{deployment.number(name)}" for name in found.units}
            return {member["name"] for member in members} == names and _all_run(members)

        self.until(f"{units} units of {self.application}, all active and members", settled, seconds)
        return list(self.units())

    def await_status(self, level: str, text: str, unit: str | None = None, seconds: float = PATIENCE) -> str:
        """Wait until the status (of a unit, or the application) is of that level and has that text in it; return it."""

        def told() -> bool:
            if self.application not in self.status().apps:
                return False
            current, message = self.message(unit) if unit is None or unit in self.units() else ("", "")
            return current == level and text in message

        self.until(f"status {level} with {text!r} of {unit or self.application}", told, seconds)
        return self.message(unit)[1]

    def await_members(self, seconds: float = PATIENCE) -> None:
        """Wait until every node of the Raft cluster knows exactly the units as its members."""

        def exact() -> bool:
            addresses = set(self.addresses().values())
            return all(self.raft_members(address) == addresses for address in addresses)

        self.until("Raft has exactly the units as members", exact, seconds)

    def await_gone(self, *units: str, seconds: float = PATIENCE) -> None:
        """Wait until these units are no more; without any, until there is no application."""
        if units:
            self.until(f"{', '.join(units)} gone", lambda: not set(units) & set(self.units()), seconds)
        else:
            self.until(f"{self.application} gone", lambda: self.application not in self.status().apps, seconds)


def _all_run(members: list[dict[str, typing.Any]]) -> bool:
    """Whether there is one primary and every other member streams, synchronously if it is to."""
    roles = sorted(member["role"] for member in members)
    states = {member["state"] for member in members if member["role"] != "leader"}
    leaders = [member for member in members if member["role"] == "leader"]
    return (
        len(leaders) == 1
        and leaders[0]["state"] == "running"
        and states <= {"streaming"}
        and roles[1:] == ["sync_standby"] * (len(roles) - 1)
    )
