"""Refresh again and again under load, and measure: `python -m rehearsal.bench`, as `make bench` does.

Before each refresh the primary is moved twice without one, which gives the floor on the same machines: its service is
stopped, and Patroni's own switchover brings it to the unit where the refresh is to find it, each in turn.

charm-refresh refuses to go back once a refresh is complete. So the charm's version rises each time, the pinned snap
alternates between the earlier workload's and the present one's, and all charms call the workload by one version.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import jubilant
import rich.console

from rehearsal import (
    charms,
    cli,
    deployment,
    environment,
    events,
    figures,
    history,
    load,
    operate,
    progress,
    rehearse,
    report,
    timeline,
)

CALM_SECONDS = 3.0
"""How long all must be well before something is measured."""
NAME = "bench"


class Bench:
    """Measures one application."""

    def __init__(self, operator: operate.Operator, client: load.Load, shown: progress.Progress) -> None:
        """Measure what `operator` operates, as `client` sees it."""
        self._operator = operator
        self._application = operator.application
        self._client = client
        self._shown = shown
        self.units = list(operator.hosts)
        self._groups = {unit: self._application.agent_group(unit) for unit in self.units}
        self.windows: list[tuple[float, float]] = []
        """The times of the refreshes, on the monotonic clock."""
        self.figures = figures.Figures(len(self.units), [], [], [], [])

    def floor(self, target: str) -> None:
        """Change the primary without a refresh: by a stop of its service, then by a switchover to `target`.

        Raises:
            TimeoutError: The cluster does not come back.
            RuntimeError: There is no primary, although all was well.
        """
        if len(self.units) == 1:
            return
        self.figures.stops.append(self._change("stop the primary", self._stop))
        if self._primary() == target:
            other = next(unit for unit in self.units if unit != target)
            self._switch_over(other)
        self._switch_over(target)

    def _switch_over(self, target: str) -> None:
        def move(primary: str) -> None:
            self._application.switch_over(primary, target)

        self.figures.switchovers.append(self._change("bare switchover", move))

    def _stop(self, primary: str) -> None:
        # The charm starts it again; snapd would refuse a second one who asks for that in the same moment.
        self._application.service(primary, "stop")

    def _change(self, name: str, move: Callable[[str], None]) -> figures.Floor:
        old = self._primary_of_calm()
        self._shown.begin(f"{name}, from {old}")
        begun = time.monotonic()
        move(old)
        self._await(lambda: self._primary() not in (None, old))
        self.calm()
        new = self._primary_of_calm()
        gap = self._client.history.longest_gap(begun, time.monotonic()) or 0.0
        self._shown.say(f"{gap:.2f} s without a write, {old} to {new}")
        self._shown.end()
        return figures.Floor(gap, old, new)

    def refresh(self, charm: operate.Charm) -> None:
        """Refresh to that charm and measure it.

        Raises:
            TimeoutError: It is not done in time.
            RuntimeError: There is no primary, although all was well.
            deployment.UnitError: A unit is in error.
        """
        primary = self._primary_of_calm()
        processor = self._processor_seconds()
        self._shown.begin(f"refresh to {charm.version.charm}, revision {charm.version.revision}, from {primary}")
        begun, began = time.monotonic(), time.time()
        step = report.Step(charm.version.charm, begun, 0.0, written=True)
        ended = self._operator.refresh(step, charm)
        processor = self._processor_seconds() - processor
        self._shown.end()
        self.calm()
        recorded = self._client.history
        ran = [run for run in events.runs(self._application.log()) if began <= run.start <= began + ended - begun]
        self.windows.append((begun, ended))
        self.figures.refreshes.append(
            figures.Refresh(
                version=charm.version.charm,
                revision=charm.version.revision,
                primary=primary,
                seconds=ended - begun,
                unit_seconds=self._per_endpoint(lambda endpoint: _down(endpoint, begun, ended)),
                gaps=[later - earlier for earlier, later in recorded.gaps(begun, ended, timeline.LEAST_GAP)],
                gap=recorded.longest_gap(begun, ended) or 0.0,
                noticed=figures.noticed(recorded, begun, ended),
                read_gaps=self._per_endpoint(lambda endpoint: endpoint.longest_gap(begun, ended) or 0.0),
                switchovers=recorded.switchovers(begun, ended),
                expected_switchovers=expected_switchovers(primary, self.units),
                hook_processor_seconds=processor,
                hook_tools=sum(run.tools for run in ran),
                hooks=len(ran),
            )
        )

    def _per_endpoint(self, measure: Callable[[history.Endpoint], float]) -> dict[str, float]:
        endpoints = self._client.history.endpoints
        return {unit: measure(endpoints[host]) for unit, host in self._operator.hosts.items() if host in endpoints}

    def _processor_seconds(self) -> float:
        return sum(self._application.processor_seconds(unit, group) for unit, group in self._groups.items())

    def _primary_of_calm(self) -> str:
        primary = self._primary()
        if primary is None:
            raise RuntimeError("all was well, and there is no primary")
        return primary

    def _primary(self) -> str | None:
        """Return the only unit that takes writes now."""
        endpoints = self._client.history.endpoints
        primaries = [
            unit
            for unit, host in self._operator.hosts.items()
            if host in endpoints and endpoints[host].state is history.State.PRIMARY
        ]
        return primaries[0] if len(primaries) == 1 else None

    def calm(self) -> None:
        """Wait until all is well, and has been for a while.

        Raises:
            TimeoutError: It does not become so.
        """
        since: list[float] = []

        def well() -> bool:
            if not self._well():
                since.clear()
                return False
            since.append(time.monotonic())
            return since[-1] - since[0] >= CALM_SECONDS

        self._await(well)

    def _well(self) -> bool:
        status = self._operator.look()
        application = self._application.application
        if not deployment.healthy(status, application) or not self._primary():
            return False
        units = status.apps[application].units.values()
        standbys = sum(unit.workload_status.message.startswith("Synchronous standby") for unit in units)
        states = [endpoint.state for endpoint in self._client.history.endpoints.values()]
        return history.State.DOWN not in states and standbys == len(self.units) - 1

    def _await(self, ready: Callable[[], bool]) -> None:
        limit = time.monotonic() + self._operator.patience
        while not ready():
            if time.monotonic() > limit:
                raise TimeoutError(f"not done after {self._operator.patience:g} s")
            time.sleep(operate.POLL / 4)


def expected_switchovers(primary: str, units: Sequence[str]) -> int:
    """Return how often the primary has to move in a refresh: once, and twice from the highest unit, which is first."""
    if len(units) == 1:
        return 0
    return 2 if primary == max(units, key=deployment.number) else 1


def _down(endpoint: history.Endpoint, start: float, end: float) -> float:
    return sum(
        min(span.end, end) - max(span.start, start)
        for span in endpoint.spans(start, end)
        if span.state is history.State.DOWN
    )


def versions(tree: pathlib.Path) -> Iterator[charms.Version]:
    """Return charm versions without end: rising, with the two workloads' snaps in turn."""
    present = charms.pinned(tree)
    track = present.charm.partition("/")[0]
    for number in itertools.count():
        revisions = (charms.EARLIER if number % 2 == 0 else present).revisions
        yield charms.Version(f"{track}/1.{number}.0", present.workload, revisions)


