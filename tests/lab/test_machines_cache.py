from __future__ import annotations

import multiprocessing
import os
import pathlib
import signal
import time

import pytest

from lab import cache


def _fill(text: str):
    return lambda path: (path / "file").write_text(text)


def _age(entry: pathlib.Path, days: float) -> None:
    then = time.time() - days * 24 * 60 * 60
    os.utime(entry, (then, then))


def test_an_entry_is_built_once(tmp_path):
    first = cache.ensure(tmp_path, "kind", {"a": "1"}, _fill("first"))
    second = cache.ensure(tmp_path, "kind", {"a": "1"}, _fill("second"))
    assert first == second
    assert (second / "file").read_text() == "first"


def test_other_inputs_or_another_kind_are_another_entry(tmp_path):
    made = {
        cache.ensure(tmp_path, "kind", {"a": "1"}, _fill("")),
        cache.ensure(tmp_path, "kind", {"a": "2"}, _fill("")),
        cache.ensure(tmp_path, "kind", {"b": "1"}, _fill("")),
        cache.ensure(tmp_path, "kind", {"a": "1", "b": ""}, _fill("")),
        cache.ensure(tmp_path, "other", {"a": "1"}, _fill("")),
    }
    assert len(made) == 5


def test_where_one_input_ends_and_the_next_begins_counts():
    assert cache.digest({"a": "bc"}) != cache.digest({"ab": "c"})
    assert cache.digest({"a": "1", "b": "2"}) == cache.digest({"b": "2", "a": "1"})


def test_files_count_with_content_and_mode_wherever_they_are(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for path in (one, two):
        (path / "sub").mkdir(parents=True)
        (path / "sub/file").write_text("text")
        (path / "link").symlink_to("sub")
    same = cache.digest({"tree": one})
    assert cache.digest({"tree": two}) == same

    (two / "sub/file").chmod(0o755)
    assert cache.digest({"tree": two}) != same
    (two / "sub/file").chmod((one / "sub/file").stat().st_mode)
    assert cache.digest({"tree": two}) == same
    (two / "link").unlink()
    (two / "link").symlink_to("elsewhere")
    assert cache.digest({"tree": two}) != same


def test_a_failed_build_leaves_no_entry(tmp_path):
    def fail(path):
        (path / "half").touch()
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cache.ensure(tmp_path, "kind", {"a": "1"}, fail)
    entry = cache.ensure(tmp_path, "kind", {"a": "1"}, _fill("whole"))
    assert [path.name for path in entry.iterdir()] == ["file"]


def _build_slowly(directory: pathlib.Path, log: pathlib.Path) -> None:
    def build(path: pathlib.Path) -> None:
        with log.open("a") as file:
            file.write("built\n")
        (path / "one").touch()
        time.sleep(0.5)
        (path / "two").touch()

    entry = cache.ensure(directory, "kind", {"a": "1"}, build)
    assert sorted(path.name for path in entry.iterdir()) == ["one", "two"]


def test_who_wants_an_entry_that_is_being_built_waits_for_it(tmp_path):
    processes = [multiprocessing.Process(target=_build_slowly, args=(tmp_path, tmp_path / "log")) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "log").read_text() == "built\n"


def test_what_a_killed_build_left_is_never_seen(tmp_path):
    process = multiprocessing.Process(target=_build_slowly, args=(tmp_path, tmp_path / "log"))
    process.start()
    while not list(tmp_path.glob("kind/*.partial/one")):
        time.sleep(0.01)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert cache.entries(tmp_path) == []
    entry = cache.ensure(tmp_path, "kind", {"a": "1"}, _fill("whole"))
    assert [path.name for path in entry.iterdir()] == ["file"]


def test_pruning_keeps_the_newest_of_each_kind_and_what_was_used_lately(tmp_path):
    old = [cache.ensure(tmp_path, "kind", {"a": str(number)}, _fill("")) for number in range(5)]
    other = cache.ensure(tmp_path, "other", {}, _fill(""))
    for age, entry in enumerate([*old[:4], other], start=2):
        _age(entry, age)
    assert set(cache.prune(tmp_path)) == {old[1], old[2], old[3]}
    assert set(cache.entries(tmp_path)) == {old[0], old[4], other}


def test_using_an_entry_makes_it_new(tmp_path):
    entry = cache.ensure(tmp_path, "kind", {"a": "0"}, _fill(""))
    _age(entry, 9)
    cache.ensure(tmp_path, "kind", {"a": "0"}, _fill(""))
    assert cache.prune(tmp_path, newest=0) == []


def test_pruning_keeps_what_is_in_use(tmp_path):
    held, used, free = (cache.ensure(tmp_path, "kind", {"a": name}, _fill("")) for name in "huf")
    descriptor = cache.hold(held)
    assert cache.prune(tmp_path, in_use={used}, newest=0, seconds=0) == [free]
    assert cache.ensure(tmp_path, "kind", {"a": "h"}, _fill("")) == held  # others may use it meanwhile
    os.close(descriptor)
    assert cache.prune(tmp_path, in_use={used}, newest=0, seconds=0) == [held]


def test_pruning_removes_what_killed_builds_left_but_not_what_is_being_built(tmp_path):
    (tmp_path / "kind").mkdir()
    (tmp_path / "kind/left.partial").mkdir()
    process = multiprocessing.Process(target=_build_slowly, args=(tmp_path, tmp_path / "log"))
    process.start()
    while not list(tmp_path.glob("kind/*.partial/one")):
        time.sleep(0.01)
    assert [path.name for path in cache.prune(tmp_path, newest=0, seconds=0)] == ["left.partial"]
    process.join()
    assert process.exitcode == 0


def _take_scratch(directory: pathlib.Path) -> None:
    with cache.scratch(directory):
        time.sleep(60)


def test_scratch_is_gone_with_its_process(tmp_path):
    with cache.scratch(tmp_path) as directory:
        (directory / "file").touch()
        assert cache.prune(tmp_path) == []
    assert not directory.exists()
    process = multiprocessing.Process(target=_take_scratch, args=(tmp_path,))
    process.start()
    while not list(tmp_path.glob("scratch/*")):
        time.sleep(0.01)
    process.kill()
    process.join()
    assert len(cache.prune(tmp_path)) == 1
    assert list(tmp_path.glob("scratch/*")) == []


def test_a_tree_with_something_mounted_in_it_is_not_removed(tmp_path, monkeypatch):
    mounts = f"1 2 0:3 / {tmp_path}/tree/mnt rw - ext4 x rw\n"
    real = pathlib.Path.read_text
    monkeypatch.setattr(
        pathlib.Path, "read_text", lambda self, *a, **k: mounts if "mountinfo" in str(self) else real(self, *a, **k)
    )
    (tmp_path / "tree").mkdir()
    with pytest.raises(OSError, match="is mounted"):
        cache.remove_tree(tmp_path / "tree")
    assert (tmp_path / "tree").exists()
    cache.remove_tree(tmp_path / "not there")
