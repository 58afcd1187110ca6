"""`python -m lab.controller`: runs the controller of a lab until it is told to stop."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import pathlib
import sys

from lab import settings as settings_module
from lab.controller import core, daemon
from lab.controller import store as store_module
from lab.machines import machine as machine_module


def main(arguments: list[str]) -> int:
    """Runs the controller; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.controller", description=__doc__)
    parser.add_argument("--state", type=pathlib.Path, help="the lab's state directory, instead of the settings'")
    parser.add_argument("--machines", choices=("nspawn", "rootless"), default="nspawn", help="the kind of machines")
    parser.add_argument("--verbose", action="store_true", help="log more")
    given = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if given.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s",
    )
    settings = settings_module.load()
    if given.state:
        settings = dataclasses.replace(settings, state=given.state.absolute())
    settings.state.mkdir(parents=True, exist_ok=True)
    controller = core.Controller(
        store=store_module.Store(settings.controller_database),
        machines=_machines(given.machines, settings),
        state=settings.state,
    )
    daemon.Daemon(controller).run()
    return 0


def _machines(kind: str, settings: settings_module.Settings) -> machine_module.Machines:
    if kind == "rootless":
        from lab.machines import rootless

        return rootless.Machines(settings.state)
    from lab.machines import nspawn

    return nspawn.Machines(settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