def run(shown: progress.Progress, options: argparse.Namespace) -> figures.Figures:
    """Measure in a lab of its own; what failed on the way is among the figures' problems.

    Raises:
        subprocess.CalledProcessError: Packing failed, or the lab does not start.
        jubilant.CLIError: The model cannot be made.
    """
    directory: pathlib.Path = options.report / "charms"
    coming = versions(cli.TREE)
    first = next(coming)
    shown.begin("pack")
    packed = charms.pack(cli.TREE, first, directory)
    shown.end()
    with contextlib.ExitStack() as stack:
        stack.enter_context(cli.lab(shown, keep=options.keep))
        juju = jubilant.Juju(model=NAME)
        juju.add_model(NAME)
        application = deployment.Deployment(juju, options.application)
        operator = operate.Operator(application, shown, units=options.units, patience=options.patience)
        application.log_hooks()
        shown.begin("deploy")
        operator.deploy(report.Step("deploy", time.monotonic(), 0.0), operate.Charm(packed, first))
        application.never_pause()
        shown.end()
        client = stack.enter_context(cli.client(application, options.report))
        client.start()
        client.start_reading()
        stack.callback(client.stop)
        operator.attach(client)
        bench = Bench(operator, client, shown)
        bench.figures.environment = environment.describe(cli.TREE)
        following = itertools.islice(coming, options.count)
        variants = (operate.Charm(charms.variant(packed, version, directory), version) for version in following)
        try:
            measure(bench, variants, options.report)
        except (*rehearse.FAILURES, OSError) as error:
            bench.figures.problems.append(rehearse.text(error))
            cli.diagnose(juju, options.report)
        conclude(bench, client)
        _keep_log(application, bench.figures, options.report)
        save(bench.figures, options.report)
    return bench.figures


