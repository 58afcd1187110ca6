"""What a rehearsal shows while it runs: a live view on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

import jubilant
import rich.box
import rich.console
import rich.live
import rich.table
import rich.text

from rehearsal import history, records

STYLES = {
    "active": "green",
    "error": "bold red",
    "blocked": "red",
    "maintenance": "yellow",
    "waiting": "yellow",
}


class Progress:
    """Shows steps, units' statuses and the writer's state."""

    def __init__(self, console: rich.console.Console, application: str) -> None:
        """Show `application` on `console`, live where it is a terminal."""
        self.console = console
        self._application = application
        self._begun = time.monotonic()
        self._step = ""
        self._step_begun = self._begun
        self._said: dict[str, str] = {}
        self._live = (
            rich.live.Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave what was said, and end the live view."""
        if self._live:
            self._live.stop()

    def begin(self, step: str) -> None:
        """Tell that a step begins."""
        self._step, self._step_begun = step, time.monotonic()
        self.say(f"{step} ...")

    def end(self) -> None:
        """Tell that the step has ended."""
        self.say(f"{self._step}: {time.monotonic() - self._step_begun:.1f} s")

    def say(self, text: str) -> None:
        """Tell something that stays on the screen, with the time since the beginning."""
        self.console.print(rich.text.Text(f"{time.monotonic() - self._begun:7.1f} s  {text}"), soft_wrap=True)

    def show(self, status: jubilant.Status, recorded: history.History | None = None) -> None:
        """Show how things stand now."""
        statuses = _statuses(status, self._application)
        if self._live:
            self._live.update(self._view(statuses, recorded), refresh=True)
            return
        for name, state, message in statuses:
            said = f"{name}: {state}{': ' if message else ''}{message}"
            if self._said.get(name) != said:
                self._said[name] = said
                self.say(said)

    def _view(
        self, statuses: list[tuple[str, str, str]], recorded: history.History | None
    ) -> rich.console.RenderableType:
        now = time.monotonic()
        units = rich.table.Table(box=rich.box.SIMPLE_HEAD, title_justify="left")
        units.title = f"{self._step}, {now - self._step_begun:.0f} s"
        for heading in ["", "Status", "Message"]:
            units.add_column(heading)
        for name, state, message in statuses:
            units.add_row(name, rich.text.Text(state, STYLES.get(state, "")), rich.text.Text(message))
        return rich.console.Group(units, *([self._writes(recorded, now)] if recorded else []))

    def _writes(self, recorded: history.History, now: float) -> rich.text.Text:
        counts = recorded.counts()
        longest = recorded.longest_gap(self._step_begun, now) or 0.0
        current = now - max((write.ended for write in recorded.acknowledged(now - 60, now)), default=now - 60)
        return rich.text.Text(
            f"  {counts[records.Outcome.ACKNOWLEDGED]} writes acknowledged, {counts[records.Outcome.FAILED]} failed, "
            f"{counts[records.Outcome.INDETERMINATE]} indeterminate; "
            f"longest gap of this step {longest:.2f} s; now {current:.2f} s since the last"
        )


def _statuses(status: jubilant.Status, application: str) -> list[tuple[str, str, str]]:
    """Return name, state and message of the application and each of its units."""
    if application not in status.apps:
        return []
    found = status.apps[application]
    rows = [(application, found.app_status.current, found.app_status.message)]
    for name, unit in sorted(found.units.items(), key=lambda item: int(item[0].rpartition("/")[2])):
        leader = "*" if unit.leader else ""
        doing = "" if unit.juju_status.current == "idle" else unit.juju_status.message or unit.juju_status.current
        message = unit.workload_status.message or doing
        rows.append((f"{name}{leader}", unit.workload_status.current, message))
    return rows
