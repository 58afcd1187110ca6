"""What the parts of the controller share: store, clock, source of identifiers, machines, folders."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import threading
import typing

from lab.controller import clock as clock_module
from lab.controller import model_config, tags
from lab.controller import store as store_module
from lab.controller.entities import logs, machines, models
from lab.machines import machine as machine_module

if typing.TYPE_CHECKING:
    from lab.controller import agent as agent_module

JUJU_VERSION = "3.6.12"
"""The version of Juju that the stand-in says it is."""


@dataclasses.dataclass
class Controller:
    """The controller's parts.

    `state` is the lab's state directory (charm archives, resources, storage pool, Charmhub). `charmhub_url` is where
    the local Charmhub answers over HTTP, empty where it does not. While `outage` is set, agents and hook tools find
    the controller gone. `agents` are those that run in this process, by model and unit.
    """

    store: store_module.Store
    machines: machine_module.Machines
    state: pathlib.Path
    clock: clock_module.Clock = dataclasses.field(default_factory=clock_module.SystemClock)
    identifiers: clock_module.Identifiers = dataclasses.field(default_factory=clock_module.Identifiers)
    api_addresses: str = "127.0.0.1:17070"
    charmhub_url: str = ""
    outage: bool = False
    agents: dict[tuple[str, str], agent_module.Agent] = dataclasses.field(default_factory=dict)
    _hook_locks: dict[str, threading.Lock] = dataclasses.field(default_factory=dict)

    def now(self) -> datetime.datetime:
        """The present time."""
        return self.clock.now()

    def machine(self, model: str, identifier: str) -> machine_module.Machine:
        """The machine that a model's machine runs on.

        Raises:
            NotFoundError: the model has no such machine.
        """
        return self.machines.get(self.store.require(machines.Machine, model, identifier).hostname)

    def hook_lock(self, hostname: str) -> threading.Lock:
        """The lock that lets one hook or action run on a machine at a time."""
        return self._hook_locks.setdefault(hostname, threading.Lock())

    def log(self, model: str, entity: str, level: str, module: str, message: str) -> None:
        """Writes one line of the model's log, if the model's logging-config lets it; `entity` is a tag."""
        if logs.enabled(str(self.model_config(model, "logging-config")), module, level):
            logs.append(self.store, self.now(), model, entity, level, module, message)

    def log_unit(self, model: str, unit: str, level: str, module: str, message: str) -> None:
        """Writes one line of the model's log on behalf of a unit."""
        self.log(model, tags.unit(unit), level, module, message)

    def model_config(self, model: str, key: str) -> typing.Any:
        """One value of a model's configuration, the default if it was not set."""
        values = self.store.require(models.Model, model).config
        return values.get(key, model_config.DEFAULTS.get(key))
