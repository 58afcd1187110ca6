"""Break the charm on purpose, one fault at a time, and see that the integration tests tell which.

`python tests/integration/faults.py CHARM [NAME...]` runs, wherever the `juju` command leads, the tests that are to fail
against a copy of the packed charm with the fault in it. It fails itself where a test passes, or fails without the words
that tell the fault, and where a fault does not fit the charm any more. What was found is in
docs/development/integration.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence

import charm_versions

HERE = pathlib.Path(__file__).parent
PLUGINS = ["-p", "asyncio", "-p", "pytest-operator", "--asyncio-mode=auto", "--destructive-mode", "--crash-dump=never"]
TIMEOUT = 3600.0
"""Seconds that the tests of one fault may take."""


@dataclasses.dataclass(frozen=True)
class Edit:
    """One change of a file of the charm."""

    file: str
    old: str
    """What is replaced; it is there once."""
    new: str


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is broken, and how that is to be told."""

    name: str
    edits: Sequence[Edit]
    tests: Sequence[str]
    """The tests to run, in order; the last one has to fail, and no other."""
    told: str
    """A regular expression that the report of the failure has in it."""


PATH = "test_refresh_path.py"
FAULTS = [
    Fault(
        "the snap is refreshed to another revision than the charm pins",
        [
            Edit(
                "src/workload/snap.py", "self._ensure(revision)\n\n    def hold", "self._ensure('366')\n\n    def hold"
            ),
        ],
        [f"{PATH}::test_a_refresh_pauses_after_the_first_unit_and_is_rolled_back"],
        r"has revision 366 of the snap, \d+ was to come",
    ),
    Fault(
        "the primary is not handed over before its unit refreshes",
        [
            Edit(
                "src/planner.py",
                "    if primary is None or following is None or known.number_of(primary) != following:\n",
                "    if True:\n",
            ),
            Edit(
                "src/graceful_stop.py",
                "    if known.is_primary and any(member.is_running for member in others):\n",
                "    if False:\n",
            ),
        ],
        [f"{PATH}::test_a_refresh_is_confirmed_and_completes"],
        r"was stopped for its refresh while it was the primary",
    ),
    Fault(
        "the option to pause is ignored",
        [
            Edit(
                "src/refresh.py",
                "        super()._start_refresh()\n",
                '        super()._start_refresh()\n        self._pause_after = type(self._pause_after)("none")\n',
            ),
        ],
        [f"{PATH}::test_a_refresh_pauses_after_the_first_unit_and_is_rolled_back"],
        r"was refreshed to revision \d+ of the snap though nobody has confirmed it",
    ),
    Fault(
        "a password is in a databag",
        [
            Edit(
                "src/peers.py",
                '        self.record("system-users-secret", str(secret.id))\n',
                '        self.record("system-users-secret", str(secret.id))\n'
                '        self.record("password", content["operator-password"])\n',
            ),
        ],
        ["test_operations.py::test_the_passwords_are_a_secret_of_the_application"],
        r"\['operator-password'\] == \[\]",
    ),
    Fault(
        "a unit that leaves stays a member of Raft",
        [
            Edit(
                "src/leaving.py",
                "    if known.machine.address is None or known.passwords is None:\n",
                "    if True:\n",
            ),
            Edit("src/membership.py", "    return Remove(dead[0]) if dead else None\n", "    return None\n"),
        ],
        ["test_units.py::test_one_unit_becomes_three", "test_units.py::test_one_unit_is_left_and_becomes_three_again"],
        r"No majority: 1 of 3 members reachable",
    ),
]


def broken(charm: pathlib.Path, fault: Fault, directory: pathlib.Path) -> pathlib.Path:
    """Write a copy of the packed charm with the fault into `directory`; return its file.

    Raises:
        ValueError: What is to be replaced is not there exactly once.
    """
    target = directory / charm.name
    with zipfile.ZipFile(charm) as source:
        changed: dict[str, str] = {}
        for edit in fault.edits:
            if edit.file not in source.namelist():
                raise ValueError(f"{fault.name}: there is no {edit.file}")
            text = changed.get(edit.file) or source.read(edit.file).decode()
            if text.count(edit.old) != 1:
                raise ValueError(f"{fault.name}: {edit.file} has {text.count(edit.old)} times, not once:\n{edit.old}")
            changed[edit.file] = text.replace(edit.old, edit.new)
        charm_versions.replace(source, changed, target)
    return target


def judge(fault: Fault, status: int, report: str) -> str:
    """Return what the tests told of a fault.

    Raises:
        AssertionError: They passed, another one failed, or the failure does not tell the fault.
    """
    failed = re.findall(r"^(?:FAILED|ERROR) \S*?(\w+\.py::\w+)", report, re.MULTILINE)
    if status != 1 or failed != [fault.tests[-1]]:
        raise AssertionError(f"{fault.name}: {fault.tests[-1]} is to fail, alone; status {status}, failed: {failed}")
    told = re.search(rf"^E .*?({fault.told}).*$", report, re.MULTILINE)
    if told is None:
        raise AssertionError(f"{fault.name}: the failure does not tell it: {fault.told}")
    return told[0].removeprefix("E").strip()


def run(charm: pathlib.Path, fault: Fault) -> str:
    """Run a fault's tests and return what they told. Raises as `broken` and `judge` do, and TimeoutExpired."""
    with tempfile.TemporaryDirectory(prefix="integration-fault-") as directory:
        tests = [str(HERE / test) for test in fault.tests]
        completed = subprocess.run(
            [sys.executable, "-m", "pytest", *PLUGINS, "--tb=short", *tests],
            env=os.environ | {"CHARM_PATH": str(broken(charm, fault, pathlib.Path(directory)))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    try:
        return judge(fault, completed.returncode, completed.stdout)
    except AssertionError:
        print(completed.stdout)
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("charm", type=pathlib.Path, help="a packed charm")
    parser.add_argument("names", nargs="*", metavar="NAME", help="part of a fault's name; default: all faults")
    options = parser.parse_args(arguments)
    chosen = [fault for fault in FAULTS if not options.names or any(name in fault.name for name in options.names)]
    if not chosen:
        parser.error("no fault has that in its name; they are:\n" + "\n".join(fault.name for fault in FAULTS))
    unnoticed = 0
    for fault in chosen:
        begun = time.monotonic()
        try:
            told = run(options.charm.resolve(), fault)
        except ValueError as error:
            unnoticed += 1
            told = f"NOT APPLIED: {error}"
        except (AssertionError, subprocess.TimeoutExpired) as error:
            unnoticed += 1
            told = f"NOT TOLD: {error}"
        print(f"{fault.name}\n    {told}\n    {time.monotonic() - begun:.0f} s", flush=True)
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
