"""Command lines of `juju`: what they ask the controller for, and what they print where."""

from __future__ import annotations

import base64
import io
import pathlib
import sys
import typing

import juju_support
import pytest
import yaml

from lab.controller import core
from lab.juju import command, registry, version

Params = dict[str, typing.Any]
Run = juju_support.Run


DEPLOYED = {"application": "pg", "charm-name": "pg", "revision": 0, "origin": "local", "base": "ubuntu@24.04"}


# What reaches the controller


@pytest.mark.parametrize(
    ("line", "method", "params"),
    [
        ("add-unit pg", "add_unit", {"application": "pg", "num_units": 1, "attach_storage": [], "to": []}),
        ("add-unit -n 3 pg --to 1,2", "add_unit", {"num_units": 3, "to": ["1", "2"]}),
        ("add-unit pg --attach-storage data/0,logs/1", "add_unit", {"attach_storage": ["data/0", "logs/1"]}),
        ("remove-unit pg/1 --no-prompt --force --no-wait --destroy-storage", "remove_unit",
         {"unit": "pg/1", "force": True, "no_wait": True, "destroy_storage": True, "dry_run": False}),
        ("remove-unit pg/1 --dry-run", "remove_unit", {"dry_run": True}),
        ("remove-application pg --no-prompt", "remove_application",
         {"application": "pg", "destroy_storage": False, "force": False}),
        ("integrate pg:db app", "integrate", {"endpoints": ["pg:db", "app"]}),
        ("relate pg app", "integrate", {"endpoints": ["pg", "app"]}),
        ("remove-relation pg app:db", "remove_relation", {"endpoints": ["pg", "app:db"], "force": False}),
        ("remove-relation 7 --force", "remove_relation", {"relation": 7, "force": True}),
        ("config pg a=1 b=x=y", "set_config", {"application": "pg", "config": {"a": "1", "b": "x=y"}}),
        ("config pg --reset a,b --reset c", "reset_config", {"keys": ["a", "b", "c"]}),
        ("trust pg", "trust", {"application": "pg", "remove": False}),
        ("trust pg --remove", "trust", {"remove": True}),
        ("expose pg", "expose", {"application": "pg"}),
        ("unexpose pg", "unexpose", {"application": "pg"}),
        ("resolved pg/0 pg/1", "resolved", {"units": ["pg/0", "pg/1"], "all": False, "no_retry": False}),
        ("resolve --no-retry --all", "resolved", {"units": [], "all": True, "no_retry": True}),
        ("grant-secret mine pg,app", "grant_secret", {"secret": "mine", "applications": ["pg", "app"]}),
        ("revoke-secret mine pg", "revoke_secret", {"secret": "mine", "applications": ["pg"]}),
        ("remove-secret mine", "remove_secret", {"secret": "mine", "revision": None}),
        ("remove-secret mine --revision 2", "remove_secret", {"revision": 2}),
        ("update-secret mine --info text --name theirs --auto-prune", "update_secret",
         {"secret": "mine", "content": None, "description": "text", "name": "theirs", "auto_prune": True}),
        ("attach-storage pg/0 data/1", "attach_storage", {"unit": "pg/0", "storage": "data/1"}),
        ("detach-storage data/1 --force", "detach_storage", {"storage": "data/1", "force": True}),
        ("remove-storage data/1", "remove_storage", {"storage": "data/1", "force": False, "destroy": True}),
        ("remove-storage data/1 --no-destroy --force", "remove_storage", {"force": True, "destroy": False}),
        ("remove-machine 1 --no-prompt --force", "remove_machine", {"machine": "1", "force": True}),
        ("set-model-constraints mem=4G cores=2", "set_model_constraints", {"constraints": "mem=4G cores=2"}),
    ],
)  # fmt: skip
def test_requests(canned: juju_support.CannedController, run: Run, line: str, method: str, params: Params) -> None:
    canned.answers[method] = None
    result = run(line)
    assert (result.status, canned.params(method)["model"]) == (0, "prod")
    assert {key: canned.params(method)[key] for key in params} == params


