"""Which package archive the images come from: the one that the host's own apt is set up with."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import platform
import re
import tempfile

from lab import commands, settings

_RELEASE_FILE = re.compile(r"^'(\S+?)/?dists/([^/']+)/InRelease'", re.MULTILINE)


class MirrorError(RuntimeError):
    """The host's package sources are of no use here."""


@dataclasses.dataclass(frozen=True)
class Distribution:
    """What machines run. Their snapd must know `_daemon_` and holds (2.58 on), which rules Debian 12 out."""

    origin: str  # as the archive's Release file has it
    suite: str
    components: tuple[str, ...]
    keyring: str


DISTRIBUTIONS = {
    "debian": Distribution("Debian", "trixie", ("main",), "/usr/share/keyrings/debian-archive-keyring.gpg"),
    "ubuntu": Distribution("Ubuntu", "noble", ("main", "universe"), "/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
}


@dataclasses.dataclass(frozen=True)
class Archive:
    """One line of the host's package sources."""

    address: str
    suite: str


@dataclasses.dataclass(frozen=True)
class Mirror:
    """Where a distribution's packages come from."""

    distribution: Distribution
    address: str
    security_address: str | None

    def sources(self) -> str:
        """Return the content of a `sources.list` for the machines' release."""
        suite, components = self.distribution.suite, " ".join(self.distribution.components)
        lines = [f"deb {self.address} {name} {components}" for name in (suite, f"{suite}-updates")]
        if self.security_address:
            lines.append(f"deb {self.security_address} {suite}-security {components}")
        return "\n".join([*lines, ""])


def distribution(lab_settings: settings.Settings) -> Distribution:
    """Return what the machines of this host run: Debian 13 on Debian, Ubuntu 24.04 on Ubuntu, or `LAB_SUITE`.

    Raises:
        MirrorError: the host is neither, nor derived from one of them.
    """
    release = _os_release()
    for name in [release.get("ID", ""), *release.get("ID_LIKE", "").split()]:
        if name in DISTRIBUTIONS:
            found = DISTRIBUTIONS[name]
            return dataclasses.replace(found, suite=lab_settings.suite) if lab_settings.suite else found
    raise MirrorError(f"images can be built on Debian and Ubuntu, not on {release.get('PRETTY_NAME', 'this system')}")


@functools.cache
def find(lab_settings: settings.Settings) -> Mirror:
    """Return the mirror to build from, after a look into what it offers.

    Of the archives in the host's package sources that have the host's own release, the first counts that is the
    distribution's (third parties name their suites alike) and offers the machines' release.

    Raises:
        MirrorError: no archive does, or none can be reached.
    """
    wanted = distribution(lab_settings)
    archives = host_archives()
    codename = _codename(_os_release())
    security = next((archive.address for archive in archives if archive.suite == f"{codename}-security"), None)
    candidates = [archive.address for archive in archives if archive.suite == codename]
    problems = []
    for address in [lab_settings.mirror] if lab_settings.mirror else dict.fromkeys(candidates):
        try:
            origin = _origin(address, wanted.suite)
        except commands.CommandError as error:
            problems.append(str(error))
            continue
        if origin == wanted.origin:
            return Mirror(wanted, address, security)
        problems.append(f"{address} is {origin}'s")
    reasons = "; ".join(problems) or "none is set up"
    raise MirrorError(f"no package archive of the host offers {wanted.origin} {wanted.suite}: {reasons}")


def host_archives() -> list[Archive]:
    """Return the host's package sources. apt itself reads them, so every format that it knows will do."""
    with tempfile.TemporaryDirectory() as empty:
        (pathlib.Path(empty) / "partial").mkdir()
        printed = commands.run("apt-get", "-o", f"Dir::State::lists={empty}", "update", "--print-uris").stdout
    return [Archive(address, suite) for address, suite in _RELEASE_FILE.findall(printed)]


def architecture() -> str:
    """Return the machines' architecture, in Debian's terms: the host's."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _origin(address: str, suite: str) -> str:
    """Return the `Origin` field of an archive's Release file, fetched as apt fetches it (proxies, credentials, CA)."""
    with tempfile.TemporaryDirectory() as directory:
        target = pathlib.Path(directory) / "InRelease"
        # As another user apt could not write there; what the file says is checked again by debootstrap and apt.
        commands.run(
            "/usr/lib/apt/apt-helper",
            "-o",
            "APT::Sandbox::User=root",
            "download-file",
            f"{address.rstrip('/')}/dists/{suite}/InRelease",
            str(target),
            timeout=60,
        )
        origin = re.search(r"^Origin: *(.*)$", target.read_text(errors="replace"), re.MULTILINE)
    return origin[1] if origin else "nobody"


def _os_release() -> dict[str, str]:
    return platform.freedesktop_os_release()


def _codename(release: dict[str, str]) -> str:
    """Return the release name that the host's package sources go by; derivatives say which one they build on."""
    for field in ("UBUNTU_CODENAME", "DEBIAN_CODENAME", "VERSION_CODENAME"):
        if release.get(field):
            return release[field]
    raise MirrorError("/etc/os-release names no release")
