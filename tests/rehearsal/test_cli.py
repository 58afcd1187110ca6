"""The command line: the lab that it has for itself."""

from __future__ import annotations

import collections.abc
import typing

import pytest

from rehearsal import cli, commands


class Shown:
    """Keeps what it is to show."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def begin(self, title: str) -> None: ...

    def end(self) -> None: ...

    def say(self, line: str) -> None:
        self.said.append(line)


class Lab:
    """One that may be up, driven by its command."""

    def __init__(self, up: bool) -> None:
        self.up = up
        self.calls: list[str] = []

    def run(self, command: list[str], say: collections.abc.Callable[[str], None], **_: object) -> None:
        [called] = command[command.index("lab") + 1 :]
        self.calls.append(called)
        say(f"{called}: {'up' if self.up else 'not up'} before")
        self.up = called == "up"


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("was_up", [False, True])
def test_a_rehearsal_has_a_new_lab_also_where_an_earlier_one_was_kept(
    monkeypatch: pytest.MonkeyPatch, keep: bool, was_up: bool
) -> None:
    labs, shown = Lab(was_up), Shown()
    monkeypatch.setattr(commands, "run", labs.run)
    with cli.lab(typing.cast(typing.Any, shown), keep=keep):
        assert labs.calls == ["down", "up"]
        assert labs.up
    assert labs.up is keep
    assert f"lab: down: {'up' if was_up else 'not up'} before" in shown.said
