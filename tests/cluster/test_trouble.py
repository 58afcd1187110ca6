"""Bad input and bad luck: each has a status that says what, why and what to do, and loses nothing."""

from __future__ import annotations

import time

import pytest

OPTIONS = {
    "pause-after-unit-refresh": ("sometimes", "all, first, none"),
    "synchronous-node-count": ("9", "all, majority, 0 to 8"),
    "profile": ("huge", "production, testing"),
}


def test_a_value_that_is_not_allowed_is_named_and_changes_nothing(three, write):
    three.juju.config(three.application, {"synchronous-node-count": "all"})
    with write(three) as writing:
        before = three.patroni_configuration()
        for option, (value, allowed) in OPTIONS.items():
            good = str(three.juju.config(three.application)[option])
            three.juju.config(three.application, {option: value})
            text = f"{option}: '{value}' is not allowed ({allowed}); set with `juju config`"
            for unit in three.units():
                assert three.await_status("blocked", text, unit) == text
            # Of the option that is charm-refresh's, charm-refresh tells the application.
            assert three.await_status("blocked", option)
            writing.await_write()
            assert three.patroni_configuration() == before
            three.juju.config(three.application, {option: good})
            three.settle(3)


def test_a_store_that_is_not_reachable_is_told_and_asked_again(empty, lab):
    lab.store_faults({"fault": "unreachable", "snap": "charmed-postgresql"})
    empty.create(1)
    said = empty.await_status("waiting", "Failed to install the snap", "pg/0")
    assert "cannot reach the snap store" in said
    assert len(said) <= 120
    assert said.endswith("tried again at the next event")
    lab.store_faults()
    empty.settle(1)


def test_a_port_that_is_taken_is_told(empty):
    machine = empty.add_machine()
    empty.lab.shell(machine, "systemd-run --unit=other python3 -m http.server 5432")
    empty.create(1, to="0")
    text = "Port 5432 is taken by another program; find it with `ss -ltnp 'sport = :5432'`"
    assert empty.await_status("blocked", text, "pg/0") == text
    assert "python3" in empty.lab.shell(machine, "ss -ltnp 'sport = :5432'")
    empty.lab.shell(machine, "systemctl stop other")
    empty.settle(1)


_SNAPD = "snapd.socket snapd.service"
"""What is stopped and masked. `store-proxy.socket` and `store-proxy.service`, which stand in front of it, are bound to
`snapd.socket`: they end and begin with it. They could not be masked, as files that lie in /etc themselves."""


def test_a_machine_without_snapd_is_told(empty, write):
    machine = empty.add_machine()
    empty.lab.shell(machine, f"systemctl stop {_SNAPD}; systemctl mask --now {_SNAPD}")
    empty.create(1, to="0")
    assert empty.await_status("waiting", "snapd does not answer", "pg/0").endswith("see `systemctl status snapd`")
    empty.lab.shell(machine, f"systemctl unmask {_SNAPD} && systemctl start snapd.socket")
    empty.settle(1)
    with write(empty) as writing:
        empty.lab.shell(machine, f"systemctl stop {_SNAPD}; systemctl mask --now {_SNAPD}")
        # An ordinary event: one that may bring new charm code fails instead, so that Juju repeats it.
        empty.juju.model_config({"update-status-hook-interval": "10s"})
        empty.await_status("waiting", "snapd does not answer", "pg/0")
        writing.await_write()
        empty.lab.shell(machine, f"systemctl unmask {_SNAPD} && systemctl start snapd.socket")
        empty.settle(1)


def test_a_storage_that_is_not_mounted_is_told_and_nothing_is_begun_in_its_place(three, write):
    location = "/var/snap/charmed-postgresql/common/var/lib/postgresql"
    three.juju.model_config({"update-status-hook-interval": "10s"})
    standby = next(unit for unit in three.units() if unit != three.primary())
    machine = three.hostname(standby)
    with write(three) as writing:
        three.lab.shell(machine, f"systemctl stop snap.charmed-postgresql.patroni && umount {location}")
        text = "Storage not mounted: data; mend it, then as root: `mount -a`"
        assert three.await_status("blocked", text, standby) == text
        assert three.lab.shell(machine, f"ls -A {location}").strip() == ""
        writing.await_write()
        three.lab.shell(machine, "mount -a")
        three.settle(3)


