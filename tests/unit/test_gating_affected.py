"""Which gating snaps an update touches: an example for each rule."""

from __future__ import annotations

import datetime

import pytest

from gating import affected

Touched = affected.Touched
Snap = affected.Snap


def system(*connections: tuple[str, str, str], boot_base: str | None = None, **snaps: affected.Snap) -> affected.System:
    common = [
        Snap("db", base="core24", gates=True),
        Snap("old", gates=True),
        Snap("bare", base="none", gates=True),
        Snap("quiet", base="core24"),
        Snap("core24", type="base"),
        Snap("core", type="os"),
        Snap("snapd", type="snapd"),
        Snap("kernel", type="kernel"),
        Snap("gadget", type="gadget"),
    ]
    return affected.System({snap.name: snap for snap in common} | snaps, connections, boot_base)


def one(name: str) -> frozenset[str]:
    return frozenset({name})


def test_an_update_of_the_snap_itself() -> None:
    assert affected.affected(["db"], system()) == {"db": Touched(by=one("db"))}


def test_snaps_that_do_not_gate_have_no_say() -> None:
    assert affected.affected(["quiet"], system()) == {}


def test_an_update_of_its_base() -> None:
    assert affected.affected(["core24"], system()) == {"db": Touched(base=True, by=one("core24"))}


def test_a_snap_without_a_base_uses_core_and_base_none_has_none() -> None:
    assert affected.affected(["core"], system()) == {"old": Touched(base=True, by=one("core"))}
    named = system(none=Snap("none", type="base"))
    assert affected.affected(["none"], named) == {}


@pytest.mark.parametrize("name", ["core24", "kernel", "gadget"])
def test_on_ubuntu_core_boot_base_kernel_and_gadget_restart_all(name: str) -> None:
    found = affected.affected([name], system(boot_base="core24"))
    assert {each: touched.restart for each, touched in found.items()} == {"bare": True, "db": True, "old": True}
    assert found["db"].base == (name == "core24")


@pytest.mark.parametrize("name", ["kernel", "gadget"])
def test_a_classic_system_does_not_restart_for_them(name: str) -> None:
    assert affected.affected([name], system()) == {}


def test_an_update_of_a_snap_whose_slot_it_is_connected_to() -> None:
    connected = system(("dbus", "db", "quiet"), ("dbus", "quiet", "old"))
    assert affected.affected(["quiet"], connected) == {"db": Touched(restart=True, by=one("quiet"))}


@pytest.mark.parametrize("provider", ["core", "snapd"])
def test_slots_of_the_system_count_only_with_a_mount_backend(provider: str) -> None:
    assert "db" not in affected.affected([provider], system(("network", "db", provider)))
    found = affected.affected([provider], system(("network-control", "db", provider)))
    assert found["db"] == Touched(restart=True, by=one(provider))


def test_a_plug_with_a_mount_backend_touches_the_provider() -> None:
    assert affected.affected(["quiet"], system(("content", "quiet", "db"))) == {
        "db": Touched(restart=True, by=one("quiet"))
    }
    assert affected.affected(["quiet"], system(("dbus", "quiet", "db"))) == {}


def test_several_updates_add_up() -> None:
    connected = system(("content", "db", "quiet"))
    assert affected.affected(["quiet", "core24", "db"], connected) == {
        "db": Touched(restart=True, base=True, by=frozenset({"quiet", "core24", "db"}))
    }


def test_gating_snaps_come_in_order_of_name() -> None:
    assert list(affected.affected(["gadget"], system(boot_base="core24"))) == ["bare", "db", "old"]


def test_a_candidate_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(LookupError, match=r'^snap "absent" is not installed$'):
        affected.affected(["db", "absent"], system())


def test_what_is_pending_for_a_snap() -> None:
    updates = {
        "db": affected.Candidate("db", "420", "16.16", "16/stable"),
        "core24": affected.Candidate("core24", "9", "24", "latest/stable"),
    }
    tracking = system(("content", "db", "quiet"), db=Snap("db", base="core24", gates=True, channel="16/candidate"))
    pending = affected.pending("db", updates, tracking)
    assert pending == affected.Pending("ready", "16/stable", "16.16", "420", base=True, restart=False)
    del updates["db"]
    pending = affected.pending("db", updates, tracking)
    assert pending == affected.Pending("none", "16/candidate", None, None, base=True, restart=False)
    pending = affected.pending("db", {"quiet": affected.Candidate("quiet", "2")}, tracking)
    assert (pending.pending, pending.base, pending.restart) == ("none", False, True)


def test_a_refresh_that_snapd_puts_off_is_inhibited() -> None:
    running = system(db=Snap("db", base="core24", gates=True, inhibited=True))
    assert affected.pending("db", {"db": affected.Candidate("db", "420")}, running).pending == "inhibited"


def test_the_last_refresh_is_what_snapd_reports_else_the_time_of_the_file() -> None:
    reported = datetime.datetime(2025, 5, 10, tzinfo=datetime.UTC)
    modified = datetime.datetime(2025, 3, 1, tzinfo=datetime.UTC)
    assert Snap("db", refreshed=reported, file_time=modified).last_refresh == reported
    assert Snap("db", file_time=modified).last_refresh == modified
    assert Snap("db").last_refresh.year == 1, "not known is long ago: it cannot be held"
