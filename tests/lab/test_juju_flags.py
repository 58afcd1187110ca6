from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import pytest

from lab.juju import flags

FLAGS = (
    flags.boolean("force"),
    flags.boolean("a"),
    flags.boolean("b"),
    flags.boolean("parallel", default=True),
    flags.text("m", "model"),
    flags.number("n", "num-units", default=1),
    flags.duration("wait"),
    flags.repeated("config"),
    flags.words("u", "unit"),
)


def parse(*words: str, interspersed: bool = True) -> tuple[flags.Values, list[str]]:
    return flags.Parser(FLAGS, interspersed).parse(words)


@pytest.mark.parametrize(
    ("words", "model", "units", "rest"),
    [
        (["--model", "x", "app"], "x", 1, ["app"]),
        (["app", "--model=x", "-n", "3"], "x", 3, ["app"]),
        (["-n3", "app", "-mx"], "x", 3, ["app"]),
        (["-n=3", "-m", "x", "-"], "x", 3, ["-"]),
        (["--num-units", "3", "--", "--model", "x"], "", 3, ["--model", "x"]),
        (["--model=a=b", "-n", "-2"], "a=b", -2, []),
    ],
)
def test_forms_of_options_with_values(words: list[str], model: str, units: int, rest: list[str]) -> None:
    values, arguments = parse(*words)
    assert (values.text("m"), values.number("n"), arguments) == (model, units, rest)


def test_a_boolean_never_takes_the_next_word() -> None:
    values, arguments = parse("--force", "false")
    assert values.on("force")
    assert arguments == ["false"]
    values, _ = parse("--force=false", "--parallel=f")
    assert not values.on("force")
    assert values.given("force")
    assert not values.on("parallel")


def test_letters_bundle_and_end_with_one_that_takes_a_value() -> None:
    values, _ = parse("-abn3")
    assert values.on("a")
    assert values.on("b")
    assert values.number("n") == 3


def test_the_last_occurrence_counts_except_for_repeated_options() -> None:
    values, _ = parse("--config", "a=1", "-m", "x", "--config=b=2", "-m", "y", "-u", "a/0,a/1", "--unit", "b/0")
    assert values.texts("config") == ["a=1", "b=2"]
    assert values.text("m") == "y"
    assert values.texts("u") == ["b/0"]


def test_defaults_and_what_was_given() -> None:
    values, _ = parse("-n", "1")
    assert values.number("n") == 1
    assert values.given("n")
    assert not values.given("m")
    assert values.texts("config") == []
    assert values.on("parallel")


def test_without_interspersing_all_after_the_first_argument_is_passed_through() -> None:
    values, arguments = parse("-m", "x", "pg/0", "ls", "-l", "--", "--force", interspersed=False)
    assert arguments == ["pg/0", "ls", "-l", "--", "--force"]
    assert not values.on("force")
    assert values.text("m") == "x"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nonsense"], "option provided but not defined: --nonsense"),
        (["--x"], "option provided but not defined: --x"),
        (["-x"], "option provided but not defined: -x"),
        (["--forc"], "option provided but not defined: --forc"),
        (["--model"], "option needs an argument: --model"),
        (["-n"], "option needs an argument: -n"),
        (["--num-units", "many"], 'invalid value "many" for option --num-units: strconv.ParseInt: parsing "many": '
                                  "invalid syntax"),
        (["--force=maybe"], 'invalid value "maybe" for option --force: strconv.ParseBool: parsing "maybe": '
                            "invalid syntax"),
        (["--wait", "60"], 'invalid value "60" for option --wait: time: missing unit in duration "60"'),
        (["--wait", "soon"], 'invalid value "soon" for option --wait: time: invalid duration "soon"'),
        (["---x"], "bad flag syntax: ---x"),
        (["--=x"], "bad flag syntax: --=x"),
    ],
)  # fmt: skip
def test_errors(words: list[str], message: str) -> None:
    with pytest.raises(flags.FlagError) as caught:
        parse(*words)
    assert str(caught.value) == message


@pytest.mark.parametrize("word", ["-h", "--help", "-ah"])
def test_help(word: str) -> None:
    with pytest.raises(flags.HelpRequested):
        parse("app", word)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("10s", 10.0),
        ("1m30s", 90.0),
        ("1.5h", 5400.0),
        ("300ms", 0.3),
        ("-2s", -2.0),
        ("2.0s", 2.0),
        (".5s", 0.5),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert flags.parse_duration(text) == pytest.approx(seconds)


@hypothesis.given(
    st.lists(st.sampled_from(["app", "-", "x/0", "k=v", "--force", "-a", "-n3", "--model=m"]), max_size=8)
)
def test_order_of_options_and_arguments_does_not_matter(words: list[str]) -> None:
    values, arguments = parse(*words)
    plain = [word for word in words if not word.startswith("-") or word == "-"]
    assert arguments == plain
    assert values.on("force") == ("--force" in words)
    assert values.number("n") == (3 if "-n3" in words else 1)
