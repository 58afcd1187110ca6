"""The built snaps and the store in real machines: snapd, systemd, confinement and PostgreSQL are real."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from lab import settings
from lab.machines import nspawn
from lab.snaps import charmed_postgresql, store

pytestmark = [pytest.mark.machines, pytest.mark.inside]

NAME = "charmed-postgresql"
COMMON = "/var/snap/charmed-postgresql/common"
CURRENT = "/var/snap/charmed-postgresql/current"
OLD, NEW = (str(revision.number) for revision in charmed_postgresql.revisions())

PATRONI = f"""
scope: test
name: one
raft:
  data_dir: {CURRENT}/etc/patroni/raft
  self_addr: 127.0.0.1:2222
  password: raft-secret
restapi: {{listen: "0.0.0.0:8008", connect_address: "127.0.0.1:8008"}}
bootstrap:
  dcs:
    ttl: 30
    loop_wait: 10
    retry_timeout: 10
    postgresql: {{parameters: {{password_encryption: scram-sha-256}}}}
  initdb: [{{encoding: UTF8}}, data-checksums, {{waldir: {COMMON}/data/logs/16/main}}]
postgresql:
  listen: "0.0.0.0:5432"
  connect_address: 127.0.0.1:5432
  data_dir: {COMMON}/var/lib/postgresql/16/main
  bin_dir: /snap/charmed-postgresql/current/usr/lib/postgresql/16/bin
  pgpass: /tmp/pgpass
  authentication:
    superuser: {{username: operator, password: operator-secret}}
    replication: {{username: replication, password: replication-secret}}
  parameters: {{unix_socket_directories: /tmp}}
  pg_hba:
    - local all all scram-sha-256
    - host all all 127.0.0.1/32 scram-sha-256
"""


def run(machine: nspawn.NspawnMachine, *argv: str, timeout: float = 120) -> str:
    return machine.run(argv, timeout=timeout).stdout.strip()


def attempt(machine: nspawn.NspawnMachine, *argv: str) -> subprocess.CompletedProcess[str]:
    return machine.run(argv, timeout=120, check=False)


def installed(machine: nspawn.NspawnMachine) -> list[str]:
    """Version, revision, tracking channel, publisher and notes, as `snap list` shows them."""
    return run(machine, "snap", "list", NAME).splitlines()[1].split()[1:]


def wait_until(condition: str, machine: nspawn.NspawnMachine, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while attempt(machine, "sh", "-c", condition).returncode:
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {condition}\n{run(machine, 'journalctl', '-n20', '--no-pager')}")
        time.sleep(0.2)


@pytest.fixture
def host(
    own_machine: nspawn.NspawnMachine | None, running_lab: settings.Settings
) -> Iterator[nspawn.NspawnMachine | None]:
    """A machine whose store has the lab's snaps and no faults."""
    store.ensure(running_lab)
    yield own_machine
    store.set_faults(running_lab.store, [])


def test_revisions_with_the_snap_command(host: nspawn.NspawnMachine) -> None:
    run(host, "snap", "install", NAME, "--channel=16/edge", f"--revision={OLD}")
    assert installed(host) == ["16.14", OLD, "16/edge", "lab", "-"]
    run(host, "snap", "refresh", "--hold=forever", NAME)
    run(host, "snap", "start", "--enable", f"{NAME}.patroni")

    for revision, version in ((NEW, "16.15"), (OLD, "16.14"), (NEW, "16.15")):
        run(host, "snap", "refresh", NAME, f"--revision={revision}")
        assert installed(host) == [version, revision, "16/edge", "lab", "held"]
        assert version in run(host, f"{NAME}.pg-config", "--version")
        assert run(host, "systemctl", "is-enabled", f"snap.{NAME}.patroni") == "enabled"

    nothing_new = attempt(host, "snap", "refresh", NAME, f"--revision={NEW}")
    assert "has no updates available" in nothing_new.stderr
    missing = attempt(host, "snap", "refresh", NAME, "--revision=999")
    assert missing.returncode == 1
    assert "revision 999 not available" in missing.stderr
    assert f"({OLD})" in run(host, "snap", "info", NAME)
    run(host, "snap", "revert", NAME)
    assert installed(host)[1] == OLD

    host.reboot()
    assert installed(host)[:2] == ["16.14", OLD]
    run(host, "systemctl", "restart", "snapd.socket", "snapd.service")
    assert installed(host)[:2] == ["16.14", OLD]
    run(host, "snap", "remove", "--purge", NAME)
    assert attempt(host, "snap", "list", NAME).returncode == 1


