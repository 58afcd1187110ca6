"""The service that watches the cluster beside the charm: its systemd unit and its settings."""

import dataclasses
import hashlib
import json
import pathlib

from charms.operator_libs_linux.v1 import systemd

from workload import files, service


@dataclasses.dataclass(frozen=True)
class Watch:
    """The observer of one unit."""

    unit: str
    charm_directory: pathlib.Path
    systemd_units: pathlib.Path

    @property
    def service(self) -> str:
        """The systemd unit's name."""
        return f"{self.unit.replace('/', '-')}-observer.service"

    @property
    def _settings_file(self) -> pathlib.Path:
        # Charm files that the charm's package does not have survive its upgrades.
        return self.charm_directory / ".observer.json"

    def ensure(self, endpoints: list[str], retry_seconds: float | None) -> None:
        """Have it run with these settings. Raises ServiceError.

        retry_seconds: give an event at least that often, while the unit is not settled.
        """
        settings = json.dumps({"endpoints": endpoints, "retry_seconds": retry_seconds})
        files.ensure_file(self._settings_file, settings, files.ROOT, 0o644)
        program = self.charm_directory / "src/observer.py"
        content = "\n".join(
            [
                "[Unit]",
                f"Description=Tells {self.unit} what changes in its PostgreSQL cluster",
                "[Service]",
                f"ExecStart=/usr/bin/python3 -I {program} --unit {self.unit} --charm-directory {self.charm_directory}"
                f" --settings {self._settings_file}",
                "Restart=always",
                "RestartSec=5",
                # Another program after an upgrade of the charm: another unit file, and so a restart.
                f"Environment=PROGRAM={hashlib.sha256(program.read_bytes()).hexdigest()}",
                "[Install]",
                "WantedBy=multi-user.target",
                "",
            ]
        )
        written = files.ensure_file(self.systemd_units / self.service, content, files.ROOT, 0o644)
        # Enabled last: a hook that was cut off before has not come so far.
        if written or not (self.systemd_units / "multi-user.target.wants" / self.service).is_symlink():
            self._start()

    def _start(self) -> None:
        try:
            systemd.daemon_reload()
            systemd.service_restart(self.service)
            systemd.service_enable(self.service)
        except systemd.SystemdError as error:
            # Without the file the next event tries again.
            files.remove(self.systemd_units / self.service)
            raise service.ServiceError(f"systemd has not started {self.service}: {error}") from error

    def remove(self) -> None:
        """Stop it for good."""
        if not (self.systemd_units / self.service).exists():
            return
        systemd.service_disable("--now", self.service)
        files.remove(self.systemd_units / self.service)
        files.remove(self._settings_file)
        systemd.daemon_reload()