@pytest.mark.parametrize("storage", ["data", "logs"])
def test_a_full_storage_is_told_and_the_others_serve(empty, write, measure, storage):
    where = {
        "data": "/var/snap/charmed-postgresql/common/var/lib/postgresql",
        "logs": "/var/snap/charmed-postgresql/common/data/logs",
    }
    empty.create(3, storage={storage: "image,1G"})
    empty.settle(3)
    primary = empty.primary()
    machine = empty.hostname(primary)
    with write(empty) as writing:
        writing.move(next(unit for unit in empty.units() if unit != primary))
        filler = f"{where[storage]}/filler"
        free = int(empty.lab.shell(machine, f"stat -f -c '%a %S' {where[storage]}").split()[0]) * 4096
        empty.lab.shell(machine, f"fallocate -l {free - 100 * 2**20} {filler}")
        empty.juju.model_config({"update-status-hook-interval": "10s"})
        assert "storage nearly full: " + storage in empty.await_status("active", "nearly full", primary)
        begun = time.monotonic()
        empty.lab.shell(machine, f"dd if=/dev/zero of={filler} bs=1M oflag=append conv=notrunc", check=False)
        if storage == "logs":
            # PostgreSQL cannot go on without room for its write-ahead log, once it has used up the files that it had.
            query = "SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'test', 'full')"
            psql = f'charmed-postgresql.psql -U operator -c "{query}" postgres'
            empty.lab.shell(machine, f"for each in $(seq 40); do {psql} || break; done", check=False)
            empty.until("another unit is the primary", lambda: empty.primary() not in ("", primary))
            said = empty.await_status("blocked", "Storage full: logs", primary)
            assert said == "Storage full: logs; make room or attach a larger one"
        writing.await_write()
        measure(f"longest gap while the storage {storage} of the primary was full", writing.gap(begun))
        empty.lab.shell(machine, f"rm {filler}")
        empty.settle(3)


def test_clocks_that_differ_are_told(three, write):
    skewed = next(unit for unit in three.units() if unit != three.primary())
    machine = three.hostname(skewed)
    common = "/var/snap/charmed-postgresql/common"
    drop_in = "/etc/systemd/system/snap.charmed-postgresql.patroni.service.d/clock.conf"
    python = three.lab.run(machine, "readlink", "-f", "/snap/core24/current/usr/bin/python3")
    version = python.strip().rpartition("/")[2]
    assert version.startswith("python3."), version
    # The kernel's clock is everybody's: this Patroni, whose answers carry its time, is made to see another one.
    script = f"""set -e
        directory={common}/clock/lib/{version}/site-packages
        mkdir -p $directory {drop_in.rpartition("/")[0]}
        echo 'import time; true = time.time; time.time = lambda: true() + 9' >$directory/usercustomize.py
        printf '[Service]\\nEnvironment=PYTHONUSERBASE={common}/clock\\n' >{drop_in}
        systemctl daemon-reload
        systemctl restart snap.charmed-postgresql.patroni"""
    with write(three) as writing:
        three.lab.shell(machine, script)
        three.settle(3)
        three.action("pg/leader", "switchover", candidate=skewed)
        three.juju.model_config({"update-status-hook-interval": "10s"})
        try:
            for unit in three.units():
                if unit != skewed:
                    said = three.await_status("active", "Clock differs by", unit)
                    assert said.endswith("s from other units; check `timedatectl`")
            writing.await_write()
        finally:
            three.lab.shell(
                machine, f"rm {drop_in}; systemctl daemon-reload; systemctl restart snap.charmed-postgresql.patroni"
            )
        three.settle(3)
        three.until("all clocks agree", lambda: all("Clock" not in three.message(unit)[1] for unit in three.units()))
        three.juju.model_config(reset="update-status-hook-interval")


def test_a_unit_that_is_left_alone_says_what_is_missing_and_serves_when_the_others_are_back(three, write, measure):
    primary = three.primary()
    others = [three.machine_number(unit) for unit in three.units() if unit != primary]
    host = three.addresses()[primary]
    with write(three) as writing:
        writing.move(primary)
        three.fault("crash", *others)
        text = "No majority: 1 of 3 members reachable; start the others, or see force-majority"
        assert three.await_status("blocked", text, primary) == text
        three.until("it has stepped down", lambda: not three.takes_writes(host))
        # And it goes on to say so.
        assert three.await_status("blocked", text, primary) == text
        begun = time.monotonic()
        three.fault("start", *others)
        writing.await_write()
        measure("until writes go on after two of three were started again", time.monotonic() - begun)
        three.settle(3)
        three.await_members()
