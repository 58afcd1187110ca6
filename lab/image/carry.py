"""What a package client inside a root file system needs of the host: addresses, credentials, certificates, proxies.

Hosts differ, so nothing of this is part of an image: it is put in place for each command and gone afterwards.
"""

from __future__ import annotations

import configparser
import dataclasses
import io
import os
import pathlib
import re
from collections.abc import Iterator, Mapping

from lab import commands, settings
from lab.image import mirror

_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_CERTIFICATES_INSIDE = "/run/host-certificates.crt"
"""Beside the image's own bundle, which its packages must be able to replace."""

_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")

_VARIABLES = re.compile(
    r"(PIP|UV)_\w+|(http|https|ftp|all|no)_proxy|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO",
    re.IGNORECASE,
)
_LEFT_OUT = {
    "PIP_CONFIG_FILE",
    "PIP_CACHE_DIR",
    "PIP_TARGET",
    "PIP_PREFIX",
    "UV_CACHE_DIR",
    "UV_PYTHON",
    "UV_CONFIG_FILE",
}
_PATH = re.compile(r"(?<![\w:/.])(file://)?(/[^\s,;'\"]+)")
_APT_LEFT_OUT = re.compile(
    r"Acquire(::(IndexTargets|Changelogs|CompressionTypes|cdrom|Languages)\b.*|\S*Auto-?Detect)? "
)


@dataclasses.dataclass(frozen=True)
class Carried:
    """Variables, files by their content, and paths of the host that appear under the same name, read-only."""

    environment: dict[str, str]
    contents: dict[str, str]
    paths: dict[str, str]  # path inside: path on the host


def collect(lab_settings: settings.Settings, environ: Mapping[str, str] | None = None) -> Carried:
    """Gather what the host has.

    Raises:
        mirror.MirrorError: no archive for the machines' release was found.
    """
    environ = os.environ if environ is None else environ
    home = pathlib.Path(environ.get("HOME", "/root"))
    environment = {
        name: value for name, value in environ.items() if _VARIABLES.fullmatch(name) and name not in _LEFT_OUT
    }
    certificates = environ.get("SSL_CERT_FILE") or _CERTIFICATES
    pip, apt = _pip_configuration(home, environ), _apt_configuration()
    bundles = {certificates, _CERTIFICATES}
    paths = {path: path for path in _existing([pip, apt, *environment.values()]) if path not in bundles}
    if pathlib.Path(certificates).is_file():
        paths[_CERTIFICATES_INSIDE] = certificates
        for bundle in bundles:
            pip, apt = (text.replace(bundle, _CERTIFICATES_INSIDE) for text in (pip, apt))
        apt = f'Acquire::https::CAInfo "{_CERTIFICATES_INSIDE}";\n{apt}'
        environment |= dict.fromkeys(_CERTIFICATE_VARIABLES, _CERTIFICATES_INSIDE)
    contents = {
        "/etc/pip.conf": pip,
        "/etc/apt/apt.conf.d/99host": apt,
        "/etc/apt/sources.list": mirror.find(lab_settings).sources(),
        "/etc/resolv.conf": _text(pathlib.Path("/etc/resolv.conf")),
        "/etc/hosts": _text(pathlib.Path("/etc/hosts")),
    }
    for inside, outside in (
        ("/root/.config/uv/uv.toml", home / ".config/uv/uv.toml"),
        ("/etc/uv/uv.toml", pathlib.Path("/etc/uv/uv.toml")),
        ("/etc/apt/auth.conf.d", pathlib.Path("/etc/apt/auth.conf.d")),
        ("/etc/apt/auth.conf", pathlib.Path("/etc/apt/auth.conf")),
    ):
        if outside.exists():
            paths[inside] = str(outside)
    return Carried(environment, contents, paths)


def _pip_configuration(home: pathlib.Path, environ: Mapping[str, str]) -> str:
    """Return pip's configuration files as one, later ones taking precedence as in pip's documentation."""
    files = [
        pathlib.Path("/etc/xdg/pip/pip.conf"),
        pathlib.Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        pathlib.Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf",
        pathlib.Path(environ.get("PIP_CONFIG_FILE", os.devnull)),
    ]
    parser = configparser.RawConfigParser()
    parser.read(files)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def _apt_configuration() -> str:
    """Return how the host's apt fetches: proxies, certificates, retries, checks of dates."""
    dump = commands.run("apt-config", "dump", "Acquire").stdout
    return "".join(line for line in dump.splitlines(keepends=True) if not _APT_LEFT_OUT.match(line))


def _existing(texts: list[str]) -> Iterator[str]:
    """Yield the paths in configuration texts that the host has: local indexes, wheel directories, certificates."""
    for text in texts:
        for scheme, name in _PATH.findall(text):
            path = pathlib.Path(name)
            if scheme and path.name == "simple" and len(path.parts) > 3:
                path = path.parent  # an index's pages may link to files beside it
            if path.exists() and len(path.parts) > 2:
                yield str(path)


def _text(path: pathlib.Path) -> str:
    return path.read_text() if path.exists() else ""
