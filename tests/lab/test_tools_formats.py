from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab.controller.tools import output


@pytest.mark.parametrize(
    ("value", "smart", "as_yaml", "as_json"),
    [
        (None, "", "", "null\n"),
        ("text", "text\n", "text\n", '"text"\n'),
        ("", "", '""\n', '""\n'),
        ("12", "12\n", '"12"\n', '"12"\n'),
        ("true", "true\n", '"true"\n', '"true"\n'),
        (True, "True\n", "true\n", "true\n"),
        (False, "False\n", "false\n", "false\n"),
        (3, "3\n", "3\n", "3\n"),
        (0.5, "0.5\n", "0.5\n", "0.5\n"),
        ([], "", "[]\n", "[]\n"),
        (["a", "b"], "a\nb\n", "- a\n- b\n", '["a","b"]\n'),
        ({"b": "1", "a": "x"}, 'a: x\nb: "1"\n', 'a: x\nb: "1"\n', '{"a":"x","b":"1"}\n'),
        ({}, "{}\n", "{}\n", "{}\n"),
        ({"a": "x\ny"}, "a: |-\n  x\n  y\n", "a: |-\n  x\n  y\n", '{"a":"x\\ny"}\n'),
        ({"a": {"b": ["c"]}}, "a:\n  b:\n  - c\n", "a:\n  b:\n  - c\n", '{"a":{"b":["c"]}}\n'),
        ("é", "é\n", "é\n", '"é"\n'),
    ],
)
def test_formats(value: object, smart: str, as_yaml: str, as_json: str) -> None:
    assert (output.smart(value), output.as_yaml(value), output.as_json(value)) == (smart, as_yaml, as_json)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(TEXT, TEXT | st.booleans() | st.integers() | st.lists(TEXT, max_size=3), max_size=4))
def test_what_is_written_reads_back(value: dict[str, object]) -> None:
    assert yaml.safe_load(output.as_yaml(value)) == value
    assert json.loads(output.as_json(value)) == value