def test_services_and_directories_of_a_new_installation(host: nspawn.NspawnMachine) -> None:
    run(host, "snap", "install", NAME, f"--revision={OLD}")

    services = [line.split() for line in run(host, "snap", "services", NAME).splitlines()[1:]]
    assert {service: (startup, current) for service, startup, current, _ in services} == {
        f"{NAME}.{service}": ("disabled", "inactive")
        for service in (
            *("ldap-sync", "patroni", "pgbackrest-exporter", "pgbackrest-service"),
            "prometheus-postgres-exporter",
        )
    }
    for path in (
        *(f"{CURRENT}/etc/{name}" for name in ("patroni", "postgresql", "pgbackrest", "pgbouncer")),
        *(f"{COMMON}/var/log/{name}" for name in ("patroni", "postgresql", "pgbackrest", "pgbouncer")),
        *(f"{COMMON}/var/lib/postgresql", f"{COMMON}/var/lib/pgbackrest", f"{COMMON}/data/db"),
    ):
        assert run(host, "stat", "--format=%U:%G %a", path) == "_daemon_:root 755", path

    assert "pgBackRest" in run(host, f"{NAME}.pgbackrest", "version")
    assert "PgBouncer" in run(host, f"{NAME}.pgbouncer", "--version")
    assert "16.14" in run(host, f"{NAME}.psql", "--version")
    for command in ("patronictl", "patroni-raft-controller", "pg-dump", "pg-basebackup", "pgbench", "pg-ctl"):
        assert run(host, f"{NAME}.{command}", "--help"), command
    assert "syncobj" in attempt(host, f"{NAME}.syncobj-admin", "--help").stdout.lower()
    assert "ldap-sync.ldap_host is not set" in attempt(host, "snap", "run", f"{NAME}.ldap-sync").stderr


def test_a_snap_that_nobody_configured_starts(host: nspawn.NspawnMachine) -> None:
    run(host, "snap", "install", NAME)
    run(host, "snap", "start", f"{NAME}.patroni")
    wait_until("curl -sf http://127.0.0.1:8008/primary", host)
    listening = run(host, "ss", "--listening", "--tcp", "--no-header", "--numeric")
    assert {line.split()[3] for line in listening.splitlines()} == {f"127.0.0.1:{port}" for port in (2222, 5432, 8008)}


def test_patroni_under_confinement(host: nspawn.NspawnMachine) -> None:
    run(host, "snap", "install", NAME, f"--revision={NEW}")
    for directory in (f"{COMMON}/data/logs", f"{COMMON}/data/logs/16"):
        run(host, "install", "-d", "-o", "_daemon_", directory)
    run(host, "sh", "-c", f"cat >{CURRENT}/etc/patroni/patroni.yaml <<'END'\n{PATRONI}\nEND")
    run(host, "snap", "start", "--enable", f"{NAME}.patroni")
    wait_until("curl -sf http://127.0.0.1:8008/primary", host)

    process = run(host, "pgrep", "-f", "^/snap/.*/bin/postgres ")
    assert "Seccomp:\t2" in run(host, "cat", f"/proc/{process}/status")
    assert run(host, "ps", "-o", "user=", "-p", process) == "_daemon_"
    socket = "/tmp/snap-private-tmp/snap.charmed-postgresql/tmp/.s.PGSQL.5432"
    assert run(host, "stat", "--format=%F", socket) == "socket"
    forbidden = attempt(host, "snap", "run", "--shell", f"{NAME}.psql", "-c", "mount -t tmpfs none /mnt")
    assert forbidden.returncode != 0

    def sql(
        statement: str, password: str = "operator-secret", server: str = "/tmp"
    ) -> subprocess.CompletedProcess[str]:
        url = f"dbname=postgres user=operator host={server}"
        return attempt(host, "env", f"PGPASSWORD={password}", f"{NAME}.psql", "-At", "-d", url, "-c", statement)

    assert sql("show data_checksums").stdout == "on\n"
    assert sql("show server_version").stdout == "16.15\n"
    assert sql("show server_encoding", server="127.0.0.1").stdout == "UTF8\n"
    stored = sql("select left(rolpassword, 14) from pg_authid where rolname = 'operator'")
    assert stored.stdout == "SCRAM-SHA-256$\n"
    assert "password authentication failed" in sql("select 1", password="wrong", server="127.0.0.1").stderr
    for extension in ("pgcrypto", "xml2", "uuid-ossp", "pg_stat_statements"):
        assert sql(f'create extension "{extension}"').returncode == 0, extension
    members = json.loads(run(host, f"{NAME}.patronictl", "list", "--format=json", timeout=30))
    assert [(member["Role"], member["State"]) for member in members] == [("Leader", "running")]
    raft = ("syncobj-admin", "-conn", "127.0.0.1:2222", "-pass", "raft-secret", "-status")
    assert "leader: 127.0.0.1:2222" in run(host, f"{NAME}.{raft[0]}", *raft[1:])

    run(host, "snap", "set", NAME, "exporter.user=operator", "exporter.password=operator-secret")
    run(host, "snap", "start", f"{NAME}.prometheus-postgres-exporter", f"{NAME}.pgbackrest-exporter")
    wait_until("curl -sf http://127.0.0.1:9187/metrics | grep -q '^pg_up 1'", host)
    wait_until("curl -sf http://127.0.0.1:9854/metrics | grep -q '^pgbackrest_'", host)

    run(host, "snap", "refresh", NAME, f"--revision={OLD}")
    wait_until("curl -sf http://127.0.0.1:8008/primary", host)
    assert sql("show server_version").stdout == "16.14\n"


