from __future__ import annotations

import functools
import http.server
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

from lab import commands, settings
from lab.image import build, carry, chroot, mirror, rootfs


@pytest.fixture
def lab_settings(tmp_path):
    return settings.Settings("test", tmp_path / "state/test", tmp_path / "cache")


@pytest.fixture
def archive(tmp_path):
    """A web server of package archives; `offer` puts a release there, and gives the archive's address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def offer(name: str, suite: str, origin: str) -> str:
            release = tmp_path / "www" / name / "dists" / suite / "InRelease"
            release.parent.mkdir(parents=True, exist_ok=True)
            release.write_text(f"-----BEGIN PGP SIGNED MESSAGE-----\n\nOrigin: {origin}\nSuite: x\n")
            return f"http://127.0.0.1:{server.server_address[1]}/{name}"

        yield offer
        server.shutdown()


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """Make the host's apt read these package sources, and nothing else of the host's."""
    (tmp_path / "etc/parts").mkdir(parents=True)
    configuration = tmp_path / "etc/apt.conf"
    configuration.write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/etc/sources.list";\nDir::Etc::sourceparts "{tmp_path}/etc/parts";\n'
        'Acquire::http::Proxy::127.0.0.1 "DIRECT";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    monkeypatch.setattr(mirror, "_os_release", lambda: {"ID": "debian", "VERSION_CODENAME": "bookworm"})
    mirror.find.cache_clear()
    yield tmp_path / "etc"
    mirror.find.cache_clear()


def test_package_sources_of_both_formats_are_read(apt):
    (apt / "sources.list").write_text("deb [arch=amd64] http://one.example/debian/ bookworm main # c\n")
    (apt / "parts/two.sources").write_text(
        "Types: deb\nURIs: http://two.example/d http://three.example/d\nSuites: bookworm bookworm-updates\n"
        "Components: main\n\nTypes: deb\nEnabled: no\nURIs: http://off.example/d\nSuites: bookworm\nComponents: main\n"
    )
    assert set(mirror.host_archives()) == {
        mirror.Archive("http://one.example/debian", "bookworm"),
        mirror.Archive("http://two.example/d", "bookworm"),
        mirror.Archive("http://two.example/d", "bookworm-updates"),
        mirror.Archive("http://three.example/d", "bookworm"),
        mirror.Archive("http://three.example/d", "bookworm-updates"),
    }


def test_the_mirror_is_the_distributions_own_that_has_the_release(apt, archive, lab_settings):
    third_party = archive("third", "trixie", "Somebody")
    archive("old", "bookworm", "Debian")
    good = archive("debian", "trixie", "Debian")
    addresses = [third_party, good.replace("/debian", "/old"), good]
    lines = [f"deb {address} bookworm main" for address in addresses]
    (apt / "sources.list").write_text("\n".join([*lines, f"deb {good}-security bookworm-security main", ""]))

    found = mirror.find(lab_settings)

    assert (found.address, found.security_address) == (good, f"{good}-security")
    assert found.sources() == (
        f"deb {good} trixie main\ndeb {good} trixie-updates main\ndeb {good}-security trixie-security main\n"
    )


def test_without_a_mirror_it_says_what_was_tried(apt, archive, lab_settings):
    third_party = archive("third", "trixie", "Somebody")
    (apt / "sources.list").write_text(f"deb {third_party} bookworm main\n")
    with pytest.raises(mirror.MirrorError, match=f"{third_party} is Somebody's"):
        mirror.find(lab_settings)


def test_a_mirror_that_is_named_goes_first(apt, archive, tmp_path):
    named = archive("named", "forky", "Debian")
    own = settings.Settings("test", tmp_path, tmp_path, named, "forky")
    found = mirror.find(own)
    assert (found.address, found.distribution.suite, found.security_address) == (named, "forky", None)


@pytest.mark.parametrize(
    ("release", "suite"),
    [
        ({"ID": "debian"}, "trixie"),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "noble"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "noble"),
        ({"ID": "raspbian", "ID_LIKE": "debian"}, "trixie"),
    ],
)
def test_what_machines_run_follows_the_host(monkeypatch, lab_settings, release, suite):
    monkeypatch.setattr(mirror, "_os_release", lambda: release)
    assert mirror.distribution(lab_settings).suite == suite


def test_another_distribution_is_refused_by_name(monkeypatch, lab_settings):
    monkeypatch.setattr(mirror, "_os_release", lambda: {"ID": "fedora", "PRETTY_NAME": "Fedora 44"})
    with pytest.raises(mirror.MirrorError, match="Fedora 44"):
        mirror.distribution(lab_settings)


@pytest.fixture
def collect(apt, archive, lab_settings, tmp_path):
    (apt / "sources.list").write_text(f"deb {archive('debian', 'trixie', 'Debian')} bookworm main\n")

    def function(**environ: str) -> carry.Carried:
        return carry.collect(lab_settings, {"HOME": str(tmp_path / "home"), **environ})

    return function


def test_package_clients_get_the_hosts_variables_and_no_others(collect):
    environment = collect(
        PIP_INDEX_URL="https://index.example/simple", https_proxy="http://p.example", NO_PROXY="x", SECRET="y", PIP="z"
    ).environment
    assert environment["PIP_INDEX_URL"] == "https://index.example/simple"
    assert (environment["https_proxy"], environment["NO_PROXY"]) == ("http://p.example", "x")
    assert not {"SECRET", "PIP", "HOME"} & set(environment)


def test_what_only_makes_sense_on_the_host_stays_there(collect):
    assert not {"PIP_CACHE_DIR", "PIP_TARGET"} & set(collect(PIP_CACHE_DIR="/x", PIP_TARGET="/y").environment)


def test_pips_files_become_one_and_local_indexes_are_shown(collect, tmp_path):
    for name in ("index/simple", "index/files", "wheels"):
        (tmp_path / name).mkdir(parents=True)
    user = tmp_path / "home/.config/pip/pip.conf"
    user.parent.mkdir(parents=True)
    user.write_text(f"[global]\nextra-index-url = file://{tmp_path}/index/simple\ntimeout = 1\n")
    last = tmp_path / "pip.conf"
    last.write_text("[global]\ntimeout = 2\n")

    carried = collect(PIP_CONFIG_FILE=str(last), PIP_FIND_LINKS=f"{tmp_path}/wheels https://x.example/etc/")

    assert "timeout = 2" in carried.contents["/etc/pip.conf"]
    # An index's pages may link to files beside it, so more than the index itself is needed.
    assert carried.paths[f"{tmp_path}/index"] == f"{tmp_path}/index"
    assert carried.paths[f"{tmp_path}/wheels"] == f"{tmp_path}/wheels"
    assert "/etc" not in carried.paths


def test_the_hosts_certificates_are_used_and_the_images_own_left_alone(collect, tmp_path):
    bundle = tmp_path / "bundle.crt"
    bundle.write_text("certificates")
    carried = collect(SSL_CERT_FILE=str(bundle), PIP_CERT=str(bundle))
    inside = carried.environment["SSL_CERT_FILE"]
    assert carried.paths[inside] == str(bundle)
    assert carried.environment["PIP_CERT"] == inside
    assert "/etc/ssl/certs/ca-certificates.crt" not in carried.paths
    assert f'CAInfo "{inside}"' in carried.contents["/etc/apt/apt.conf.d/99host"]


def test_apts_settings_are_carried_without_what_belongs_to_the_host(collect, apt):
    with (apt / "apt.conf").open("a") as file:
        file.write('Acquire::http::Proxy "http://p.example:3142";\nAcquire::http::Proxy-Auto-Detect "/usr/bin/x";\n')
    configuration = collect().contents["/etc/apt/apt.conf.d/99host"]
    assert 'Acquire::http::Proxy "http://p.example:3142";' in configuration
    assert "Auto-Detect" not in configuration
    assert "IndexTargets" not in configuration


@pytest.fixture(scope="module")
def layers() -> list[pathlib.Path]:
    return [rootfs.ensure(settings.load())]


def _run(layers: list[pathlib.Path], script: str, **arguments) -> str:
    return chroot.run(settings.load(), layers, ["sh", "-ec", script], **{"timeout": 60, "host": False, **arguments})


@pytest.mark.machines
class TestChroot:
    def test_it_runs_the_images_programs_with_a_plain_environment(self, layers, monkeypatch):
        monkeypatch.setenv("SECRET", "x")
        output = _run(layers, ". /etc/os-release; echo $VERSION_CODENAME; pwd; env", cwd="/var/lib", env={"MORE": "y"})
        assert output.splitlines()[:2] == [mirror.distribution(settings.load()).suite, "/var/lib"]
        assert "MORE=y" in output
        assert "SECRET" not in output

    def test_what_it_changes_is_dropped(self, layers):
        _run(layers, "echo changed >/etc/hostname; touch /new")
        assert "changed" not in (layers[0] / "etc/hostname").read_text()
        assert not (layers[0] / "new").exists()

    def test_what_it_changes_becomes_a_layer_if_that_is_wanted(self, layers, tmp_path):
        _run(layers, "rm /etc/fstab; touch /new", upper=tmp_path)
        assert _run([tmp_path, *layers], "ls /new; test -e /etc/fstab || echo gone").split() == ["/new", "gone"]
        assert (layers[0] / "etc/fstab").exists()

    def test_paths_of_the_host_are_shown_and_leave_no_trace_in_the_layer(self, layers, tmp_path):
        for name in ("read", "write", "upper"):
            (tmp_path / name).mkdir()
        (tmp_path / "read/file").write_text("hello")
        (tmp_path / "single").write_text("one file")
        binds = [
            chroot.Bind(tmp_path / "read", "/deep/down/read", writable=False),
            chroot.Bind(tmp_path / "write", "/deep/down/write"),
            chroot.Bind(tmp_path / "single", "/etc/fstab", writable=False),
        ]
        script = (
            "cat /deep/down/read/file /etc/fstab; touch /deep/down/write/made; "
            "touch /deep/down/read/no 2>/dev/null || echo refused; touch /kept"
        )
        assert _run(layers, script, binds=binds, upper=tmp_path / "upper") == "helloone filerefused\n"
        assert (tmp_path / "write/made").exists()
        assert sorted(path.name for path in (tmp_path / "upper").rglob("*")) == ["kept"]

    def test_a_failure_tells_the_end_of_the_output(self, layers):
        with pytest.raises(chroot.ChrootError, match=r"(?s)failed with 9.*the reason"):
            _run(layers, "echo the reason >&2; exit 9")

    def test_what_it_left_running_ends_with_it(self, layers):
        marker = f"sleep {40000 + os.getpid()}"
        _run(layers, f"setsid {marker} >/dev/null 2>&1 &")
        assert _count(marker) == 0

    def test_time_ends_it(self, layers):
        marker = f"sleep {50000 + os.getpid()}"
        with pytest.raises(chroot.ChrootError, match=r"longer than 0\.5 s"):
            _run(layers, marker, timeout=0.5)
        _gone(marker)

    def test_it_ends_with_who_asked_for_it(self, layers):
        marker = f"sleep {60000 + os.getpid()}"
        code = (
            "import pathlib; from lab import settings; from lab.image import chroot; "
            f"chroot.run(settings.load(), [pathlib.Path({str(layers[0])!r})], {marker.split()}, timeout=60, host=False)"
        )
        process = subprocess.Popen([sys.executable, "-c", code], env=commands.module_environment())
        deadline = time.monotonic() + 20
        while not _count(marker) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _count(marker)
        process.kill()
        process.wait()
        _gone(marker)

    def test_packages_of_the_host_can_be_reached(self, layers):
        output = _run(layers, "cat /etc/apt/sources.list /etc/resolv.conf", host=True)
        assert mirror.find(settings.load()).address in output
        assert pathlib.Path("/etc/resolv.conf").read_text() in output

    def test_the_build_layer_builds(self):
        script = (
            "python3 -c 'import apt_pkg'; git --version; python3 -m venv /tmp/v; /tmp/v/bin/pip --version; "
            "printf '#include <Python.h>\\nint main(void) { return 0; }\\n' >x.c; "
            "gcc $(python3-config --includes) x.c; ./a.out; echo done"
        )
        assert _run(build.layers(settings.load()), script, cwd="/root").endswith("done\n")


def _count(marker: str) -> int:
    """Count the processes of this host that run exactly this command."""
    found = subprocess.run(["pgrep", "-c", "-x", "-f", marker], capture_output=True, text=True, check=False)
    return int(found.stdout)


def _gone(marker: str) -> None:
    deadline = time.monotonic() + 10
    while _count(marker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.machines
def test_the_image_starts_nothing_that_means_nothing_in_a_container(layers):
    masked = layers[0] / "etc/systemd/system"
    for name in ("getty.target", "apt-daily.timer"):
        assert (masked / name).readlink() == pathlib.Path("/dev/null")
    assert not (layers[0] / "etc/machine-id").read_text()
    assert not list((layers[0] / "var/lib/apt/lists").glob("*_Packages*"))
