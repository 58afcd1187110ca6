"""How an entity's class maps to an SQLite table: columns, their encoding, and the statements."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import enum
import typing

import pydantic

Entity = typing.TypeVar("Entity")


@dataclasses.dataclass(frozen=True)
class Column:
    """One column: its declaration in SQL, and how values go into it and come out; None where they stay as they are."""

    name: str
    declaration: str
    encode: collections.abc.Callable[[typing.Any], typing.Any] | None
    decode: collections.abc.Callable[[typing.Any], typing.Any] | None


class Table(typing.Generic[Entity]):
    """How one entity class maps to one SQLite table.

    `version` rises with each write, so that who has read the table can tell whether that still holds.
    """

    def __init__(self, entity: type[Entity], name: str, key: tuple[str, ...], journal: bool, indexes: tuple[str, ...]):
        self.entity = entity
        self.name = name
        self.key = key
        self.journal = journal
        self.indexes = indexes
        self.version = 0

    def prepare(self) -> None:
        """Reads the type hints. Done late, since they may name types that are defined after the entity."""
        hints = typing.get_type_hints(self.entity)
        fields = dataclasses.fields(self.entity)  # pyright: ignore[reportArgumentType]
        self.columns = [_column(field.name, hints[field.name]) for field in fields]
        names = ", ".join(f'"{column.name}"' for column in self.columns)
        marks = ", ".join("?" for _ in self.columns)
        keys = ", ".join(f'"{name}"' for name in self.key)
        values = [f'"{column.name}"' for column in self.columns if column.name not in self.key]
        if values:
            assignments = ", ".join(f"{value} = excluded.{value}" for value in values)
            differs = " OR ".join(f'"{self.name}".{value} IS NOT excluded.{value}' for value in values)
            action = f"DO UPDATE SET {assignments} WHERE {differs}"
        else:
            action = "DO NOTHING"
        columns = ", ".join(f'"{column.name}" {column.declaration}' for column in self.columns)
        if self.key == ("sequence",):
            # SQLite itself numbers the rows, and never uses a number twice.
            definition = columns.replace('"sequence" INTEGER', '"sequence" INTEGER PRIMARY KEY AUTOINCREMENT')
            options = ""
        else:
            definition = f"{columns}, PRIMARY KEY ({keys})"
            options = " WITHOUT ROWID"
        self.create = [f'CREATE TABLE IF NOT EXISTS "{self.name}" ({definition}){options}'] + [
            f'CREATE INDEX IF NOT EXISTS "{self.name}_{index}" ON "{self.name}" ("{index}")' for index in self.indexes
        ]
        # All names come from the entity classes, never from data.
        self.select = f'SELECT {names} FROM "{self.name}"'  # noqa: S608
        self.upsert = f'INSERT INTO "{self.name}" ({names}) VALUES ({marks}) ON CONFLICT ({keys}) {action}'  # noqa: S608
        self.where_key = " AND ".join(f'"{name}" = ?' for name in self.key)
        self.delete = f'DELETE FROM "{self.name}" WHERE {self.where_key}'  # noqa: S608

    def row(self, entity: Entity) -> list[typing.Any]:
        """The entity as SQLite's values."""
        return [
            getattr(entity, column.name)
            if column.encode is None or (value := getattr(entity, column.name)) is None
            else column.encode(value)
            for column in self.columns
        ]

    def load(self, row: collections.abc.Sequence[typing.Any]) -> Entity:
        """The entity of a row."""
        return self.entity(
            *(
                value if column.decode is None or value is None else column.decode(value)
                for column, value in zip(self.columns, row, strict=True)
            )
        )

    def key_of(self, entity: Entity) -> tuple[str | int, ...]:
        """The entity's primary key."""
        return tuple(getattr(entity, name) for name in self.key)


def _encode_time(value: datetime.datetime) -> str:
    return value.astimezone(datetime.UTC).isoformat(timespec="microseconds")


def _column(name: str, hint: typing.Any) -> Column:
    arguments = typing.get_args(hint)
    optional = type(None) in arguments
    (plain,) = [argument for argument in arguments if argument is not type(None)] if optional else [hint]
    null = "" if optional else " NOT NULL"
    if plain is str:
        return Column(name, f"TEXT{null}", None, None)
    if plain in (int, float):
        return Column(name, ("INTEGER" if plain is int else "REAL") + null, None, None)
    if plain is bool:
        return Column(name, f"INTEGER{null}", None, bool)
    if plain is datetime.datetime:
        return Column(name, f"TEXT{null}", _encode_time, datetime.datetime.fromisoformat)
    if isinstance(plain, type) and issubclass(plain, enum.StrEnum):
        return Column(name, f"TEXT{null}", str, plain)
    adapter: pydantic.TypeAdapter[typing.Any] = pydantic.TypeAdapter(plain)
    return Column(name, f"TEXT{null}", lambda value: adapter.dump_json(value).decode(), adapter.validate_json)
