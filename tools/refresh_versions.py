"""Write refresh_versions.toml from snap_revisions.json.

snap_revisions.json is the one place where the workload is pinned. refresh_versions.toml says the same in the form that
charm-refresh reads (https://canonical-charm-refresh.readthedocs-hosted.com); its key `charm` is written when the charm
is packed. `--check` writes nothing and fails if the two differ.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence

CHARM_MAJOR = 1
"""Rises with the first release whose charm code cannot be refreshed from all earlier ones."""


def render(pins: dict) -> str:
    """Return the text of refresh_versions.toml for the content of snap_revisions.json.

    Raises:
        KeyError: A key is missing.
    """
    revisions = "\n".join(f'{architecture} = "{revision}"' for architecture, revision in pins["revisions"].items())
    return (
        "# Generated from snap_revisions.json by `make refresh-versions`; charm is written when the charm is packed.\n"
        f'charm_major = {CHARM_MAJOR}\nworkload = "{pins["workload"]}"\n\n'
        f'[snap]\nname = "{pins["name"]}"\n\n[snap.revisions]\n{revisions}\n'
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tools.refresh_versions", description=__doc__)
    parser.add_argument("directory", nargs="?", type=pathlib.Path, default=pathlib.Path(), help="default: this one")
    parser.add_argument("--check", action="store_true", help="fail if the file is not up to date")
    options = parser.parse_args(arguments)
    text = render(json.loads((options.directory / "snap_revisions.json").read_text()))
    path = options.directory / "refresh_versions.toml"
    if not options.check:
        path.write_text(text)
    elif path.read_text() != text:
        sys.exit("refresh_versions.toml does not fit snap_revisions.json: run `make refresh-versions`")


if __name__ == "__main__":
    main()