def _keep_log(application: deployment.Deployment, found: figures.Figures, directory: pathlib.Path) -> None:
    try:
        (directory / "debug.json").write_text(json.dumps(application.log(), indent=0))
    except (*rehearse.FAILURES, OSError) as error:
        found.problems.append(f"Juju's log: {rehearse.text(error)}")


def save(found: figures.Figures, directory: pathlib.Path) -> None:
    """Write bench.json: whole, or as it was."""
    file = directory / "bench.json"
    aside = file.with_suffix(".new")
    aside.write_text(json.dumps(figures.document(found), indent=2) + "\n")
    aside.replace(file)


def measure(bench: Bench, coming: Iterable[operate.Charm], directory: pathlib.Path) -> None:
    """Refresh to one after the other, from each unit in turn; what was found so far is on disk after each."""
    bench.calm()
    for charm, primary in zip(coming, itertools.cycle(bench.units), strict=False):
        bench.floor(primary)
        bench.refresh(charm)
        save(bench.figures, directory)


def conclude(bench: Bench, client: load.Load) -> None:
    """Read everything back, and count what each refresh has lost. Where that fails, it is among the problems."""
    try:
        client.stop()
        _count_lost(bench, client)
    except (*rehearse.FAILURES, OSError, ValueError) as error:
        bench.figures.problems.append(f"read back: {rehearse.text(error)}")


def _count_lost(bench: Bench, client: load.Load) -> None:
    copies = client.read_back()
    result = report.conclude([], client.history, copies)
    bench.figures.problems += result.problems
    for refresh, (begun, ended) in zip(bench.figures.refreshes, bench.windows, strict=True):
        lost = report.lost(client.history, copies)
        refresh.lost = sum(write.sequence in lost for write in client.history.acknowledged(begun, ended))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0 only if nothing failed, and all aims are met."""
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.setdefault("LAB_NAME", "rehearsal")
    console = cli.console()
    cli.use_lab_commands()
    options.report.mkdir(parents=True, exist_ok=True)
    with progress.Progress(console, options.application) as shown:
        try:
            found = run(shown, options)
        except (*rehearse.FAILURES, OSError) as error:
            shown.say(rehearse.text(error))
            return 1
    return tell(found, console)


def tell(found: figures.Figures, console: rich.console.Console) -> int:
    """Print everything; return the exit status."""
    console.print(figures.table(found))
    console.print(figures.totals(found))
    problems = [*found.problems, *figures.unmet(found)]
    for problem in problems:
        console.print(f"- {problem}", markup=False)
    return 1 if problems else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m rehearsal.bench", description=__doc__)
    parser.add_argument("--count", type=int, default=20, help="refreshes (default: %(default)s)")
    cli.add_arguments(parser)
    options = parser.parse_args(arguments)
    cli.check(parser, options)
    return options


if __name__ == "__main__":
    sys.exit(main())