def test_the_model_comes_from_the_option_first(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["expose"] = None
    for line in ("expose -m other pg", "expose pg --model=lab:admin/other", "expose pg -mother"):
        canned.calls.clear()
        assert run(line).status == 0
        assert canned.params("expose")["model"] == "other"


def test_deploy(canned: juju_support.CannedController, run: Run, tmp_path: pathlib.Path) -> None:
    canned.answers["deploy"] = DEPLOYED
    (tmp_path / "pg.charm").write_bytes(b"")
    (tmp_path / "tuning.conf").write_text("x")
    (tmp_path / "password").write_text("from a file")
    (tmp_path / "config.yaml").write_text("pg: {profile: testing}")
    result = run(
        "deploy ./pg.charm pg -n 3 --config config.yaml --config profile=production --config secret=@password "
        "--storage data=lab,2G,1 --storage logs=512M --resource tuning=tuning.conf --resource other=5 --trust "
        "--base ubuntu@24.04 --constraints mem=4G --constraints cores=2"
    )
    assert result == (
        0,
        "",
        'Located local charm "pg", revision 0\n'
        'Deploying "pg" from local charm "pg", revision 0 on ubuntu@24.04/stable\n',
    )
    assert canned.params("deploy") == {
        "model": "prod",
        "charm": str(tmp_path / "pg.charm"),
        "application": "pg",
        "num_units": 3,
        "config": {"profile": "production", "secret": "from a file"},
        "config_yaml": "pg: {profile: testing}",
        "storage": {"data": {"pool": "lab", "size": 2048, "count": 1}, "logs": {"size": 512}},
        "attach_storage": [],
        "resources": {"tuning": str(tmp_path / "tuning.conf"), "other": 5},
        "trust": True,
        "base": "ubuntu@24.04",
        "constraints": "mem=4G cores=2",
        "to": [],
        "channel": None,
        "revision": None,
        "force": False,
    }


def test_deploy_from_charmhub(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["deploy"] = DEPLOYED | {"origin": "charmhub", "revision": 25, "channel": "16/stable"}
    result = run("deploy pg --channel 16/stable --revision 25 --attach-storage data/0")
    assert result.err == (
        'Deployed "pg" from charm-hub charm "pg", revision 25 in channel 16/stable on ubuntu@24.04/stable\n'
    )
    params = canned.params("deploy")
    assert (params["charm"], params["application"], params["channel"], params["revision"]) == (
        "pg",
        None,
        "16/stable",
        25,
    )
    assert params["attach_storage"] == ["data/0"]


REFRESHED = {"charm-name": "pg", "revision": 1, "origin": "local"}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (REFRESHED, 'Added local charm "pg", revision 1, to the model\n'),
        (REFRESHED | {"origin": "charmhub", "channel": "14/stable"},
         'Added charm-hub charm "pg", revision 1 in channel 14/stable, to the model\n'),
        (REFRESHED | {"up-to-date": True}, 'charm "pg": already up-to-date\n'),
        (REFRESHED | {"up-to-date": True, "channel-changed": True, "channel": "edge"},
         'charm "pg": already up-to-date\nNote: all future refreshes will now use channel "edge"\n'),
    ],
)  # fmt: skip
def test_refresh_tells_what_came_of_it(
    canned: juju_support.CannedController, run: Run, answer: Params, told: str
) -> None:
    canned.answers["refresh"] = answer
    assert run("refresh pg --path ./x.charm") == (0, "", told)


def test_refresh(canned: juju_support.CannedController, run: Run, tmp_path: pathlib.Path) -> None:
    canned.answers["refresh"] = REFRESHED
    run("refresh pg --path ./x.charm --force-units --config a=1 --storage data=1G --trust=false")
    params = canned.params("refresh")
    assert params["path"] == str(tmp_path / "x.charm")
    assert (params["force_units"], params["trust"], params["config"]) == (True, False, {"a": "1"})
    assert params["storage"] == {"data": {"size": 1024}}
    assert (params["switch"], params["channel"], params["revision"]) == (None, None, None)


def test_secrets_content(canned: juju_support.CannedController, run: Run, tmp_path: pathlib.Path) -> None:
    canned.answers["add_secret"] = "secret:d4f0e2mr0ui3e8a215n4"
    (tmp_path / "binary").write_bytes(b"\xff\x00")
    (tmp_path / "content.yaml").write_text("user: admin\npassword: old\n")
    result = run(
        "add-secret mine --info text --file content.yaml password=new key#file=binary done#base64=AA==",
    )
    assert result == (0, "secret:d4f0e2mr0ui3e8a215n4\n", "")
    decoded = {key: base64.b64decode(value) for key, value in canned.params("add_secret")["content"].items()}
    assert decoded == {"user": b"admin", "password": b"new", "key": b"\xff\x00", "done": b"\0"}
    assert canned.params("add_secret")["description"] == "text"


