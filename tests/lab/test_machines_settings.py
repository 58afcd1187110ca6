from __future__ import annotations

import pathlib
import sys

import pytest

from lab import settings


def test_defaults_follow_the_base_directory_specification():
    loaded = settings.load({"HOME": "/home/someone"})
    assert loaded.name == "lab"
    assert loaded.state == pathlib.Path("/home/someone/.local/state/charm-lab/lab")
    assert loaded.cache == pathlib.Path("/home/someone/.cache/charm-lab")
    assert loaded.controller_command == (sys.executable, "-m", "lab.controller")
    moved = settings.load({"HOME": "/h", "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "relative is ignored"})
    assert (moved.state, moved.cache) == (pathlib.Path("/s/charm-lab/lab"), pathlib.Path("/h/.cache/charm-lab"))


def test_each_variable_is_heard():
    environ = {
        "LAB_NAME": "other",
        "LAB_STATE": "/state",
        "LAB_CACHE": "/cache",
        "LAB_MIRROR": "http://mirror.example/debian",
        "LAB_SUITE": "forky",
        "LAB_CONTROLLER_COMMAND": "run 'two words'",
    }
    loaded = settings.load(environ)
    assert loaded == settings.Settings(
        "other",
        pathlib.Path("/state/other"),
        pathlib.Path("/cache"),
        "http://mirror.example/debian",
        "forky",
        ("run", "two words"),
    )
    assert loaded.environment() == environ


def test_settings_survive_the_way_into_another_process():
    for environ in ({"HOME": "/h"}, {"HOME": "/h", "LAB_CONTROLLER_COMMAND": ""}, {"HOME": "/h", "LAB_NAME": "x"}):
        loaded = settings.load(environ)
        assert settings.load(loaded.environment()) == loaded


def test_an_empty_controller_command_means_none():
    assert settings.load({"HOME": "/h", "LAB_CONTROLLER_COMMAND": ""}).controller_command == ()


@pytest.mark.parametrize("name", ["Upper", "1st", "a/b", "..", "a" * 32, "a b"])
def test_a_name_that_cannot_be_one_is_refused(name):
    with pytest.raises(settings.SettingsError, match="LAB_NAME"):
        settings.load({"HOME": "/h", "LAB_NAME": name})


@pytest.mark.parametrize("variable", ["LAB_STATE", "LAB_CACHE"])
def test_a_directory_that_mount_options_cannot_name_is_refused(variable):
    for character in ",:\\":
        with pytest.raises(settings.SettingsError, match=variable):
            settings.load({"HOME": "/h", variable: f"/some{character}where"})
