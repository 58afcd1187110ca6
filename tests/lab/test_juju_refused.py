"""Command lines of `juju` that are refused, by the command itself or by the controller."""

from __future__ import annotations

import pathlib
import typing

import juju_support
import pytest

Params = dict[str, typing.Any]
Run = juju_support.Run


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("status --nonsense", "option provided but not defined: --nonsense"),
        ("status --format xml", 'invalid value "xml" for option --format: unknown format "xml"'),
        ("deploy", "no charm or bundle specified"),
        ("deploy a b c", 'unrecognized args: ["c"]'),
        ("deploy a Bad_name", 'invalid application name "Bad_name"'),
        ("deploy a -n 2 --attach-storage data/0", "--attach-storage cannot be used with -n"),
        ("deploy a --attach-storage data", 'storage ID "data" not valid'),
        ("deploy a --revision 5", "when using --revision option, you must also use --channel option"),
        ("deploy a --series noble --base ubuntu@24.04", "--series and --base cannot be specified together"),
        ("deploy a -n -1", "--num-units must be a positive integer"),
        ("deploy a --to lxd:1",
         'unsupported placement directive "lxd:1": the lab places units on machines by number'),
        ("deploy a --storage data", 'expected "name=constraints" or "name", got "data"'),
        ("deploy a --storage data=0",
         'cannot parse storage directives for storage "data": count must be greater than zero'),
        ("deploy a --storage data=1X%",
         'cannot parse storage directives for storage "data": unrecognized storage directive "1X%"'),
        ("refresh", "no application specified"),
        ("refresh a b", 'unrecognized args: ["b"]'),
        ("refresh a --path ./x --revision 1", "--path and --revision are mutually exclusive"),
        ("refresh a --switch x --path ./x", "--switch and --path are mutually exclusive"),
        ("refresh a --switch x --revision 1", "--switch and --revision are mutually exclusive"),
        ("run", "no unit specified"),
        ("run pg/0", "no action specified"),
        ("run pg/0 Backup", 'invalid unit or action name "Backup"'),
        ("run pg/0 app/0 backup", "all units must be of the same application"),
        ("run pg/0 backup word", 'argument "word" must be of the form key.key.key...=value'),
        ("run pg/0 backup A=1", 'key "A" must start and end with lowercase alphanumeric, and contain only lowercase '
                                "alphanumeric and hyphens"),
        ("run pg/0 backup --background --wait 1s", "cannot specify both --wait and --background"),
        ("run pg/0 backup --wait 5", 'invalid value "5" for option --wait: time: missing unit in duration "5"'),
        ("exec", "no commands specified"),
        ("exec ls", "You must specify a target, either through --all, --machine, --application or --unit"),
        ("exec --all --unit pg/0 ls", "You cannot specify --all and individual units"),
        ("exec --unit pg ls", 'The following exec targets are not valid:\n  "pg" is not a valid unit name'),
        ("config", "no application name specified"),
        ("config a=b", "no application name specified"),
        ("config pg a b=1", "cannot get value and set key=value pairs simultaneously"),
        ("config pg a --file x --reset b",
         "cannot use --file flag, use --reset flag and get value simultaneously"),
        ("config pg a b", "cannot specify multiple keys to get"),
        ("config pg a=1 --reset b,a", 'cannot set and reset key "a" simultaneously'),
        ("config pg a=1 a=2", 'key "a" specified more than once'),
        ("config pg =1", 'expected "key=value", got "=1"'),
        ("config pg --reset a=1", '--reset accepts a comma delimited set of keys "a,b,c", received: "a=1"'),
        ("model-config a b=1", "cannot get value and set key=value pairs simultaneously"),
        ("model-config a b", "cannot specify multiple keys to get"),
        ("add-unit", "no application specified"),
        ("add-unit pg -n 0", "--num-units must be a positive integer"),
        ("remove-unit", "no units specified"),
        ("remove-unit pg", 'invalid unit name "pg"'),
        ("remove-unit pg --num-units 1", "--num-units for non k8s models not valid"),
        ("remove-unit pg/0 --no-wait", "--no-wait without --force not valid"),
        ("remove-application", "no application specified"),
        ("remove-application pg/0", 'invalid application name "pg/0"'),
        ("integrate pg", "an integration must involve two applications"),
        ("integrate pg other.app", '"other.app" is in another model: the lab does not have cross-model relations'),
        ("integrate pg app --via 1.2.3.0/24",
         "the --via option can only be used when relating to offers in a different model"),
        ("remove-relation pg", 'relation ID "pg" not valid'),
        ("resolved", "no unit specified"),
        ("resolved --all pg/0", "specifying unit names(s) with --all not supported"),
        ("show-unit", "an unit name must be supplied"),
        ("show-unit pg", "unit name pg not valid"),
        ("show-unit pg/leader pg/0 pg", "unit names pg/leader, pg not valid"),
        ("show-unit pg/0 --related-unit pg", "related unit name pg not valid"),
        ("show-application", "an application name must be supplied"),
        ("add-secret", "secret name needs to be supplied as the first argument"),
        ("add-secret mine", "missing secret value or filename"),
        ("add-secret mine X=1", 'key "X" not valid'),
        ("add-secret mine key#zip=1", 'key "key#zip" not valid'),
        ("update-secret mine", "specify an update to the secret"),
        ("grant-secret mine", "missing application name"),
        ("show-secret", "secret ID is required"),
        ("show-secret a --revisions --reveal", "specify either --revisions or --reveal but not both"),
        ("storage data/0", "specifying IDs only supported with --filesystem and --volume options"),
        ("storage --filesystem --volume", "--filesystem and --volume can not be used together"),
        ("add-storage pg/0", "add-storage requires a unit and a storage directive"),
        ("attach-storage pg/0", "attach-storage requires a unit ID and at least one storage ID"),
        ("detach-storage", "detach-storage requires at least one storage ID"),
        ("remove-storage data", 'storage ID "data" not valid'),
        ("attach-resource pg", "no resource specified"),
        ("attach-resource pg x", 'expected name=path format for resource, got "x"'),
        ("show-operation", "no operation ID specified"),
        ("show-operation x", 'operation ID "x" not valid'),
        ("show-operation 1 --watch --wait 1s", "specify either --watch or --wait but not both"),
        ("operations --status odd", '"odd" is not a valid task status, want one of [pending running completed failed '
                                    "cancelled aborting aborted error]"),
        ("actions", "no application name specified"),
        ("actions pg --schema --format tabular", "full schema not compatible with tabular output"),
        ("add-model", "model name is required"),
        ("add-model Bad",
         '"Bad" is not a valid name: model names may only contain lowercase letters, digits and hyphens'),
        ("destroy-model", "no model specified"),
        ("destroy-model x --timeout 5s", "--timeout can only be used with --force (dangerous)"),
        ("destroy-model x --destroy-storage --release-storage",
         "--destroy-storage and --release-storage cannot both be specified"),
        ("debug-log --tail --no-tail", "setting --tail and --no-tail not valid"),
        ("debug-log --no-tail --retry", "setting --no-tail and --retry not valid"),
        ("debug-log --no-tail -n 3", "setting --no-tail and --lines not valid"),
        ("debug-log --tail --limit 3", "setting --tail and --limit not valid"),
        ("debug-log --limit 3 --lines 3", "setting --limit and --lines not valid"),
        ("debug-log --replay --lines 3", "setting --replay and --lines not valid"),
        ("debug-log --retry-delay -1s", "negative retry delay not valid"),
        ("debug-log --level odd", 'level value "odd" is not one of "TRACE, DEBUG, INFO, WARNING, ERROR"'),
        ("ssh", "no target name specified"),
        ("scp x", "at least two arguments required"),
        ("add-machine ssh:me@host", 'the lab makes its machines itself: "ssh:me@host" is not supported'),
        ("remove-machine x", 'invalid machine id "x"'),
        ("--cheese status", "option provided but not defined: --cheese"),
    ],
)  # fmt: skip
def test_wrong_command_lines(canned: juju_support.CannedController, run: Run, line: str, message: str) -> None:
    assert run(line) == (2, "", f"ERROR {message}\n")
    assert canned.calls == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("exec --unit pg/0 --operator ls", "only k8s models support the --operator flag"),
        ("deploy ./bundle.yaml", 'the lab does not deploy bundles: "./bundle.yaml" is one'),
        ("deploy ./nothing.charm", 'no charm was found at "./nothing.charm"'),
        ("deploy x --overlay y.yaml", "the lab does not deploy bundles: --overlay and --map-machines are for bundles"),
        (
            "debug-log --include-label http",
            "the lab's log has no labels: it takes neither --include-label nor --exclude-label",
        ),
        (
            "debug-log --exclude-label http",
            "the lab's log has no labels: it takes neither --include-label nor --exclude-label",
        ),
        ("deploy x --device gpu=1,nvidia.com/gpu", "the lab has no devices: --device is for Kubernetes"),
        ("deploy x --series noble", "the lab does not take --series, which Juju calls deprecated: use --base"),
        (
            "status --format summary",
            "the lab does not have --format summary: take one of tabular, json, yaml, short, line, oneline",
        ),
        ("deploy pg.charm", 'The charm or bundle "pg.charm" is ambiguous: prefix a path with "./"'),
        ("deploy a --config x --config y", "only a single config YAML file can be specified, got 2"),
        ("deploy a --config nothing.yaml", "open nothing.yaml: no such file or directory"),
        ("model-config agent-version=4.0", '"agent-version" must be set via "upgrade-model"'),
        ("offer pg:db", 'juju: "offer" is a juju command that the lab does not have. See "juju --help".'),
        ("model-defaults", 'juju: "model-defaults" is a juju command that the lab does not have. See "juju --help".'),
        ("statu", 'juju: "statu" is not a juju command. See "juju --help".\n\nDid you mean:\n\tstatus'),
        ("ssh nowhere!", 'target "nowhere!" is not a valid target: a unit, APPLICATION/leader or a machine number'),
    ],
)
def test_refusals(canned: juju_support.CannedController, run: Run, line: str, message: str) -> None:
    assert run(line) == (1, "", f"ERROR {message}\n")
    assert canned.calls == []


