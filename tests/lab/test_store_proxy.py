"""The store proxy over real Unix sockets, in front of a stand-in of snapd."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import socket
import threading
from collections.abc import Iterator

import pytest

from lab.snaps.proxy import planner, snapd
from tests.lab import store_world
from tests.lab.store_world import NAME, Answer, Machine, offer


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> Iterator[Machine]:
    with store_world.serving(tmp_path) as machine:
        yield machine


def test_install_at_a_revision_side_loads_its_file_once(machine: Machine) -> None:
    answer = machine.post(NAME, action="install", revision="366", channel="16/edge")

    assert answer.status == 202
    (form,) = machine.side_loads()
    assert form["snap"] == b"charmed-postgresql 16.14"
    assert (form["action"], form["dangerous"]) == (b"install", b"true")
    snap = machine.snap()
    assert (snap["revision"], snap["tracking-channel"], snap["channel"]) == ("366", "16/edge", "16/edge")
    assert snap["publisher"]["username"] == "lab"
    assert snap["mounted-from"].endswith("charmed-postgresql_366.snap")


def test_install_without_revision_takes_the_channels_head(machine: Machine) -> None:
    machine.post(NAME, action="install", channel="16/beta")  # closed: the next safer risk is served
    assert machine.snap()["revision"] == "366"
    assert machine.snap()["tracking-channel"] == "16/beta"


def test_install_without_anything_takes_the_default_channel(machine: Machine) -> None:
    machine.post(NAME, action="install")
    assert (machine.snap()["revision"], machine.snap()["tracking-channel"]) == ("366", "16/stable")


def test_refresh_and_back_uses_the_revision_that_the_machine_has(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="366")
    machine.post(NAME, action="refresh", revision="416")
    assert machine.snap()["revision"] == "416"
    machine.post(NAME, action="refresh", revision="366")

    assert machine.snap()["revision"] == "366"
    assert len(machine.side_loads()) == 2
    assert machine.requested()[-1] == {"action": "refresh", "revision": "x1", "channel": "16/stable"}


def test_refresh_to_a_revision_that_snapd_has_dropped_side_loads_again(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="366")
    machine.post(NAME, action="refresh", revision="416")
    machine.snapd.act(NAME, {"action": "remove", "revision": "x1"})
    machine.post(NAME, action="refresh", revision="366")

    assert machine.snap()["revision"] == "366"
    assert machine.snapd.current[NAME] == "x3"


def test_many_snaps_route_with_one_name(machine: Machine) -> None:
    machine.call("POST", "/v2/snaps", {"action": "install", "snaps": [NAME], "revision": "366"})
    assert machine.snap()["revision"] == "366"


def test_refresh_to_another_channel_with_the_same_revision_only_switches(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="416", channel="16/stable")
    answer = machine.post(NAME, action="refresh", channel="16/edge")

    assert answer.status == 202
    assert len(machine.side_loads()) == 1
    assert machine.requested()[-1] == {"action": "switch", "channel": "16/edge"}
    assert machine.snap()["tracking-channel"] == "16/edge"
    assert machine.call("GET", f"/v2/changes/{answer.json['change']}").result["kind"] == "refresh-snap"


def test_switch_by_risk_keeps_the_track(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="416")
    machine.post(NAME, action="switch", channel="edge")
    assert machine.snap()["tracking-channel"] == "16/edge"


@pytest.mark.parametrize(
    ("before", "name", "body", "status", "kind"),
    [
        ((), "nosuch", {"action": "install"}, 404, "snap-not-found"),
        ((), NAME, {"action": "install", "revision": "999"}, 404, "snap-revision-not-available"),
        ((), NAME, {"action": "install", "channel": "17/edge"}, 404, "snap-channel-not-available"),
        ((), NAME, {"action": "refresh", "revision": "366"}, 404, "snap-not-installed"),
        (("366",), NAME, {"action": "install", "revision": "366"}, 400, "snap-already-installed"),
        (("366",), NAME, {"action": "refresh", "revision": "366"}, 400, "snap-no-update-available"),
        (("366",), NAME, {"action": "refresh"}, 400, "snap-no-update-available"),
        (("366",), NAME, {"action": "refresh", "revision": "5"}, 404, "snap-revision-not-available"),
    ],
)
def test_refused_as_by_the_store(
    machine: Machine, before: tuple[str, ...], name: str, body: dict[str, str], status: int, kind: str
) -> None:
    for revision in before:
        machine.post(NAME, action="install", revision=revision)
    loaded = len(machine.side_loads())

    answer = machine.post(name, **body)

    assert (answer.status, answer.kind) == (status, kind)
    assert len(machine.side_loads()) == loaded


def test_several_snaps_at_once_are_refused(machine: Machine) -> None:
    answer = machine.call("POST", "/v2/snaps", {"action": "install", "snaps": [NAME, "other"]})
    assert answer.status == 400
    assert "one snap" in answer.result["message"]


def test_local_revisions_pass_through(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="366")
    machine.post(NAME, action="refresh", revision="416")
    machine.post(NAME, action="refresh", revision="x1")
    assert machine.snap()["revision"] == "366"


def test_revert_and_remove_of_a_numbered_revision(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="366")
    machine.post(NAME, action="refresh", revision="416")
    machine.post(NAME, action="revert", revision="366")
    assert machine.requested()[-1]["revision"] == "x1"

    machine.post(NAME, action="remove", revision="366")
    assert machine.snapd.revisions(NAME) == ["x2"]
    assert machine.snap()["tracking-channel"] == "16/stable", "the snap is still there and follows its channel"


def test_removal_forgets_the_channel(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="366", channel="16/edge")
    machine.post(NAME, action="remove")
    machine.post(NAME, action="install", revision="366")
    assert machine.snap()["tracking-channel"] == "16/stable"


def test_a_removed_snap_that_comes_back_by_hand_follows_no_channel(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="366", channel="16/edge")
    machine.post(NAME, action="remove")
    machine.call("GET", "/v2/snaps")
    machine.snapd.side_load(b"charmed-postgresql 16.14")
    snap = machine.snap()
    assert (snap["revision"], snap["tracking-channel"]) == ("366", "")


def test_changes_tell_the_stores_numbers(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="366")
    change = machine.post(NAME, action="refresh", revision="416", channel="16/edge").json["change"]

    told = machine.call("GET", f"/v2/changes/{change}").result

    assert told["kind"] == "refresh-snap"
    assert told["summary"] == 'Refresh "charmed-postgresql" snap from "16/edge" channel'
    assert told["tasks"][0]["summary"] == 'Mount snap "charmed-postgresql" (416)'
    first = machine.call("GET", "/v2/changes?select=all").result[0]
    assert first["tasks"][0]["summary"] == 'Mount snap "charmed-postgresql" (366)'


def test_a_change_in_progress_tells_the_stores_number(machine: Machine) -> None:
    machine.snapd.outcome = "Doing"
    change = machine.post(NAME, action="install", revision="416").json["change"]
    told = machine.call("GET", f"/v2/changes/{change}").result
    assert told["tasks"][0]["summary"] == 'Mount snap "charmed-postgresql" (416)'


def test_a_failed_change_leaves_the_channel(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="366", channel="16/stable")
    machine.snapd.outcome = "Error"
    machine.post(NAME, action="refresh", revision="416", channel="16/edge")
    snap = machine.snap()
    assert (snap["revision"], snap["tracking-channel"]) == ("366", "16/stable")


def test_the_memory_survives_a_restart_and_revisions_survive_its_loss(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="366", channel="16/edge")
    machine.stop()
    machine.start()
    assert machine.snap()["tracking-channel"] == "16/edge"

    machine.stop()
    (machine.directory / "memory.json").write_text("{half a fi")
    machine.start()
    assert machine.snap()["revision"] == "366"


def test_a_memory_with_unknown_keys_is_read(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="366", channel="16/edge")
    machine.snap()
    machine.stop()
    path = machine.directory / "memory.json"
    memory = json.loads(path.read_text())
    memory["later"] = {}
    for change in memory["changes"].values():
        change["later"] = 1
    path.write_text(json.dumps(memory))
    machine.start()
    assert machine.snap()["tracking-channel"] == "16/edge"


def test_a_revision_published_while_the_machine_runs(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="366")
    machine.publish(charmed_postgresql=offer(machine.store, NAME, {"366": "16.14", "416": "16.15", "500": "16.16"}))
    machine.post(NAME, action="refresh", revision="500")
    assert machine.snap()["revision"] == "500"


def test_the_next_local_revision_is_snapds() -> None:
    assert planner.next_local_revision([]) == "x1"
    assert planner.next_local_revision(["x2", "x10", "7"]) == "x11"


def test_a_snap_of_nobodys_store_is_left_alone(machine: Machine) -> None:
    (machine.snapd.snaps_directory / "mine_x1.snap").write_text("mine")
    machine.snapd.current["mine"] = "x1"
    assert machine.call("GET", "/v2/snaps/mine").result["revision"] == "x1"


def test_a_base_that_is_missing_comes_first(machine: Machine) -> None:
    machine.publish(
        charmed_postgresql=offer(machine.store, NAME, {"366": "16.14"}, base="core24"),
        core24=offer(machine.store, "core24", {"1": "1"}),
    )
    machine.post(NAME, action="install", revision="366")
    assert [form["snap"] for form in machine.side_loads()] == [b"core24 1", b"charmed-postgresql 16.14"]

    machine.post(NAME, action="remove")
    machine.post(NAME, action="install", revision="366")
    assert len(machine.side_loads()) == 3, "a base that is there is not installed again"


def test_a_base_that_cannot_be_installed_stops_the_snap(machine: Machine) -> None:
    machine.publish(
        charmed_postgresql=offer(machine.store, NAME, {"366": "16.14"}, base="core24"),
        core24=offer(machine.store, "core24", {"1": "1"}),
    )
    machine.snapd.outcome = "Error"
    answer = machine.post(NAME, action="install", revision="366")
    assert answer.status == 400
    assert "core24" in answer.result["message"]
    assert len(machine.side_loads()) == 1


def test_find_tells_what_info_needs(machine: Machine) -> None:
    (offered,) = machine.call("GET", f"/v2/find?name={NAME}").result
    assert (offered["revision"], offered["version"], offered["channel"]) == ("366", "16.14", "16/stable")
    assert offered["channels"]["16/edge"]["revision"] == "416"
    assert offered["tracks"] == ["16"]
    assert machine.call("GET", "/v2/find?name=nosuch").kind == "snap-not-found"
    assert [snap["name"] for snap in machine.call("GET", "/v2/find?q=postgres").result] == [NAME]
    assert machine.call("GET", "/v2/find?q=mysql").result == []


def test_the_list_of_refreshes_follows_the_channel(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="366", channel="16/edge")
    (refresh,) = machine.call("GET", "/v2/find?select=refresh").result
    assert refresh["revision"] == "416"

    machine.post(NAME, action="refresh", revision="416")
    assert machine.call("GET", "/v2/find?select=refresh").result == []


def fault(machine: Machine, *rules: dict[str, object]) -> None:
    (machine.store / "faults.json").write_text(json.dumps(rules))


def test_an_unreachable_store_fails_what_needs_it(machine: Machine) -> None:
    machine.post(NAME, action="install", revision="366")
    machine.post(NAME, action="refresh", revision="416")
    fault(machine, {"fault": "unreachable"})

    assert machine.call("GET", f"/v2/find?name={NAME}").kind == "dns-failure"
    assert machine.post(NAME, action="refresh", channel="16/stable").kind == "dns-failure"
    assert machine.post(NAME, action="refresh", revision="366").status == 202, "that revision needs no store"
    assert machine.snap()["revision"] == "366"
    machine.post(NAME, action="remove")
    assert machine.post(NAME, action="install", revision="366").kind == "dns-failure"
    (machine.store / "faults.json").unlink()
    assert machine.post(NAME, action="install", revision="366").status == 202


def test_an_error_on_a_revision(machine: Machine) -> None:
    fault(machine, {"fault": "error", "snap": NAME, "revision": "416", "message": "sha3-384 mismatch"})
    assert machine.post(NAME, action="install", revision="416").result["message"] == "sha3-384 mismatch"
    assert machine.post(NAME, action="install", revision="366").status == 202


def test_a_peek_tells_a_revisions_size_without_a_download(machine: Machine) -> None:
    def peek(revision: str) -> Answer:
        body = {"snap-name": NAME, "revision": revision, "header-peek": True}
        return machine.call("POST", "/v2/download", body)

    answer = peek("416")
    assert (answer.status, answer.content) == (200, b"")
    assert answer.headers["Snap-Length"] == str(len(b"charmed-postgresql 16.15"))
    assert peek("999").kind == "snap-revision-not-available"
    fault(machine, {"fault": "error", "message": "not this one", "revision": "416"})
    assert peek("416").result["message"] == "not this one"
    assert peek("366").status == 200
    fault(machine, {"fault": "unreachable"})
    assert peek("366").kind == "dns-failure"
    assert machine.side_loads() == []


def test_faults_of_other_machines_do_not_count(machine: Machine) -> None:
    fault(machine, {"fault": "unreachable", "machine": "another"})
    assert machine.post(NAME, action="install", revision="366").status == 202


def test_a_slow_download_does_not_keep_others_from_asking(machine: Machine) -> None:
    fault(machine, {"fault": "slow", "seconds": 0.5})
    answers: list[Answer] = []
    download = threading.Thread(target=lambda: answers.append(machine.post(NAME, action="install", revision="366")))
    download.start()
    assert machine.call("GET", "/v2/snaps").result == []
    assert not answers, "the question was answered during the download"
    download.join()
    assert answers[0].status == 202


def test_side_loads_by_hand_and_chunked_bodies_pass(machine: Machine) -> None:
    boundary = "frontier"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="dangerous"\r\n\r\ntrue\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="snap"; filename="mine.snap"\r\n\r\nmine 1\r\n'
        f"--{boundary}--\r\n"
    ).encode()
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(machine.socket))
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    connection.request("POST", "/v2/snaps", iter([body[:40], body[40:]]), headers, encode_chunked=True)
    assert connection.getresponse().status == 202
    connection.close()
    assert machine.snapd.current["mine"] == "x1"


def test_answers_without_length_pass(machine: Machine) -> None:
    assert machine.call("GET", "/v2/logs?follow=true").content == b"one\ntwo\nthree\n"


def test_the_missing_file_of_a_revision_is_named(machine: Machine) -> None:
    (machine.store / f"{NAME}_366.snap").unlink()
    answer = machine.post(NAME, action="install", revision="366")
    assert answer.status == 404
    assert "charmed-postgresql_366.snap" in answer.result["message"]


def test_a_refusal_in_the_middle_of_the_upload_reaches_the_client(machine: Machine) -> None:
    (machine.store / f"{NAME}_366.snap").write_bytes(bytes(10_000_000))
    machine.snapd.refuses = True
    answer = machine.post(NAME, action="install", revision="366")
    assert (answer.status, answer.kind) == (403, "login-required")


@pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user's identity, which only root may")
def test_snapd_sees_who_calls(machine: Machine) -> None:
    machine.directory.chmod(0o755)
    for parent in machine.directory.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    machine.snapd.socket.chmod(0o666)
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        try:
            machine.call("GET", "/v2/snaps/x")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert (65534, 65534) in machine.snapd.callers
    machine.call("GET", "/v2/snaps/x")
    assert machine.snapd.callers[-1] == (0, 0), "and the next caller is again itself"


@pytest.mark.skipif(os.geteuid() != 0, reason="takes on another user's identity, which only root may")
def test_the_callers_identity_is_given_back() -> None:
    def identity() -> list[str]:
        status = pathlib.Path("/proc/thread-self/status").read_text()
        return [line.split()[2] for line in status.splitlines() if line.startswith(("Uid:", "Gid:"))]

    with snapd._acting_as(snapd.Caller(65534, 65533)):
        assert identity() == ["65534", "65533"]
    assert identity() == ["0", "0"]
