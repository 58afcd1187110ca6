"""Which versions may follow which."""

from __future__ import annotations

import charm_refresh
import hypothesis
import pytest
from hypothesis import strategies as st

import compatibility
import refresh


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("16.14", "16.14", True),
        ("16.14", "16.15", True),
        ("16.15", "16.14", False),
        ("16.9", "16.10", True),
        ("16.10", "16.9", False),
        ("16.14", "16.14.1", True),
        ("16.14.1", "16.14", False),
        ("16.14.1", "16.14.2", True),
        ("16.14.2", "16.15", True),
        ("16.14.0", "16.14", True),
        ("15.19", "16.1", False),
        ("16.15", "17.1", False),
        ("16", "16", False),
        ("16.1.2.3", "16.1.2.3", False),
        ("16.beta1", "16.1", False),
        ("", "16.1", False),
        ("16.14", "16.", False),
    ],
)
def test_workload(old: str, new: str, expected: bool) -> None:
    assert compatibility.workload_is_compatible(old, new) is expected


part = st.integers(0, 30)
versions = st.one_of(st.tuples(part, part), st.tuples(part, part, part)).map(lambda parts: ".".join(map(str, parts)))


@hypothesis.given(versions, versions)
def test_a_version_may_follow_itself_and_never_both_ways_with_another(old: str, new: str) -> None:
    assert compatibility.workload_is_compatible(old, old)
    both = compatibility.workload_is_compatible(old, new) and compatibility.workload_is_compatible(new, old)
    assert both is ((old + ".0").split(".")[:3] == (new + ".0").split(".")[:3])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("16/1.0.0", "16/1.0.0", True),
        ("16/1.0.0", "16/1.0.1", True),
        ("16/1.9.0", "16/1.10.0", True),
        ("16/1.10.0", "16/1.9.0", False),
        ("16/1.0.1", "16/1.0.0", False),
        ("16/1.9.9", "16/2.0.0", False),
        ("14/1.0.0", "16/1.0.0", False),
        # Builds off a tag: developers' own, in any order.
        ("16/1.0.0", "16/1.0.0.post1.dev0+71201f4", True),
        ("16/1.0.0.post2.dev0+a", "16/1.0.0.post1.dev0+b.dirty", True),
        ("16/1.0.1.post1.dev0+a", "16/1.0.0", False),
        ("16/1.0", "16/1.0.1", False),
        ("1.0.0", "1.0.1", False),
        ("16/1.x.0", "16/1.0.1", False),
    ],
)
def test_charm_code(old: str, new: str, expected: bool) -> None:
    assert compatibility.charm_may_follow(old, new) is expected


def test_short() -> None:
    assert compatibility.short("16/1.10.0.post1.dev0+71201f4.dirty") == "16/1.10.0"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (("16/1.0.0", "16.14"), ("16/1.0.0", "16.14"), True),
        (("16/1.0.0", "16.14"), ("16/1.1.0", "16.15"), True),
        (("16/1.0.0", "16.14"), ("16/1.1.0", "16.14.1"), True),
        (("16/1.0.0", "16.14"), ("16/1.1.0", "16.13"), False),
        (("16/1.1.0", "16.14"), ("16/1.0.0", "16.15"), False),
        (("16/1.0.0", "16.14"), ("16/2.0.0", "16.15"), False),
        (("16/1.0.0", "16.14"), ("16/1.1.0.post1.dev0+a", "16.15"), False),
        (("16/1.0.0", "16.14"), ("16/1.1.0", "17.1"), False),
    ],
)
def test_both_have_to_fit(old: tuple[str, str], new: tuple[str, str], expected: bool) -> None:
    compatible = refresh.MachinesRefresh.is_compatible(
        old_charm_version=charm_refresh.CharmVersion(old[0]),
        new_charm_version=charm_refresh.CharmVersion(new[0]),
        old_workload_version=old[1],
        new_workload_version=new[1],
    )
    assert compatible is expected