def test_what_the_controller_refuses(canned: juju_support.CannedController, run: Run) -> None:
    def refuse(**_: typing.Any) -> None:
        raise juju_support.Refusal("bad request", "cannot expose it")

    canned.answers["expose"] = refuse
    assert run("expose pg") == (1, "", "ERROR cannot expose it\n")


def test_no_controller(run: Run, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUJU_DATA", str(tmp_path / "juju"))
    result = run("expose pg -m x")
    assert result.status == 1
    assert result.err.startswith(f"ERROR cannot reach the controller at {tmp_path}/controller.socket")
    assert "lab up" in result.err


def test_without_juju_data_the_labs_settings_say_where_it_is(
    run: Run, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    canned = juju_support.CannedController(tmp_path / "other")
    canned.answers["expose"] = None
    monkeypatch.delenv("JUJU_DATA", raising=False)
    monkeypatch.setenv("LAB_STATE", str(tmp_path))
    monkeypatch.setenv("LAB_NAME", "other")
    assert run("expose pg -m x").status == 0
    canned.close()


def test_a_socket_deep_below(run: Run, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("long" * 30)
    deep.mkdir()
    monkeypatch.chdir(deep)
    canned = juju_support.CannedController(pathlib.Path())
    canned.answers["expose"] = None
    monkeypatch.setenv("JUJU_DATA", str(deep / "juju"))
    assert run("expose pg -m x").status == 0
    canned.close()
