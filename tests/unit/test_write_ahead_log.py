"""Where the write-ahead log ends, read from the files of a real PostgreSQL that has stopped."""

from __future__ import annotations

import collections.abc
import dataclasses
import os
import pathlib
import shutil
import struct

import hypothesis
import pytest
from hypothesis import strategies

from tests.unit import postgresql
from workload import write_ahead_log

SEGMENT_BYTES = 16 * 1024**2
MESSAGE = "SELECT pg_logical_emit_message(false, 'test', repeat('x', {}))"


@pytest.fixture(scope="module")
def server() -> collections.abc.Iterator[postgresql.Server]:
    if os.getuid() != 0:
        pytest.skip("not root: pg_waldump could not be run as somebody else")
    with postgresql.server() as running:
        yield running


@pytest.fixture
def program(server: postgresql.Server) -> write_ahead_log.Program:
    where = server.directory.stat()
    return write_ahead_log.Program(
        server.binaries / "pg_waldump", str(server.binaries.parent / "lib"), where.st_uid, where.st_gid
    )


@pytest.fixture
def log(server: postgresql.Server) -> collections.abc.Iterator[pathlib.Path]:
    server.stop()
    server.start()
    yield server.directory / "data/pg_wal"
    server.stop()
    server.start()


def checkpoint(server: postgresql.Server) -> int:
    """The last checkpoint's place (src/include/catalog/pg_control.h: ControlFileData.checkPoint)."""
    with (server.directory / "data/global/pg_control").open("rb") as control:
        return struct.unpack_from("=Q", control.read(40), 32)[0]


def end(log: pathlib.Path, program: write_ahead_log.Program) -> write_ahead_log.Position:
    found = write_ahead_log.last_record(log, program)
    assert found is not None
    return found


@pytest.mark.postgresql
def test_the_last_record_of_a_clean_stop_is_its_checkpoint(
    server: postgresql.Server, log: pathlib.Path, program: write_ahead_log.Program
) -> None:
    server.query("CREATE TABLE written AS SELECT generate_series(1, 1000)")
    server.stop()
    assert end(log, program).byte == checkpoint(server)


@pytest.mark.postgresql
@pytest.mark.parametrize("kilobytes", [1, 100, 20_000], ids="{} kB".format)
def test_each_record_counts_also_after_a_crash(
    server: postgresql.Server, log: pathlib.Path, program: write_ahead_log.Program, kilobytes: int
) -> None:
    server.query(MESSAGE.format(1))
    server.stop("immediate")
    before = end(log, program)
    server.start()
    server.query(MESSAGE.format(kilobytes * 1000))
    ((told,),) = server.query("SELECT pg_current_wal_insert_lsn() - '0/0'")
    server.query("CHECKPOINT")
    server.stop("immediate")
    after = end(log, program)
    assert before < after
    assert after.byte >= int(str(told))


@pytest.mark.postgresql
def test_a_segment_that_has_just_been_begun(
    server: postgresql.Server, log: pathlib.Path, program: write_ahead_log.Program
) -> None:
    # What is there of the last one: nothing, or only the end of a record that began in the one before.
    for statement in (MESSAGE.format(100), "SELECT pg_switch_wal()"):
        ((told,),) = server.query(f"SELECT ({statement}) - '0/0'")
    server.stop("immediate")
    assert end(log, program).byte >= int(str(told)) // SEGMENT_BYTES * SEGMENT_BYTES
    server.start()
    ((told,),) = server.query(f"SELECT ({MESSAGE.format(SEGMENT_BYTES)}) - '0/0'")
    server.stop("immediate")
    assert end(log, program).byte >= int(str(told)) // SEGMENT_BYTES * SEGMENT_BYTES


@pytest.mark.postgresql
def test_files_that_are_no_log_and_segments_for_later_use_do_not_count(
    server: postgresql.Server, log: pathlib.Path, program: write_ahead_log.Program, tmp_path: pathlib.Path
) -> None:
    server.query("SELECT pg_switch_wal()")
    server.stop()
    expected = end(log, program)
    copy = pathlib.Path(shutil.copytree(log, server.directory / "copy"))
    try:
        for name in ("0000000100000000000000F0", "0000000100000001000000FF"):
            shutil.copy(min(copy.glob("[0-9A-F]" * 24)), copy / name)
        for name in ("0000000100000001000000FE", "0000000100000000000000EF"):
            (copy / name).write_bytes(bytes(SEGMENT_BYTES))
        (copy / "0000000100000001000000FD").touch()
        (copy / "00000009.history").write_text("1\t0/0\tno reason\n")
        (copy / "000000090000000100000001.partial").touch()
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755)
        assert end(copy, program) == expected
    finally:
        shutil.rmtree(copy)


@pytest.mark.postgresql
def test_a_promotion_is_later_than_whatever_was_written_before(
    server: postgresql.Server, log: pathlib.Path, program: write_ahead_log.Program
) -> None:
    server.stop()
    before = end(log, program)
    (server.directory / "data/standby.signal").touch()
    shutil.chown(server.directory / "data/standby.signal", "nobody", "nogroup")
    server.start()
    server.run("pg_ctl", "promote", "-w")
    server.stop()
    after = end(log, program)
    assert after.timeline == before.timeline + 1
    assert after > before


@pytest.mark.postgresql
def test_a_program_that_cannot_be_run(
    server: postgresql.Server, log: pathlib.Path, program: write_ahead_log.Program
) -> None:
    server.stop()
    with pytest.raises(write_ahead_log.WriteAheadLogError, match=r"cannot be read: .*No such file"):
        write_ahead_log.last_record(log, dataclasses.replace(program, path=server.binaries / "absent"))
    with pytest.raises(write_ahead_log.WriteAheadLogError, match="cannot be read: "):
        write_ahead_log.last_record(log, dataclasses.replace(program, path=pathlib.Path("/bin/false")))


def test_no_log(tmp_path: pathlib.Path) -> None:
    program = write_ahead_log.Program(tmp_path / "absent", "", 0, 0)
    assert write_ahead_log.last_record(tmp_path / "absent", program) is None
    assert write_ahead_log.last_record(tmp_path, program) is None


@hypothesis.given(
    strategies.builds(write_ahead_log.Position, strategies.integers(1, 2**32), strategies.integers(0, 2**64 - 1))
)
def test_a_position_as_text(position: write_ahead_log.Position) -> None:
    assert write_ahead_log.Position.parse(str(position)) == position


@pytest.mark.parametrize("text", ["", "1", "1/2", "1/2/x", "1/2/3/4"])
def test_a_text_that_is_no_position(text: str) -> None:
    with pytest.raises(ValueError):
        write_ahead_log.Position.parse(text)
