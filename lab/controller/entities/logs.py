"""The model's log, as `juju debug-log` shows it."""

from __future__ import annotations

import dataclasses
import datetime
import functools

import lab.controller.store as store_module

LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@store_module.table("log", key=("sequence",), journal=False, indexes=("model",))
@dataclasses.dataclass(frozen=True)
class LogLine:
    """One line of the log.

    `entity` is the tag of who logged it, `module` Juju's logger: `juju.worker.uniter`, `unit.pg/0.juju-log`,
    `unit.pg/0.install`.
    A None sequence gets its number when it is written.
    """

    sequence: int | None
    model: str
    time: datetime.datetime
    entity: str
    level: str
    module: str
    message: str
    location: str = ""


@functools.lru_cache(maxsize=32)
def _thresholds(logging_config: str) -> dict[str, int]:
    result = {"": LEVELS.index("INFO")}
    for part in logging_config.replace(",", ";").split(";"):
        module, _, level = part.strip().partition("=")
        if level.upper() in LEVELS:
            result["" if module == "<root>" else module.lower()] = LEVELS.index(level.upper())
    return result


def enabled(logging_config: str, module: str, level: str) -> bool:
    """Whether a logging-config such as `<root>=INFO;unit=DEBUG` keeps lines of that module and level."""
    thresholds = _thresholds(logging_config)
    name = module.lower()
    while name not in thresholds:
        name = name.rpartition(".")[0]
    return LEVELS.index(level) >= thresholds[name]


def append(
    store: store_module.Store,
    now: datetime.datetime,
    model: str,
    entity: str,
    level: str,
    module: str,
    message: str,
) -> None:
    """Logs one line at once."""
    store.execute(
        LogLine,
        "INSERT INTO log (model, time, entity, level, module, message, location) VALUES (?, ?, ?, ?, ?, ?, '')",
        (model, now.astimezone(datetime.UTC).isoformat(timespec="microseconds"), entity, level, module, message),
    )


def last_sequence(store: store_module.Store) -> int:
    """The number of the newest line of any model; 0 if there is none."""
    return store.query("SELECT coalesce(max(sequence), 0) FROM log")[0][0]


def lines(store: store_module.Store, model: str, after: int = 0, level: str | None = None) -> list[LogLine]:
    """The lines of a model after a sequence number, of at least a level, oldest first."""
    wanted = LEVELS[LEVELS.index(level) if level else 0 :]
    rows = store.query(
        "SELECT sequence, time, entity, level, module, message FROM log "
        "WHERE model = ? AND sequence > ? ORDER BY sequence",
        (model, after),
    )
    return [
        LogLine(sequence, model, datetime.datetime.fromisoformat(time), entity, severity, module, message)
        for sequence, time, entity, severity, module, message in rows
        if severity in wanted
    ]
