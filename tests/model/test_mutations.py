"""The mutations break what they name: one that no longer fits the charm would be found for the wrong reason."""

from __future__ import annotations

import os
import traceback

import pytest

from tests.model import broken, mutations


@pytest.mark.parametrize("mutation", broken.MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_finds_its_place(mutation: broken.Mutation) -> None:
    child = os.fork()
    if child == 0:
        try:
            mutation.breaks()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_charm_that_only_crashes_is_not_found_for_what_it_breaks() -> None:
    def crash() -> None:
        raise AssertionError("hooks failed although nothing was broken: ['a/0']\n\nmore without the operator's word")

    def refresh() -> None:
        raise AssertionError("a/0 (juju-1): 366 -> 416 without the operator's word\n\nmore")

    expected = "without the operator's word"
    found = mutations.hunt([lambda: None, refresh], expected)
    assert found is not None and found.is_expected and found.place == 2
    found = mutations.hunt([crash, refresh], expected)
    assert found is not None and not found.is_expected
    assert mutations.hunt([lambda: None], expected) is None
