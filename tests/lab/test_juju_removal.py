"""Command lines of `juju` that remove: what they tell beforehand, and what they ask."""

from __future__ import annotations

import io
import sys
import typing

import juju_support
import pytest

Params = dict[str, typing.Any]
Run = juju_support.Run


REMOVAL = {"units": ["pg/0", "pg/1"], "destroyed-storage": ["logs/1"], "detached-storage": ["data/0"]}
GOING = (
    "will remove application pg\n- will remove unit pg/0\n- will remove unit pg/1\n- will remove storage logs/1\n"
    "- will detach storage data/0\n"
)


def answering(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_removal_tells_what_goes(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["remove_application"] = REMOVAL
    assert run("remove-application pg --no-prompt") == (0, GOING, "")


@pytest.mark.parametrize(("answer", "removed"), [("y\n", True), ("YES\n", True), ("n\n", False), ("", False)])
def test_removal_asks(
    canned: juju_support.CannedController, run: Run, monkeypatch: pytest.MonkeyPatch, answer: str, removed: bool
) -> None:
    canned.answers["remove_application"] = REMOVAL
    answering(monkeypatch, answer)
    result = run("remove-application pg")
    assert result.out == GOING
    assert result.err.startswith("WARNING This command will perform the following actions:\n\nContinue [y/N]? ")
    assert result.err.endswith("ERROR application removal: aborted\n") != removed
    assert result.status == (0 if removed else 1)
    assert [params["dry_run"] for _, params in canned.calls] == ([True, False] if removed else [True])


def test_the_environment_may_skip_the_question(
    canned: juju_support.CannedController, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    canned.answers["remove_unit"] = None
    monkeypatch.setenv("JUJU_SKIP_CONFIRMATION", "true")
    assert run("remove-unit pg/0") == (0, "will remove unit pg/0\n", "")
    monkeypatch.setenv("JUJU_SKIP_CONFIRMATION", "perhaps")
    assert run("remove-unit pg/0").status == 2


def test_one_failure_does_not_stop_the_others(canned: juju_support.CannedController, run: Run) -> None:
    def remove(unit: str, **_: typing.Any) -> None:
        if unit == "pg/0":
            raise juju_support.Refusal("not found", 'unit "pg/0" not found')

    canned.answers["remove_unit"] = remove
    assert run("remove-unit pg/0 pg/1 --no-prompt") == (
        1, "will remove unit pg/1\n", 'ERROR removing unit pg/0 failed: unit "pg/0" not found\n'
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "method", "err"),
    [
        ("remove-application a b --no-prompt", "remove_application", "ERROR removing application a failed: no\n"),
        ("remove-machine 1 2 --no-prompt", "remove_machine", "ERROR removing machine 1 failed: no\n"),
        (
            "add-storage pg/0 a=1 b=1",
            "add_storage",
            'failed to add storage "a" to pg/0: no\nadded storage b/1 to pg/0\n',
        ),
        ("attach-storage pg/0 a/1 b/1", "attach_storage", "failed to attach a/1 to pg/0: no\nattaching b/1 to pg/0\n"),
        ("detach-storage a/1 b/1", "detach_storage", "failed to detach a/1: no\ndetaching b/1\n"),
        ("remove-storage a/1 b/1", "remove_storage", "failed to remove a/1: no\nremoving b/1\n"),
    ],
)
def test_a_partial_failure_is_a_failure(
    canned: juju_support.CannedController, run: Run, line: str, method: str, err: str
) -> None:
    answers = iter([juju_support.Refusal("bad request", "no"), ["b/1"] if method == "add_storage" else {}])

    def answer(**_: typing.Any) -> typing.Any:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    canned.answers[method] = answer
    result = run(line)
    assert (result.status, result.err) == (1, err)


def test_destroy_model_asks_for_the_name_and_waits(
    canned: juju_support.CannedController, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = False

    def destroy(**_: typing.Any) -> None:
        nonlocal gone
        gone = True

    def status(model: str, **_: typing.Any) -> Params:
        if gone:
            raise juju_support.Refusal("model not found", f'model "{model}" not found')
        return {"machines": {"0": {"instance-id": "juju-0"}}, "applications": {"pg": {}}}

    model = {"short-name": "prod", "model-uuid": "uuid-1"}
    canned.answers |= {"show_model": model, "models": [], "storage": {}, "status": status, "destroy_model": destroy}
    answering(monkeypatch, "other\n")
    result = run("destroy-model prod")
    assert result.status == 1
    assert not gone
    assert '"0 (juju-0)"' in result.err
    answering(monkeypatch, "prod\n")
    result = run("destroy-model prod")
    assert (result.status, gone) == (0, True)
    assert result.err.endswith("Destroying model\nModel destroyed.\n")


def test_destroy_model_keeps_storage_unless_told(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers |= {
        "show_model": {"short-name": "prod", "model-uuid": "uuid-1"},
        "storage": {"storage": {"data/0": {"persistent": True}}},
    }
    result = run("destroy-model prod --no-prompt")
    assert result.status == 1
    assert "The model has persistent storage remaining" in result.err
    assert "destroy_model" not in [method for method, _ in canned.calls]