def test_a_charms_library(host: nspawn.NspawnMachine) -> None:
    target = host.outside("/opt/libraries")
    target.mkdir(parents=True)
    for package in ("charmlibs", "opentelemetry", "typing_extensions"):
        found = importlib.util.find_spec(package)
        assert found is not None
        for place in found.submodule_search_locations or [found.origin]:
            source = pathlib.Path(str(place))
            if source.is_dir():
                shutil.copytree(source, target / source.name, dirs_exist_ok=True)
            else:
                shutil.copy(source, target)
    script = f"""
import json
from charmlibs import snap
postgresql = snap.SnapCache()["{NAME}"]
seen = [postgresql.present]
for revision in ("{OLD}", "{NEW}", "{OLD}"):
    postgresql.ensure(snap.SnapState.Present, channel="16/edge", revision=revision)
    postgresql.hold()
    postgresql = snap.SnapCache()["{NAME}"]
    seen.append([postgresql.revision, postgresql.channel, postgresql.held, postgresql.version])
postgresql.start(["patroni"], enable=True)
seen.append(snap.SnapCache()["{NAME}"].services["patroni"]["enabled"])
try:
    snap.add("{NAME}", revision="999")
except snap.SnapError:
    seen.append("refused")
try:
    snap.SnapCache()["no-such-snap"]
except snap.SnapNotFoundError:
    seen.append("not found")
print(json.dumps(seen))
"""
    output = run(host, "env", "PYTHONPATH=/opt/libraries", "python3", "-c", script)
    assert json.loads(output.splitlines()[-1]) == [
        False,
        [OLD, "16/edge", True, "16.14"],
        [NEW, "16/edge", True, "16.15"],
        [OLD, "16/edge", True, "16.14"],
        *(True, "refused", "not found"),
    ]


def test_faults_of_store_and_hooks(host: nspawn.NspawnMachine, running_lab: settings.Settings) -> None:
    store.set_faults(running_lab.store, [{"fault": "unreachable", "machine": host.name}])
    unreachable = attempt(host, "snap", "install", NAME, f"--revision={OLD}")
    assert unreachable.returncode == 1
    store.set_faults(running_lab.store, [])
    # Now and then, on a busy host, the first install after a boot fails, and the next does not; why is not known yet.
    reasons = []
    while len(reasons) < 3 and (tried := attempt(host, "snap", "install", NAME, f"--revision={OLD}")).returncode:
        reasons.append(tried.stderr)
    assert installed(host)[1] == OLD, reasons

    for hook in ("pre-refresh", "post-refresh"):
        run(host, "sh", "-c", f"echo fail >{COMMON}/lab-fault-{hook}")
        failed = attempt(host, "snap", "refresh", NAME, f"--revision={NEW}")
        assert failed.returncode == 1
        assert hook in failed.stderr
        assert installed(host)[1] == OLD
        run(host, "rm", f"{COMMON}/lab-fault-{hook}")
    run(host, "sh", "-c", f"echo sleep 2 >{COMMON}/lab-fault-pre-refresh")
    started = time.monotonic()
    run(host, "snap", "refresh", NAME, f"--revision={NEW}")
    assert time.monotonic() - started > 2
    assert installed(host)[1] == NEW


def test_users_may_ask_but_not_install(host: nspawn.NspawnMachine) -> None:
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=/tmp")
    assert "core24" in run(host, *as_nobody, "snap", "list")
    refused = attempt(host, *as_nobody, "snap", "install", NAME, f"--revision={OLD}")
    assert refused.returncode == 1
    assert "access denied" in refused.stderr
