"""Options of the charm and versions of the workload: what is accepted, what is refused, and what it means."""

from __future__ import annotations

import pathlib
import typing

import pytest
import yaml

import compatibility
import config

METADATA = yaml.safe_load((pathlib.Path(__file__).parents[2] / "charmcraft.yaml").read_text())


def test_the_charm_s_defaults_are_the_metadata_s() -> None:
    defaults = {name: option["default"] for name, option in METADATA["config"]["options"].items()}
    assert config.Config.parse(defaults) == config.Config() == config.Config.parse({})


def test_unknown_options_are_ignored() -> None:
    assert config.Config.parse({"of-a-later-version": 3}) == config.Config()


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        ("pause-after-unit-refresh", "all", {"pause_after_unit_refresh": "all"}),
        ("pause-after-unit-refresh", "none", {"pause_after_unit_refresh": "none"}),
        ("synchronous-node-count", "majority", {"synchronous_node_count": "majority"}),
        ("synchronous-node-count", "0", {"synchronous_node_count": 0}),
        ("synchronous-node-count", "8", {"synchronous_node_count": 8}),
        ("profile", "testing", {"profile": config.Profile.TESTING}),
    ],
)
def test_accepted(option: str, value: str, wanted: dict[str, typing.Any]) -> None:
    assert config.Config.parse({option: value}) == config.Config(**wanted)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("pause-after-unit-refresh", ""),
        ("pause-after-unit-refresh", "ALL"),
        ("synchronous-node-count", ""),
        ("synchronous-node-count", "9"),
        ("synchronous-node-count", "-1"),
        ("synchronous-node-count", "1.5"),
        ("synchronous-node-count", "٣"),
        ("synchronous-node-count", " 1"),
        ("profile", "prod"),
    ],
)
def test_refused_with_option_value_and_what_is_allowed(option: str, value: str) -> None:
    with pytest.raises(config.ConfigError) as caught:
        config.Config.parse({option: value})
    text = str(caught.value)
    assert caught.value.option == option
    assert text.startswith(f"{option}: {value!r} is not allowed (")
    assert text.endswith("; set with `juju config`")
    assert len(text) <= 120


def test_a_number_of_more_digits_than_python_reads_is_refused_like_any_other() -> None:
    with pytest.raises(config.ConfigError, match="all, majority, 0 to 8"):
        config.Config.parse({"synchronous-node-count": "1" * 5000})


@pytest.mark.parametrize(
    ("value", "by_units"),
    [
        ("all", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("majority", [0, 1, 1, 2, 2, 3, 3, 4, 4]),
        ("0", [0] * 9),
        ("2", [0, 1, 2, 2, 2, 2, 2, 2, 2]),
    ],
)
def test_synchronous_standbys(value: str, by_units: list[int]) -> None:
    parsed = config.Config.parse({"synchronous-node-count": value})
    assert [parsed.synchronous_standbys(units) for units in range(1, 10)] == by_units
    assert parsed.synchronous_standbys(0) == 0
    if value == "majority":
        # The primary and these are more than half, but one fewer would not be.
        for units in range(2, 10):
            assert (parsed.synchronous_standbys(units) + 1) * 2 > units
            assert parsed.synchronous_standbys(units) * 2 <= units


@pytest.mark.parametrize(
    ("old", "new", "compatible"),
    [
        ("16.14", "16.15", True),
        ("16.15", "16.15", True),
        ("16.15", "16.14", False),
        ("16.9", "16.10", True),
        ("16.15", "17.0", False),
        ("17.0", "16.15", False),
        ("16.15", "16.15.1", True),
        ("16.15.1", "16.15", False),
        ("16.15.1", "16.15.2", True),
        ("16", "16.1", False),
        ("16.1.2.3", "16.2", False),
        ("16.1", "latest", False),
        ("", "", False),
    ],
)
def test_compatibility(old: str, new: str, compatible: bool) -> None:
    assert compatibility.workload_is_compatible(old, new) is compatible
