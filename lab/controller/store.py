"""The controller's state: one SQLite file, typed rows, and a journal of every change.

An entity is a frozen dataclass registered with `table`; its fields are the columns. Values of plain types are stored as
they are, times as ISO 8601 text in UTC, and everything else (mappings, lists, nested dataclasses) as JSON. The
modules of `lab.controller.entities` hold the entities, this one knows none of them.

Every row that is written or deleted appends its kind and key to the journal in the same transaction, unless its table
says otherwise, so whoever has seen the journal up to some sequence number can learn from it what to read again.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import json
import pathlib
import sqlite3
import threading
import time
import typing

from lab.controller import tables

CACHE_SIZE = 10_000
"""How many results of reading are kept in memory."""

JOURNAL_LENGTH = 100_000
"""How many changes are still known after the store was opened anew."""

SCHEMA_VERSION = 1
"""Goes up with each change of an entity's columns; a store of another version is refused."""

Entity = typing.TypeVar("Entity")
Result = typing.TypeVar("Result")
Parameters = tuple[str | int | float | None, ...]


class StoreError(Exception):
    """The store cannot be used as it is."""


class NotFoundError(StoreError):
    """No row has the key asked for."""


@dataclasses.dataclass(frozen=True)
class Change:
    """One entry of the journal: the row of table `kind` with that primary key was written or deleted."""

    sequence: int
    kind: str
    key: tuple[str | int, ...]


_tables: dict[type, tables.Table[typing.Any]] = {}


def table(
    name: str, *, key: tuple[str, ...], journal: bool = True, indexes: tuple[str, ...] = ()
) -> collections.abc.Callable[[type[Entity]], type[Entity]]:
    """Registers a frozen dataclass as the rows of table `name` with the primary key of those fields.

    A table with `journal=False` is left out of the journal: what no client ever shows.
    """

    def register(entity: type[Entity]) -> type[Entity]:
        _tables[entity] = tables.Table(entity, name, key, journal, indexes)
        return entity

    return register


