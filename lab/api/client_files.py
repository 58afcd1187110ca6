"""The files by which Juju's clients find the controller, where they look for them: `$JUJU_DATA`.

The models file is the client's own: the controller only makes it where it is missing.
"""

from __future__ import annotations

import json
import pathlib
import secrets
import typing

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lab.api import session

_RSA_BITS = 2048


class ClientFiles:
    """One JUJU_DATA directory. All files in it are for their owner alone."""

    def __init__(self, directory: pathlib.Path, controller: str) -> None:
        self._directory = directory
        self._controller = controller
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def password(self) -> str:
        """The user's password, made up when it is asked for the first time."""
        found = self._read("accounts.yaml").get("controllers", {}).get(self._controller, {}).get("password")
        if found:
            return str(found)
        made = secrets.token_urlsafe(24)
        account = {"user": session.USER, "password": made, "last-known-access": "superuser"}
        self._write("accounts.yaml", {"controllers": {self._controller: account}})
        return made

    @property
    def port(self) -> int | None:
        """Where the controller listened before; None if it never did."""
        endpoints = self._read("controllers.yaml").get("controllers", {}).get(self._controller, {}).get("api-endpoints")
        return int(endpoints[0].rpartition(":")[2]) if endpoints else None

    def write(self, context: session.Context) -> None:
        """Tells clients where the controller is, and gives them what else they expect to find."""
        described = context.described
        controller = {
            "uuid": described.uuid,
            "api-endpoints": [context.endpoint],
            "ca-cert": context.ca_certificate,
            "cloud": described.cloud,
            "region": described.region,
            "type": "lab",
            "agent-version": described.version,
        }
        content = {"controllers": {self._controller: controller}, "current-controller": self._controller}
        if self._read("controllers.yaml") != content:
            self._write("controllers.yaml", content)
        if not (self._directory / "models.yaml").exists():
            self._write("models.yaml", {"controllers": {self._controller: {"models": {}}}})
        cookies = self._directory / "cookies" / f"{self._controller}.json"
        if not cookies.exists():
            self._write_text(cookies, json.dumps([]))
        self._ssh_keys()

    def _ssh_keys(self) -> None:
        """A key of the client, which it gives to each model that it makes."""
        private = self._directory / "ssh" / "juju_id_rsa"
        if private.exists():
            return
        key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
        format_ = serialization.PrivateFormat.OpenSSH
        text = key.private_bytes(serialization.Encoding.PEM, format_, serialization.NoEncryption()).decode()
        encoding, kind = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        public = key.public_key().public_bytes(encoding, kind).decode()
        self._write_text(private.with_suffix(".pub"), f"{public} juju-client-key\n")
        self._write_text(private, text)

    def _read(self, name: str) -> dict[str, typing.Any]:
        try:
            return yaml.safe_load((self._directory / name).read_text()) or {}
        except FileNotFoundError:
            return {}

    def _write(self, name: str, content: dict[str, typing.Any]) -> None:
        self._write_text(self._directory / name, yaml.safe_dump(content, sort_keys=False))

    def _write_text(self, path: pathlib.Path, text: str) -> None:
        path.parent.mkdir(exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{path.name}.new")
        temporary.touch(0o600)
        temporary.write_text(text)
        temporary.replace(path)
