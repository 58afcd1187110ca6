"""Run charmlint on this tree.

charmlint needs Python 3.12 or later, which the host may not have; the lab's build layer does, so it always runs there.
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Sequence

from lab import cache, settings
from lab.image import build, chroot

TREE = pathlib.Path(__file__).resolve().parents[1]
REQUIREMENTS = TREE / "requirements-charmlint.txt"
HOME = "/opt/charmlint"  # a virtual environment does not move
INSTALL = f"""set -eu
python3 -m venv {HOME}
{HOME}/bin/pip install --require-hashes --only-binary :all: --requirement /requirements.txt
"""


def main(arguments: Sequence[str]) -> int:
    """Run charmlint with these arguments; return 0 if it found nothing."""
    lab_settings = settings.load(os.environ)
    layers = build.layers(lab_settings)

    def install(entry: pathlib.Path) -> None:
        binds = [chroot.Bind(entry, HOME), chroot.Bind(REQUIREMENTS, "/requirements.txt", writable=False)]
        chroot.run(lab_settings, layers, ["/bin/sh", "-c", INSTALL], timeout=600, binds=binds)

    inputs: dict[str, cache.Input] = {
        "requirements": REQUIREMENTS,
        "install": INSTALL,
        "layers": " ".join(layer.name for layer in layers),
    }
    entry = cache.ensure(lab_settings.cache, "charmlint", inputs, install)
    binds = [chroot.Bind(entry, HOME, writable=False), chroot.Bind(TREE, "/tree", writable=False)]
    command = [f"{HOME}/bin/charmlint", *arguments, "/tree"]
    try:
        print(chroot.run(lab_settings, layers, command, timeout=300, binds=binds, cwd="/tree", host=False).strip())
    except chroot.ChrootError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
