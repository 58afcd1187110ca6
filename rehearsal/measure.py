"""Measure what docs/reference/performance.md tells: `python -m rehearsal.measure WHAT`, as `make measure-...` does."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence

import jubilant
import rich.console

from rehearsal import charms, cli, deployment, progress

BARE = pathlib.Path(__file__).parent / "bare_charm"
APPLICATION = "postgresql-machine"

UPDATE_STATUS_LIMITS = {3: 2.0, 5: 3.0, 9: 3.0}
"""By the number of units: at most so many times a bare charm's update-status takes one that finds nothing to do."""

# Both run in a unit's hook context, with the machine's own Python, and print a list of milliseconds.
_TOOL = """
import json, subprocess, sys, time
def call():
    begun = time.perf_counter()
    subprocess.run(sys.argv[2:], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begun) * 1000
print(json.dumps([call() for _ in range(int(sys.argv[1]))]))
"""
_DISPATCH = """
import json, os, subprocess, time
hook = {"JUJU_DISPATCH_PATH": "hooks/update-status", "JUJU_HOOK_NAME": "update-status"}
begun = time.perf_counter()
subprocess.run(["./dispatch"], check=True, stdout=subprocess.DEVNULL, env={**os.environ, **hook})
print(json.dumps([(time.perf_counter() - begun) * 1000]))
"""


@dataclasses.dataclass(frozen=True)
class Stage:
    """A lab that is up, and where progress is shown."""

    shown: progress.Progress
    console: rich.console.Console
    directory: pathlib.Path

    def say(self, text: str) -> None:
        """Print a result."""
        self.console.print(text, markup=False, soft_wrap=True)

    def judge(self, what: str, measured: float, limit: float) -> int:
        """Say whether a promise of docs/reference/performance.md is kept; return the exit status."""
        kept = measured <= limit
        self.say(f"{what}: {measured:.4g}, at most {limit:g} promised: {'kept' if kept else 'NOT KEPT'}")
        return 0 if kept else 1

    @contextlib.contextmanager
    def model(self, name: str) -> Iterator[jubilant.Juju]:
        """Have a model, and destroy it in the end."""
        juju = jubilant.Juju(model=name, wait_timeout=600)
        juju.add_model(name)
        try:
            yield juju
        finally:
            juju.destroy_model(name, destroy_storage=True, force=True)

    def charm(self) -> pathlib.Path:
        """Pack the tree's charm."""
        self.shown.begin("pack")
        packed = charms.pack(cli.TREE, charms.pinned(cli.TREE), self.directory)
        self.shown.end()
        return packed


def deploy(stage: Stage, repetitions: int) -> int:
    """Time `juju deploy -n 3` until all units are active, machines included."""
    charm = stage.charm()
    seconds: list[float] = []
    for repetition in range(repetitions):
        with stage.model(f"deploy-{repetition}") as juju:
            begun = time.monotonic()
            _deploy(juju, charm, APPLICATION, units=3)
            seconds.append(time.monotonic() - begun)
            stage.say(f"deploy {repetition + 1}: {seconds[-1]:.1f} s")
    return stage.judge(f"three machines to all active, s, median of {repetitions}", statistics.median(seconds), 60)


def refresh(stage: Stage, repetitions: int) -> int:
    """Rehearse again and again, each time in a fresh lab. What each has found stays in report/rehearsals."""
    gaps: list[float] = []
    lost = failures = 0
    for repetition in range(1, repetitions + 1):
        directory = cli.TREE / "report/rehearsals" / str(repetition)
        begun = time.monotonic()
        status, rows = _rehearse(directory)
        seconds = time.monotonic() - begun
        found = {row["step"]: row["longest_gap"] for row in rows if row["longest_gap"] is not None}
        gaps += found.values()
        lost += sum(row["lost"] or 0 for row in rows)
        failures += status != 0
        longest = max(found, key=found.__getitem__, default=None)
        told = f", longest gap {found[longest]:.2f} s ({longest})" if longest else ""
        stage.say(f"rehearsal {repetition}: {'failed' if status else 'passed'}, {seconds:.0f} s{told}")
    stage.say(f"{repetitions} rehearsals, {failures} failed, {lost} acknowledged writes lost")
    if failures or lost or not gaps:
        return 1
    stage.say(f"median of the steps' longest write gaps: {statistics.median(gaps):.2f} s")
    return stage.judge("longest write gap, s", max(gaps), 5)


def _rehearse(directory: pathlib.Path) -> tuple[int, list[dict[str, typing.Any]]]:
    """Rehearse once; the exit status, and what was found, also by one that failed: it may have lost writes."""
    found = directory / "rehearsal.json"
    found.unlink(missing_ok=True)  # that of an earlier run
    command = [sys.executable, "-m", "rehearsal", "--report", str(directory)]
    done = subprocess.run(command, cwd=cli.TREE, stdout=subprocess.DEVNULL, timeout=3600, check=False)
    return done.returncode, json.loads(found.read_text())["rows"] if found.exists() else []