class Store:
    """All reading and writing of the controller's state, from any thread.

    One connection stands behind a re-entrant lock. A committed transaction survives SIGKILL of the process. What is
    read is kept in memory until its table changes, so entities, and what is in them, are never to be modified in place.
    """

    def __init__(self, path: pathlib.Path | None = None) -> None:
        """Opens or creates the store at `path`; without a path it lives in memory.

        Raises:
            StoreError: the file has another schema version.
        """
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._depth = 0
        self._dirty = False
        self._known: dict[type, tables.Table[typing.Any]] = {}
        self._cache: dict[tuple[typing.Any, ...], tuple[int, typing.Any]] = {}
        self._listeners: list[collections.abc.Callable[[], None]] = []
        self._connection = sqlite3.connect(
            str(path) if path else ":memory:", check_same_thread=False, isolation_level=None, cached_statements=512
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._create(path)
        self._sequence: int = self._connection.execute("SELECT coalesce(max(sequence), 0) FROM change").fetchone()[0]

    def _create(self, path: pathlib.Path | None) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise StoreError(f"{path} has schema version {version}; this controller reads version {SCHEMA_VERSION}")
        with self.transaction():
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS change (sequence INTEGER PRIMARY KEY AUTOINCREMENT, "
                "kind TEXT NOT NULL, key TEXT NOT NULL)"
            )
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self._connection.execute(
                "DELETE FROM change WHERE sequence <= (SELECT max(sequence) FROM change) - ?", (JOURNAL_LENGTH,)
            )
        for entity in _tables:
            self._table(entity)

    def _table(self, entity: type[Entity]) -> tables.Table[Entity]:
        """The entity's table, which is made if the store has not seen it before."""
        description = self._known.get(entity)
        if description is None:
            description = _tables[entity]
            description.prepare()
            with self.transaction():
                for statement in description.create:
                    self._connection.execute(statement)
            self._known[entity] = description
        return description

    def close(self) -> None:
        """Closes the file. No call may follow."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> collections.abc.Iterator[None]:
        """All writes inside become visible together, or none does if an exception leaves the block.

        Transactions nest; only the outermost one commits. An exception that leaves an inner block rolls back
        what that block wrote, and the outer one may go on.
        """
        with self._lock:
            name = f"level{self._depth}"
            self._connection.execute("BEGIN IMMEDIATE" if self._depth == 0 else f"SAVEPOINT {name}")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                self._cache.clear()
                if self._depth == 0:
                    self._connection.execute("ROLLBACK")
                    self._dirty = False
                else:
                    self._connection.execute(f"ROLLBACK TO {name}")
                    self._connection.execute(f"RELEASE {name}")
                raise
            self._depth -= 1
            if self._depth:
                self._connection.execute(f"RELEASE {name}")
                return
            self._connection.execute("COMMIT")
            if not self._dirty:
                return
            self._dirty = False
            before, self._sequence = self._sequence, self._read_sequence()
            self._changed.notify_all()
        if before != self._sequence:
            for listener in self._listeners:
                listener()

    def _read_sequence(self) -> int:
        return self._connection.execute("SELECT coalesce(max(sequence), 0) FROM change").fetchone()[0]

    # Entities

    def get(self, entity: type[Entity], /, *key: str | int) -> Entity | None:
        """The row of that primary key, or None."""
        description = self._table(entity)

        def read() -> Entity | None:
            row = self._connection.execute(f"{description.select} WHERE {description.where_key}", key).fetchone()
            return None if row is None else description.load(row)

        return self._cached(description, (entity, key), read)

    def _cached(
        self,
        description: tables.Table[typing.Any],
        key: tuple[typing.Any, ...],
        read: collections.abc.Callable[[], Result],
    ) -> Result:
        """What `read` gives, from memory as long as nothing is written to the table."""
        with self._lock:
            version, result = self._cache.get(key, (-1, None))
            if version != description.version:
                result = read()
                if len(self._cache) >= CACHE_SIZE:
                    self._cache.clear()
                self._cache[key] = (description.version, result)
            return typing.cast("Result", result)

    def require(self, entity: type[Entity], /, *key: str | int) -> Entity:
        """The row of that primary key.

        Raises:
            NotFoundError: there is none.
        """
        found = self.get(entity, *key)
        if found is None:
            raise NotFoundError(f"{_tables[entity].name} {key} not found")
        return found

    def find(self, entity: type[Entity], /, **where: str | int | None) -> list[Entity]:
        """All rows whose columns equal the given values (None finds NULL), in the order of their primary key."""
        description = self._table(entity)
        condition = " AND ".join(f'"{name}" IS ?' for name in where) or "1"
        order = ", ".join(f'"{name}"' for name in description.key)
        statement = f"{description.select} WHERE {condition} ORDER BY {order}"

        def read() -> list[Entity]:
            rows = self._connection.execute(statement, tuple(where.values())).fetchall()
            return [description.load(row) for row in rows]

        return list(self._cached(description, (entity, tuple(where.items())), read))

    def put(self, *entities: typing.Any) -> None:
        """Inserts rows, or overwrites those of the same primary key. A row that does not change is not journaled."""
        with self.transaction():
            for entity in entities:
                description = self._table(type(entity))
                cursor = self._connection.execute(description.upsert, description.row(entity))
                if cursor.rowcount:
                    self._written(description, description.key_of(entity))

    def delete(self, *entities: typing.Any) -> None:
        """Deletes the rows with the primary keys of these entities; missing ones are no error."""
        with self.transaction():
            for entity in entities:
                description = self._table(type(entity))
                key = description.key_of(entity)
                if self._connection.execute(description.delete, key).rowcount:
                    self._written(description, key)

    def delete_where(self, entity: type[typing.Any], /, **where: str | int | None) -> None:
        """Deletes all rows that `find` would return for the same arguments."""
        with self.transaction():
            self.delete(*self.find(entity, **where))

    def query(self, statement: str, parameters: Parameters = ()) -> list[tuple[typing.Any, ...]]:
        """Rows of a statement of the caller's own, for what `find` cannot say."""
        with self._lock:
            return self._connection.execute(statement, parameters).fetchall()

    def execute(self, entity: type[typing.Any], statement: str, parameters: Parameters = ()) -> None:
        """Runs a write of the caller's own to an entity's table. It is not journaled, but it wakes those who wait."""
        description = self._table(entity)
        with self.transaction():
            description.version += 1
            self._connection.execute(statement, parameters)
            self._dirty = True

    # Journal

    def _written(self, description: tables.Table[typing.Any], key: tuple[str | int, ...]) -> None:
        description.version += 1
        if description.journal:
            self._dirty = True
            change = (description.name, json.dumps(key))
            self._connection.execute("INSERT INTO change (kind, key) VALUES (?, ?)", change)

    @property
    def sequence(self) -> int:
        """The journal's last committed sequence number; cheap enough to be asked all the time."""
        return self._sequence

    def changes(self, since: int, limit: int = 10_000) -> list[Change]:
        """The journal after sequence number `since`, oldest first."""
        rows = self.query(
            "SELECT sequence, kind, key FROM change WHERE sequence > ? ORDER BY sequence LIMIT ?", (since, limit)
        )
        return [Change(sequence, kind, tuple(json.loads(key))) for sequence, kind, key in rows]

    def subscribe(self, listener: collections.abc.Callable[[], None]) -> None:
        """Lets `listener` be called after each transaction that was journaled, in the thread that committed it."""
        self._listeners.append(listener)

    def wait(self, since: int, timeout: float) -> int:
        """Waits until the journal has gone beyond `since`, at most `timeout` seconds; returns its sequence number."""
        self.wait_until(lambda: self._sequence > since, timeout)
        return self._sequence

    def wait_until(self, condition: collections.abc.Callable[[], bool], timeout: float) -> bool:
        """Waits until `condition`, asked after each committed write, is true; False after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not (met := condition()) and (rest := deadline - time.monotonic()) > 0:
                self._changed.wait(rest)
            return met


def entities_of_models() -> list[type[typing.Any]]:
    """The entity classes that belong to a model: those with a column `model`."""
    return [entity for entity in _tables if any(field.name == "model" for field in dataclasses.fields(entity))]
