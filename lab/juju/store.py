"""The client's own files below JUJU_DATA, in the form of Juju's client, and where the controller's socket is."""

from __future__ import annotations

import collections.abc
import os
import pathlib
import typing

DEFAULT_CONTROLLER = "lab"


class ClientStore:
    """The files of one JUJU_DATA directory, which lies in the lab's state directory beside `controller.socket`."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory

    @classmethod
    def find(cls, environ: collections.abc.Mapping[str, str]) -> ClientStore:
        """The store that JUJU_DATA names, else that of the lab which the lab's own settings name."""
        named = environ.get("JUJU_DATA")
        if named:
            return cls(pathlib.Path(named).expanduser().absolute())
        from lab import settings  # late: with JUJU_DATA the settings do not matter

        return cls(settings.load().state / "juju")

    @property
    def socket_path(self) -> pathlib.Path:
        """The controller's RPC socket."""
        return self.directory.parent / "controller.socket"

    @property
    def current_model(self) -> str:
        """The model of the last `juju switch` or `juju add-model`; empty for none."""
        name = self._controller_models().get("current-model", "")
        return str(name).rpartition("/")[2]

    @property
    def previous_model(self) -> str:
        """The model that was current before; `juju switch -` goes back to it."""
        name = self._controller_models().get("previous-model", "")
        return str(name).rpartition("/")[2]

    def select(self, model: str) -> None:
        """Make a model the current one; empty for none."""
        entry = self._controller_models()
        if entry.get("current-model"):
            entry["previous-model"] = entry["current-model"]
        if model:
            entry["current-model"] = f"admin/{model}"
        else:
            entry.pop("current-model", None)
        self._write(entry)

    def remember(self, models: collections.abc.Mapping[str, str]) -> None:
        """Record which models there are, name to UUID; a current model that is gone is no longer current."""
        entry = self._controller_models()
        entry["models"] = {f"admin/{name}": {"uuid": uuid, "type": "iaas"} for name, uuid in models.items()}
        for key in ("current-model", "previous-model"):
            if entry.get(key) not in entry["models"]:
                entry.pop(key, None)
        self._write(entry)

    @property
    def controller(self) -> str:
        """The controller's name in the client's files."""
        return str(self._load("controllers.yaml").get("current-controller") or DEFAULT_CONTROLLER)

    @property
    def api_endpoints(self) -> list[str]:
        """Where the controller's API is, as the controller has written it down; empty if it has not."""
        described = (self._load("controllers.yaml").get("controllers") or {}).get(self.controller) or {}
        return list(described.get("api-endpoints") or [])

    @property
    def account(self) -> dict[str, str]:
        """The user of the controller's API: `user`, `password`, and so on; empty if there is none."""
        return dict((self._load("accounts.yaml").get("controllers") or {}).get(self.controller) or {})

    def _controller_models(self) -> dict[str, typing.Any]:
        controllers = self._load("models.yaml").get("controllers") or {}
        return dict(controllers.get(self.controller) or {})

    def _load(self, name: str) -> dict[str, typing.Any]:
        try:
            text = (self.directory / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        import yaml  # late: a run that names its model never reads these files

        return yaml.safe_load(text) or {}

    def _write(self, entry: dict[str, typing.Any]) -> None:
        import yaml

        content = self._load("models.yaml")
        content.setdefault("controllers", {})
        content["controllers"] = {**(content["controllers"] or {}), self.controller: entry}
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.directory / f".models-{os.getpid()}.yaml"
        temporary.write_text(yaml.safe_dump(content), encoding="utf-8")
        temporary.replace(self.directory / "models.yaml")