def test_storage_is_added_by_directive(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["add_storage"] = ["data/4", "data/5"]
    assert run("add-storage pg/0 data=lab,2").err == "added storage data/4 to pg/0\nadded storage data/5 to pg/0\n"
    assert canned.params("add_storage") == {
        "model": "prod",
        "unit": "pg/0",
        "storage": "data",
        "pool": "lab",
        "count": 2,
    }


def test_machines_are_added(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["add_machine"] = ["3", "4"]
    result = run("add-machine -n 2 --base ubuntu@24.04 --constraints mem=4G --constraints cores=2")
    assert result == (0, "", "created machine 3\ncreated machine 4\n")
    wanted = {"model": "prod", "count": 2, "base": "ubuntu@24.04", "constraints": "mem=4G cores=2"}
    assert canned.params("add_machine") == wanted


@pytest.mark.parametrize("line", ["attach-resource pg tuning=./tuning.conf", "attach pg tuning=tuning.conf"])
def test_a_file_becomes_a_resource(
    canned: juju_support.CannedController, run: Run, tmp_path: pathlib.Path, line: str
) -> None:
    canned.answers["attach_resource"] = None
    (tmp_path / "tuning.conf").write_text("x")
    assert run(line) == (0, "", "")
    wanted = {"model": "prod", "application": "pg", "resource": "tuning", "path": str(tmp_path / "tuning.conf")}
    assert canned.params("attach_resource") == wanted


def test_config_is_shown(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["get_config"] = {
        "application": "pg",
        "charm": "pg",
        "application-config": {"trust": {"value": True, "type": "bool", "source": "user"}},
        "settings": {"profile": {"value": "testing", "type": "string"}, "empty": {"type": "string"}},
    }
    assert run("config pg profile").out == "testing\n"
    assert run("config pg trust").out == "true\n"
    assert run("config pg empty").out == "\n"
    assert list(yaml.safe_load(run("config pg").out)) == ["application", "application-config", "charm", "settings"]
    assert run("config pg nothing") == (
        1, "", 'ERROR key "nothing" not found in "pg" application config or charm settings.\n'
    )  # fmt: skip


def test_config_from_standard_input(
    canned: juju_support.CannedController, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    canned.answers["set_config"] = None
    monkeypatch.setattr(sys, "stdin", io.StringIO("pg: {profile: testing}"))
    assert run("config pg --file -").status == 0
    assert canned.params("set_config")["config_yaml"] == "pg: {profile: testing}"


MODEL_CONFIG = {
    "name": {"value": "prod", "source": "model"},
    "development": {"value": False, "source": "default"},
    "update-status-hook-interval": {"value": "5m", "source": "default"},
}


def test_config_from_a_file_is_overridden_by_what_is_typed(
    canned: juju_support.CannedController, run: Run, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "settings.yaml").write_text("pg: {a: 1, b: 2}\n")
    canned.answers |= {"set_config": None, "reset_config": None}
    assert run("config pg --reset b,c, a=x=y --file settings.yaml") == (0, "", "")
    assert [
        (method, {key: params[key] for key in params if key not in ("model", "application")})
        for method, params in canned.calls
    ] == [
        ("set_config", {"config_yaml": "pg: {a: 1, b: 2}\n"}),
        ("reset_config", {"keys": ["b", "c"]}),
        ("set_config", {"config": {"a": "x=y"}}),
    ]


def test_model_config(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers |= {"model_config": MODEL_CONFIG, "set_model_config": None}
    assert run("model-config").out == (
        "Attribute                    From     Value\n"
        "development                  default  false\n"
        "update-status-hook-interval  default  5m\n"
    )
    assert run("model-config development").out == "False\n"
    assert run("model-config development --format json").out == ('{"development":{"Value":false,"Source":"default"}}\n')
    assert run("model-config update-status-hook-interval=10s odd=1 --reset development").err == (
        'WARNING key "odd" is not defined in the current model configuration: possible misspelling\n'
    )
    assert canned.params("set_model_config") == {
        "model": "prod",
        "values": {"update-status-hook-interval": "10s", "odd": "1"},
        "reset": ["development"],
    }
    assert run("model-config nothing") == (
        1, "", 'ERROR "nothing" is not a key of the currently targeted model: "prod"\n'
    )  # fmt: skip


# Models


def test_switch_and_the_current_model(
    canned: juju_support.CannedController, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUJU_MODEL")
    known = {name: {"short-name": name, "model-uuid": f"uuid-{name}", "owner": "admin"} for name in ("one", "two")}
    canned.answers |= {
        "models": list(known.values()),
        "show_model": lambda model: known[model],
        "add_model": {"short-name": "two"},
        "expose": None,
    }
    assert run("expose pg").err.startswith("ERROR No selected model.\n")
    assert run("switch one").err == "lab -> lab:admin/one\n"
    assert run("switch").out == "lab:admin/one\n"
    run("expose pg")
    assert canned.params("expose")["model"] == "one"
    assert run("add-model two").err == "Added 'two' model on lab/default for user 'admin'\n"
    assert run("switch").out == "lab:admin/two\n"
    assert run("switch -").err == "lab:admin/two -> lab:admin/one\n"
    assert run("switch lab:admin/one").err == "lab:admin/one (no change)\n"
    assert run("add-model two --no-switch").status == 0
    assert run("whoami").out == "Controller:  lab\nModel:       one\nUser:        admin\n"


def test_models_yaml_is_in_the_form_of_jujus_client(
    canned: juju_support.CannedController, run: Run, tmp_path: pathlib.Path
) -> None:
    canned.answers |= {"models": [{"short-name": "one", "model-uuid": "uuid-1"}], "add_model": {}}
    run("add-model one --config update-status-hook-interval=1m")
    assert canned.params("add_model") == {"name": "one", "config": {"update-status-hook-interval": "1m"}}
    assert yaml.safe_load((tmp_path / "juju/models.yaml").read_text()) == {
        "controllers": {
            "lab": {"models": {"admin/one": {"uuid": "uuid-1", "type": "iaas"}}, "current-model": "admin/one"}
        }
    }


# Help and the rest


@pytest.mark.parametrize("name", registry.names())
def test_every_command_explains_itself(run: Run, name: str, tmp_path: pathlib.Path) -> None:
    found = registry.find(name)
    assert found is not None
    for line in (f"help {name}", f"{name} --help", f"--help {name}"):
        text = run(line).out
        assert text.startswith(f"Usage: juju {name} [options]")
        assert found.purpose in text
    assert all(flag.usage for flag in found.own_flags)
    assert found.detail


def test_registry_is_consistent() -> None:
    for name in registry.names():
        found = registry.find(name)
        assert found is not None
        assert found.name == name
        assert all(registry.ALIASES[alias] == name for alias in found.aliases), name
    assert not registry.UNSUPPORTED & {*registry.names(), *registry.ALIASES}
    assert len(command.COMMANDS) == len(registry.names())


def test_help_of_commands(run: Run) -> None:
    lines = run("help commands").out.splitlines()
    assert [line.split()[0] for line in lines] == sorted([*registry.names(), *registry.ALIASES])
    assert run("help nothing").out == 'ERROR juju: "nothing" is not a juju command. See "juju --help".\n'
    assert run("").out == run("--help").out == run("help").out


def test_version(run: Run) -> None:
    assert version.JUJU_VERSION == core.JUJU_VERSION
    assert run("version").out.startswith("3.6.")
    assert run("--version").out == run("version").out
    assert run("version --format json").out == f'"{run("version").out.strip()}"\n'


def test_output_goes_to_a_file(canned: juju_support.CannedController, run: Run, tmp_path: pathlib.Path) -> None:
    assert run("version --format json -o v.json") == (0, "", "")
    assert (tmp_path / "v.json").read_text().startswith('"3.6.')


def test_quiet(canned: juju_support.CannedController, run: Run) -> None:
    canned.answers["deploy"] = DEPLOYED
    assert run("deploy --quiet pg") == (0, "", "")
    assert run("--quiet deploy pg") == (0, "", "")
