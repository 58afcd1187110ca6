"""Verify the data checksums of a running server, block by block, from its disk.

A base backup reads each file of the data directory itself, not through the buffer cache, and checks each block's
checksum on the way (https://www.postgresql.org/docs/16/protocol-replication.html, VERIFY_CHECKSUMS). A query
would see blocks that memory still holds, and `pg_checksums` wants the server stopped. Blocks that changed after the
backup's starting point are passed over by the server. A base backup starts with a checkpoint of its own, on a standby
at the last checkpoint that came from the primary.
"""

from __future__ import annotations

import dataclasses

import psycopg
import psycopg.conninfo
from psycopg import pq

COMMAND = b"BASE_BACKUP (CHECKPOINT 'fast', VERIFY_CHECKSUMS true, MANIFEST 'no')"


class ChecksumFailure(Exception):
    """A block's checksum does not fit its content."""


@dataclasses.dataclass(frozen=True)
class Verified:
    """What was read without finding a wrong checksum."""

    files: int
    bytes: int


def verify(conninfo: str, *, user: str) -> Verified:
    """Read a whole base backup of the server and throw it away.

    Args:
        conninfo: One server.
        user: Who may replicate, and connects in place of the user that `conninfo` names.

    Raises:
        ChecksumFailure: The server found a block whose checksum is wrong.
        psycopg.OperationalError: The server cannot be reached or refuses.
    """
    replication = psycopg.conninfo.make_conninfo(conninfo, user=user, replication="true")
    connection = pq.PGconn.connect(replication.encode())
    try:
        if connection.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError(connection.get_error_message())
        connection.send_query(COMMAND)
        return _read(connection)
    finally:
        connection.finish()


def _read(connection: pq.abc.PGconn) -> Verified:
    files = size = 0
    while result := connection.get_result():
        if result.status == pq.ExecStatus.COPY_OUT:
            while True:
                length, data = connection.get_copy_data(0)
                if length <= 0:
                    break
                # The first byte tells what follows: 'n' a new archive, 'd' its data, 'p' progress, 'm' a manifest.
                if data[:1] == b"d":
                    size += length - 1
                elif data[:1] == b"n":
                    files += 1
        elif result.status == pq.ExecStatus.FATAL_ERROR:
            message = result.error_message.decode(errors="replace").strip()
            if result.error_field(pq.DiagnosticField.SQLSTATE) == b"XX001":  # data_corrupted
                raise ChecksumFailure(message)
            raise psycopg.OperationalError(message)
    return Verified(files, size)
