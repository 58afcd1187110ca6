"""What a rehearsal shows while it runs: a live view on a terminal, lines elsewhere."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import jubilant
import rich.console
import rich.live
import rich.text

from rehearsal import history, live


class Progress:
    """Shows steps, units' statuses and the writer's state."""

    def __init__(self, console: rich.console.Console, application: str) -> None:
        """Show `application` on `console`, live where it is a terminal."""
        self.console = console
        self._application = application
        self._begun = time.monotonic()
        self._plan: Sequence[str] = ()
        self._number = 0
        self._said: dict[str, str] = {}
        self._situation = live.Situation("", self._begun)
        self._live = (
            rich.live.Live(
                console=console, get_renderable=self._view, refresh_per_second=4, transient=True, screen=False
            )
            if console.is_terminal
            else None
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

    def plan(self, steps: Sequence[str]) -> None:
        """Tell the steps that are to come."""
        self._plan, self._number = steps, 0

    def begin(self, step: str) -> None:
        """Tell that a step begins."""
        if step in self._plan[self._number :]:
            self._number = self._plan.index(step, self._number) + 1
        now = time.monotonic()
        self._situation = dataclasses.replace(
            self._situation, step=step, begun=now, number=self._number, plan=self._plan, following="", writes=None
        )
        self.say(f"{step} ...")

    def end(self) -> None:
        """Tell that the step has ended."""
        self.say(f"{self._situation.step}: {time.monotonic() - self._situation.begun:.1f} s")

    def say(self, text: str) -> None:
        """Tell something that stays on the screen, with the time since the beginning."""
        self.console.print(rich.text.Text(f"{time.monotonic() - self._begun:7.1f} s  {text}"), soft_wrap=True)

    def show(
        self,
        status: jubilant.Status,
        recorded: history.History | None = None,
        *,
        roles: Mapping[str, history.State] | None = None,
        revisions: Mapping[str, str] | None = None,
        target: str = "",
    ) -> None:
        """Show how things stand now.

        Args:
            status: The model's.
            recorded: The writer's history, once there is one.
            roles: What each unit is to a client, as far as it is known.
            revisions: The snap's revision on each unit, as far as it is known.
            target: The revision that all units shall come to; empty if to none.
        """
        if not self._live:
            self._say_changes(status)
            return
        present = self._situation
        shown = live.units(status, self._application, roles or {}, revisions or {}, target)
        self._situation = dataclasses.replace(
            present,
            units=shown,
            application=_application(status, self._application),
            writes=live.writes(recorded, present.begun, time.monotonic()) if recorded else None,
            following=live.following(status, self._application, shown, present.number, self._plan),
        )

    def _view(self) -> rich.console.RenderableType:
        return live.render(self._situation, time.monotonic(), self.console.width)

    def _say_changes(self, status: jubilant.Status) -> None:
        for name, state, message in _statuses(status, self._application):
            said = f"{name}: {state}{': ' if message else ''}{message}"
            if self._said.get(name) != said:
                self._said[name] = said
                self.say(said)


def _application(status: jubilant.Status, application: str) -> str:
    if application not in status.apps:
        return ""
    found = status.apps[application].app_status
    return f"{found.current}: {found.message}" if found.message else found.current


def _statuses(status: jubilant.Status, application: str) -> list[tuple[str, str, str]]:
    """Return name, state and message of the application and each of its units."""
    if application not in status.apps:
        return []
    found = status.apps[application].app_status
    rows = [(application, found.current, found.message)]
    for unit in live.units(status, application, {}, {}, ""):
        rows.append((f"{unit.name}{'*' if unit.leader else ''}", unit.status, unit.message or unit.doing))
    return rows
