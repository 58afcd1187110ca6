"""Refreshes that are not the usual one, the rehearsal's: other options, or something that stands against them."""

from __future__ import annotations

import json
import time

from rehearsal import charms, deployment, load

SERVICE = "snap.charmed-postgresql.patroni.service"
LONGEST_GAP = 15.0
"""Seconds without an acknowledged write that a planned hand-over may cost at most, on a host that is busy."""


def roles(applied):
    return {member["name"]: member["role"] for member in applied.patroni()["members"]}


def timeline(applied):
    return next(member["timeline"] for member in applied.patroni()["members"] if member["role"] == "leader")


def await_well(applied):
    """Wait until all is well, with fewer synchronous standbys than `settle` wants."""

    def well():
        status = applied.status()
        return deployment.healthy(status, "pg") and not status.apps["pg"].app_status.message

    applied.until("all units active", well)


def test_one_synchronous_standby_that_has_still_to_go(empty, write, measure, tmp_path):
    empty.create(3, config={"pause-after-unit-refresh": "none"})
    empty.settle(3)
    if empty.primary() != "pg/1":
        empty.action("pg/0", "switchover", candidate="pg/1")
        empty.settle(3)
    empty.juju.config("pg", {"synchronous-node-count": "1"})
    empty.until(
        "one synchronous standby", lambda: sorted(roles(empty).values()) == ["leader", "replica", "sync_standby"]
    )
    if roles(empty)["pg-2"] == "sync_standby":
        # Patroni keeps it as long as it streams.
        empty.lab.shell(empty.hostname("pg/2"), f"systemctl stop {SERVICE}")
        empty.until("the other one is synchronous", lambda: roles(empty)["pg-0"] == "sync_standby")
        empty.lab.shell(empty.hostname("pg/2"), f"systemctl start {SERVICE}")
        await_well(empty)
    assert roles(empty) == {"pg-0": "sync_standby", "pg-1": "leader", "pg-2": "replica"}
    pinned = charms.pinned(load.TREE)
    following = charms.Version("16/1.2.0", pinned.workload, charms.EARLIER.revisions)
    with write(empty) as writing:
        before, begun = timeline(empty), time.monotonic()
        empty.juju.refresh("pg", path=charms.variant(empty.charm, following, tmp_path))
        empty.until(
            "all units have the other revision",
            lambda: {member["snap-revision"] for member in empty.cluster_status()["members"]} == {following.revision},
        )
        await_well(empty)
        measure("refresh of three units, one standby synchronous", time.monotonic() - begun)
        measure("its longest gap", writing.gap(begun))
        assert writing.gap(begun) < LONGEST_GAP
    assert empty.primary() == "pg/2"
    assert timeline(empty) == before + 1
    assert empty.patroni_configuration()["synchronous_node_count"] == 1


def test_nobody_is_stopped_while_patroni_is_paused_or_a_backup_runs(empty, write, tmp_path):
    empty.create(3)
    empty.settle(3)
    pinned = charms.pinned(load.TREE)
    following = charms.Version("16/1.2.0", pinned.workload, charms.EARLIER.revisions)
    with write(empty):
        empty.juju.refresh("pg", path=charms.variant(empty.charm, following, tmp_path))
        empty.until("the refresh waits for the operator alone", lambda: refresh_state(empty) == "paused")
        refreshed = empty.revisions()
        machine = empty.hostname("pg/1")
        empty.lab.shell(machine, "charmed-postgresql.patronictl pause --wait")
        assert "Patroni is paused" in empty.refusal("pg/1", "resume-refresh")
        # What a refresh would have led to: a paused Patroni starts no PostgreSQL.
        empty.lab.shell(empty.hostname("pg/2"), f"systemctl restart {SERVICE}")
        stopped = "PostgreSQL is stopped; Patroni is paused; as root: `charmed-postgresql.patronictl resume`"
        empty.until("the unit says so", lambda: empty.message("pg/2") == ("blocked", stopped))
        assert empty.revisions() == refreshed
        empty.lab.shell(machine, "charmed-postgresql.patronictl resume --wait")
        empty.until("all stream", lambda: empty.runs("pg/2", empty.addresses().values()))

        # At 32 kB a second it takes longer than the test.
        backup = "charmed-postgresql.pg-basebackup -U replication --format tar --pgdata /tmp/backup --wal-method none"
        empty.lab.shell(
            machine, f"setsid {backup} --max-rate 32k --checkpoint fast >/dev/null 2>&1 & echo $! >/run/backup"
        )
        empty.until("the backup runs", lambda: backups(empty, machine) == 1)
        assert "A backup of pg-1 is running" in empty.refusal("pg/1", "resume-refresh")
        assert (empty.revisions(), backups(empty, machine)) == (refreshed, 1)
        empty.lab.shell(machine, "kill -- -$(cat /run/backup)")
        empty.until("the backup has ended", lambda: backups(empty, machine) == 0)
        empty.action("pg/1", "resume-refresh")
        empty.settle(3)
    assert set(empty.revisions().values()) == {following.revision}


def refresh_state(applied):
    told = applied.action("pg/leader", "get-refresh-status", format="json")["status"]
    return json.loads(told)["state"]


def backups(applied, machine):
    query = "SELECT count(*) FROM pg_stat_progress_basebackup"
    return int(applied.lab.shell(machine, f"charmed-postgresql.psql -U operator -Atc '{query}' postgres"))
