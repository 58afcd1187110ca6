from __future__ import annotations

import datetime

import pytest
import yaml

from lab.juju import output, ports, storage_tables, tabular, times


def test_a_cell_is_padded_only_where_something_follows_it() -> None:
    table = tabular.Table()
    table.heading("Unit", "Workload", "Message")
    table.add("pg/0*", "active", "")
    table.add("pg/10", "maintenance", "installing")
    assert table.render() == "Unit   Workload     Message\npg/0*  active       \npg/10  maintenance  installing\n"


def test_columns_end_where_a_line_has_fewer_cells() -> None:
    table = tabular.Table()
    table.add("a", "b", "c")
    table.add("no columns at all")
    table.add("aaaa", "b", "c")
    assert table.render() == "a  b  c\nno columns at all\naaaa  b  c\n"


def test_numbers_to_the_right() -> None:
    table = tabular.Table(right={1})
    table.add("App", "Scale", "Charm", "")
    table.add("pg", "3", "postgresql", "")
    assert table.render() == "App  Scale  Charm       \npg       3  postgresql  \n"


def test_colours_take_no_width() -> None:
    plain, coloured = tabular.Table(), tabular.Table(color=True)
    for table in (plain, coloured):
        table.add(tabular.status_cell("active"), "x")
        table.add(tabular.status_cell("error"), "y")
    assert coloured.render() == plain.render().replace("active", "\x1b[32mactive\x1b[0m").replace(
        "error", "\x1b[31merror\x1b[0m"
    )


def test_natural_order() -> None:
    names = ["pg/10", "pg/9", "pg", "a10b2", "a10b10", "a9b1"]
    assert sorted(names, key=tabular.natural_key) == ["a9b1", "a10b2", "a10b10", "pg", "pg/9", "pg/10"]


def test_json_is_compact_and_escaped_as_go_does() -> None:
    assert output.as_json({"b": [1, None], "a": "<ä & b>"}) == '{"b":[1,null],"a":"\\u003cä \\u0026 b\\u003e"}\n'


def test_yaml_keeps_order_and_quotes_what_would_read_as_another_type() -> None:
    value = {"b": "0", "a": "true", "d": "", "c": "plain text", "e": [{"x": 1}], "f": {}, "g": "2\n3\n", "h": "16.4"}
    text = output.as_yaml(value)
    assert text == ('b: "0"\na: "true"\nd: ""\nc: plain text\ne:\n- x: 1\nf: {}\ng: |\n  2\n  3\nh: "16.4"\n')
    assert yaml.safe_load(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "True\n"), ("a: b", "a: b\n"), (["a", "b"], "a\nb\n"), (5, "5\n"), ({"a": 1}, "a: 1\n")],
)
def test_smart(value: object, text: str) -> None:
    assert output.as_smart(value) == text


def test_times(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert times.since("2025-07-01T10:00:00Z") == "01 Jul 2025 12:00:00+02:00"
        assert times.since("2025-07-01T10:00:00Z", utc=True) == "2025-07-01 10:00:00Z"
        assert times.timestamp("2025-07-01T10:00:00Z") == "12:00:00+02:00"
        assert times.result("2025-07-01T10:00:00Z") == "2025-07-01 12:00:00 +0200 CEST"
        assert times.result("2025-07-01T10:00:00Z", utc=True) == "2025-07-01 10:00:00 +0000 UTC"
    finally:
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
    assert times.since("2025-07-01T10:00:00Z") == "01 Jul 2025 10:00:00Z"
    assert times.plain("") == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (1, "1 second ago"), (59, "59 seconds ago"), (60, "1 minute ago"), (7200, "2 hours ago"),
     (86400, "2024-12-31")],
)  # fmt: skip
def test_ages(seconds: int, text: str) -> None:
    now = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    then = (now - datetime.timedelta(seconds=seconds)).isoformat()
    assert times.age(then, now) == text


@pytest.mark.parametrize(
    ("opened", "text"),
    [
        ([], ""),
        (["5432/tcp"], "5432/tcp"),
        (["443/tcp", "80/tcp", "53/udp"], "80,443/tcp 53/udp"),
        (["8001/tcp", "8000/tcp", "8002/tcp", "9/tcp"], "9,8000-8002/tcp"),
        (["8000-8010/udp", "icmp"], "8000-8010/udp icmp"),
    ],
)
def test_ports(opened: list[str], text: str) -> None:
    assert ports.summary(opened) == text


@pytest.mark.parametrize(
    ("mebibytes", "text"),
    [(None, ""), (512, "512 MiB"), (1, "1.0 MiB"), (1024, "1.0 GiB"), (10240, "10 GiB"), (1536, "1.5 GiB")],
)
def test_sizes(mebibytes: int | None, text: str) -> None:
    assert storage_tables.size(mebibytes) == text