def hook_tool(stage: Stage, repetitions: int) -> int:
    """Time calls of hook tools in a unit's context, and of `true` for what a process costs in itself."""
    with stage.model("hook-tool") as juju:
        _deploy(juju, _bare(stage), "bare", units=1)
        medians: list[float] = []
        for command in ["true", "is-leader --format=json", "config-get --format=json", "status-get --format=json"]:
            times = _run(juju, "bare/0", _TOOL, str(repetitions), *command.split())
            medians.append(statistics.median(times))
            stage.say(f"{command}: median {medians[-1]:.1f} ms, worst {max(times):.1f} ms of {len(times)}")
    return stage.judge("a hook tool call, ms, the slowest tool's median", max(medians), 15)


def update_status(stage: Stage, repetitions: int) -> int:
    """Time an update-status that finds nothing to do, in turn with a bare charm's on the same host, as units join."""
    status = 0
    with stage.model("update-status") as juju:
        _deploy(juju, _bare(stage), "bare", units=1)
        _deploy(juju, stage.charm(), APPLICATION, units=min(UPDATE_STATUS_LIMITS))
        for units, limit in UPDATE_STATUS_LIMITS.items():
            _grow(juju, APPLICATION, units=units)
            ratios: list[float] = []
            for unit, role in _looked_at(juju.status().apps[APPLICATION].units).items():
                pairs = _pairs(juju, unit, repetitions)
                own, bare = (statistics.median(times) for times in zip(*pairs, strict=True))
                ratios.append(statistics.median(one / other for one, other in pairs))
                stage.say(
                    f"update-status, {units} units ({role}): median {own:.0f} ms, bare charm {bare:.0f} ms, ratio"
                    f" {ratios[-1]:.2f} of {repetitions} pairs"
                )
            what = f"update-status of {units} units, times a bare charm's, on the slowest"
            status = max(status, stage.judge(what, max(ratios), limit))
    return status


def _looked_at(units: Mapping[str, jubilant.statustypes.UnitStatus]) -> dict[str, str]:
    """Units to measure, and what each is: leader and primary, which look after most, and the highest of the others."""
    told = {name: one.workload_status.message + (", leader" if one.leader else "") for name, one in units.items()}
    busy = [name for name, role in told.items() if "Primary" in role or "leader" in role]
    others = sorted((name for name in told if name not in busy), key=deployment.number)
    return {name: told[name] for name in [*busy, *others[-1:]]}


def _pairs(juju: jubilant.Juju, unit: str, repetitions: int) -> list[tuple[float, float]]:
    """Milliseconds of one unit's update-status, and of the bare charm's right after."""
    return [(_run(juju, unit, _DISPATCH)[0], _run(juju, "bare/0", _DISPATCH)[0]) for _ in range(repetitions)]


def _bare(stage: Stage) -> pathlib.Path:
    command = ["charmcraft", "pack", "--project-dir", str(BARE), "--output", str(stage.directory)]
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=900, check=True)  # found on PATH
    return next(stage.directory.glob("bare*.charm"))


def _deploy(juju: jubilant.Juju, charm: pathlib.Path, application: str, *, units: int) -> None:
    juju.deploy(charm.absolute(), application, num_units=units)
    _await_units(juju, application, units)


def _grow(juju: jubilant.Juju, application: str, *, units: int) -> None:
    """Add as many units as are missing."""
    missing = units - len(juju.status().apps[application].units)
    if missing:
        juju.add_unit(application, num_units=missing)
        _await_units(juju, application, units)


def _await_units(juju: jubilant.Juju, application: str, units: int) -> None:
    juju.wait(
        lambda status: (
            application in status.apps
            and len(status.apps[application].units) == units
            and jubilant.all_active(status, application)
            and jubilant.all_agents_idle(status, application)
        ),
        error=jubilant.any_error,
        delay=0.25,
        successes=1,
    )


def _run(juju: jubilant.Juju, unit: str, script: str, *arguments: str) -> list[float]:
    return json.loads(juju.exec("python3", "-c", script, *arguments, unit=unit, wait=300).stdout)


MEASUREMENTS: dict[str, tuple[Callable[[Stage, int], int], int]] = {
    "deploy": (deploy, 5),
    "refresh": (refresh, 20),
    "hook-tool": (hook_tool, 200),
    "update-status": (update_status, 20),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal.measure", description=__doc__)
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("--repetitions", type=int, help="how often; the default is what the documentation tells")
    options = parser.parse_args(arguments)
    measure, repetitions = MEASUREMENTS[options.what]
    repetitions = options.repetitions or repetitions
    os.environ.setdefault("LAB_NAME", "rehearsal")
    cli.use_lab_commands()
    # What is printed on standard output are figures; everything else is for those who watch.
    console = rich.console.Console(highlight=False)
    shown = progress.Progress(rich.console.Console(stderr=True, highlight=False), APPLICATION)
    with tempfile.TemporaryDirectory(prefix="rehearsal-measure-") as directory:
        stage = Stage(shown, console, pathlib.Path(directory))
        with contextlib.nullcontext() if measure is refresh else cli.lab(shown, keep=False):
            return measure(stage, repetitions)


if __name__ == "__main__":
    sys.exit(main())
