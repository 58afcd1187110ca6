"""The figures of docs/reference/performance.md: a promise that is not kept is said, and fails the command."""

from __future__ import annotations

import io
import pathlib
import typing

import pytest
import rich.console

from rehearsal import measure


@pytest.mark.parametrize(
    ("measured", "status", "said"), [(4.99, 0, ": kept"), (5.0, 0, ": kept"), (5.01, 1, "NOT KEPT")]
)
def test_a_promise_that_is_not_kept_fails(measured: float, status: int, said: str) -> None:
    out = io.StringIO()
    stage = measure.Stage(typing.cast(typing.Any, None), rich.console.Console(file=out, width=120), pathlib.Path())
    assert stage.judge("longest write gap, s", measured, 5) == status
    assert out.getvalue().strip().startswith(f"longest write gap, s: {measured:.4g}, at most 5 promised")
    assert said in out.getvalue()
