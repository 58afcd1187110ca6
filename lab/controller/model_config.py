"""A model's configuration: the keys that the stand-in knows, with their defaults and checks."""

from __future__ import annotations

import re
import typing

DEFAULTS: dict[str, typing.Any] = {
    "agent-metadata-url": "",
    "agent-stream": "released",
    "apt-ftp-proxy": "",
    "apt-http-proxy": "",
    "apt-https-proxy": "",
    "apt-mirror": "",
    "apt-no-proxy": "",
    "automatically-retry-hooks": True,
    "backup-dir": "",
    "charmhub-url": "",
    "cloudinit-userdata": "",
    "container-image-metadata-url": "",
    "container-image-stream": "released",
    "container-inherit-properties": "",
    "container-networking-method": "local",
    "default-base": "",
    "default-series": "",
    "default-space": "",
    "development": False,
    "disable-network-management": False,
    "disable-telemetry": False,
    "egress-subnets": "",
    "enable-os-refresh-update": True,
    "enable-os-upgrade": True,
    "fan-config": "",
    "firewall-mode": "instance",
    "ftp-proxy": "",
    "http-proxy": "",
    "https-proxy": "",
    "ignore-machine-addresses": False,
    "image-metadata-url": "",
    "image-stream": "released",
    "juju-ftp-proxy": "",
    "juju-http-proxy": "",
    "juju-https-proxy": "",
    "juju-no-proxy": "127.0.0.1,localhost,::1",
    "logging-config": "<root>=INFO",
    "lxd-snap-channel": "5.0/stable",
    "max-action-results-age": "336h",
    "max-action-results-size": "5G",
    "max-status-history-age": "336h",
    "max-status-history-size": "5G",
    "mode": "[requires-prompts]",
    "net-bond-reconfigure-delay": 17,
    "no-proxy": "127.0.0.1,localhost,::1",
    "num-container-provision-workers": 4,
    "num-provision-workers": 16,
    "provisioner-harvest-mode": "destroyed",
    "proxy-ssh": False,
    "resource-tags": "",
    "saas-ingress-allow": "0.0.0.0/0,::/0",
    "secret-backend": "auto",
    "snap-http-proxy": "",
    "snap-https-proxy": "",
    "snap-store-assertions": "",
    "snap-store-proxy": "",
    "snap-store-proxy-url": "",
    "ssl-hostname-verification": True,
    "storage-default-block-source": "loop",
    "storage-default-filesystem-source": "rootfs",
    "test-mode": False,
    "transmit-vendor-metrics": True,
    "update-status-hook-interval": "5m",
}

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration(text: str) -> float:
    """The seconds in one of Go's duration strings, such as `5m` or `1h30m`.

    Raises:
        ValueError: it is not one.
    """
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'time: invalid duration "{text}"')
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def check(key: str, value: typing.Any) -> typing.Any:
    """The value as its key's type wants it; keys that Juju does not define are stored as they are.

    Raises:
        ValueError: it is not of that type.
    """
    default = DEFAULTS.get(key)
    if isinstance(default, bool):
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            raise ValueError(f"{key}: expected bool, got {type(value).__name__}({value!r})")
    if isinstance(default, int) and not isinstance(default, bool):
        return int(value)
    if key == "update-status-hook-interval":
        # Juju means to refuse less than a minute and more than an hour, but accepts both.
        duration(str(value))
    return value
