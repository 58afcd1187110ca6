"""What snapd has told is kept, and asked anew as soon as it has done something."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import pathlib
import typing

import pytest

from workload import files, snapd_memory, snapd_requests

FIRST, SECOND = "2026-11-23T18:05:26.79Z", "2026-11-23T18:05:26.797992925Z"
"""Times as snapd writes them: without trailing zeros, so they do not sort as texts."""
SNAP = {"name": "charmed-postgresql", "revision": "416", "apps": [{"name": "patroni", "active": True}]}
TOLD = {"name": "charmed-postgresql", "revision": "416"}


@dataclasses.dataclass
class Snapd:
    """What snapd would answer, and how often it was asked for the snaps."""

    file: pathlib.Path
    notices: list[str]
    snaps: list[dict[str, typing.Any]]
    now: float = datetime.datetime.fromisoformat("2026-11-23T19:00:00+00:00").timestamp()
    asked: int = 0
    error: type[Exception] | None = None

    def request(self, method: str, path: str, query: dict[str, str], address: str) -> dict[str, typing.Any]:
        assert (method, path, query["types"], address) == ("GET", "/v2/notices", snapd_memory.TYPES, "socket")
        if self.error is not None:
            raise self.error("no")
        since = self.notices.index(query["after"]) + 1 if "after" in query else 0
        return {"result": [{"key": "1", "last-repeated": each} for each in self.notices[since:]] or None}

    def ask(self) -> list[dict[str, typing.Any]]:
        self.asked += 1
        return self.snaps

    def installed(self) -> list[dict[str, typing.Any]]:
        return snapd_memory.installed(self.file, self.ask, "socket")


@pytest.fixture
def snapd(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Snapd:
    made = Snapd(tmp_path / ".snapd.json", [FIRST], [SNAP])
    monkeypatch.setattr(files, "ROOT", files.Owner(os.getuid(), os.getgid()))
    monkeypatch.setattr(snapd_requests, "request", made.request)
    monkeypatch.setattr(snapd_memory.time, "time", lambda: made.now)
    return made


def test_it_is_asked_once_while_snapd_does_nothing(snapd: Snapd) -> None:
    assert [snapd.installed() for _ in range(3)] == [[TOLD]] * 3
    assert snapd.asked == 1
    assert snapd.file.stat().st_mode & 0o777 == 0o600


def test_it_is_asked_again_after_each_change(snapd: Snapd) -> None:
    snapd.installed()
    snapd.notices.append(SECOND)
    snapd.snaps = [SNAP | {"revision": "366"}]
    assert [snapd.installed() for _ in range(2)] == [[TOLD | {"revision": "366"}]] * 2
    assert snapd.asked == 2


def test_a_change_while_it_answers_is_not_missed(snapd: Snapd, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask() -> list[dict[str, typing.Any]]:
        snapd.notices.append(SECOND)
        return [SNAP]

    assert snapd_memory.installed(snapd.file, ask, "socket") == [TOLD]
    snapd.snaps = []
    assert snapd.installed() == []


def test_before_the_first_change(snapd: Snapd) -> None:
    snapd.notices, snapd.snaps = [], []
    assert [snapd.installed() for _ in range(2)] == [[], []]
    assert snapd.asked == 1
    snapd.notices, snapd.snaps = [FIRST], [SNAP]
    assert snapd.installed() == [TOLD]


@pytest.mark.parametrize("later", [snapd_memory.LOOK_SECONDS, -1.0])
def test_it_counts_for_an_hour_by_a_clock_that_goes_on(snapd: Snapd, later: float) -> None:
    snapd.installed()
    snapd.now += later
    snapd.installed()
    assert snapd.asked == 2


def test_after_the_clock_was_put_back_it_is_asked_until_notices_can_be_told_apart_again(snapd: Snapd) -> None:
    # Until snapd 2.71 a later notice may then have an earlier time, and is no longer told to who asks for later ones.
    snapd.now -= 3600.0
    for revision in ("366", "416"):
        snapd.snaps = [SNAP | {"revision": revision}]
        assert snapd.installed() == [TOLD | {"revision": revision}]
    snapd.now += 3600.0
    for _ in range(3):
        snapd.installed()
    assert snapd.asked == 3


@pytest.mark.parametrize("content", ["", "{", "[]", '{"notice": "a"}', '{"notice": "a", "since": "b", "snaps": []}'])
def test_what_cannot_be_read_is_asked_for(snapd: Snapd, content: str) -> None:
    snapd.file.write_text(content)
    assert snapd.installed() == [TOLD]
    assert json.loads(snapd.file.read_text())["snaps"] == [TOLD]


def test_a_snapd_that_has_no_notices_is_asked_each_time(snapd: Snapd) -> None:
    snapd.installed()
    snapd.error = snapd_requests.SnapOperationError
    assert [snapd.installed() for _ in range(2)] == [[TOLD]] * 2
    assert snapd.asked == 3


def test_a_silent_snapd_is_silent_though_its_answer_was_kept(snapd: Snapd) -> None:
    snapd.installed()
    snapd.error = snapd_requests.SnapdUnreachableError
    with pytest.raises(snapd_requests.SnapdUnreachableError):
        snapd.installed()


def test_it_is_told_where_it_cannot_be_kept(snapd: Snapd) -> None:
    snapd.file = snapd.file.parent / "absent/deep/file"
    assert [snapd.installed() for _ in range(2)] == [[TOLD]] * 2
    assert snapd.asked == 2


def test_the_file_s_format(snapd: Snapd) -> None:
    content = {"notice": FIRST, "since": snapd.now, "snaps": [TOLD], "of-a-later-version": 1}
    snapd.file.write_text(json.dumps(content))
    assert snapd.installed() == [TOLD]
    assert snapd.asked == 0
