"""The mutations break what they name: one that no longer fits the charm would be found for the wrong reason."""

from __future__ import annotations

import collections.abc
import os
import traceback

import pytest

from tests.model import broken


@pytest.mark.parametrize("mutation", broken.MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_mutation_finds_its_place(mutation: collections.abc.Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        try:
            mutation()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
