"""Runs on a machine: keeps every command line and environment that any process there has, and prints them in the end.

Reads from its arguments for how many seconds, and the path of a file that ends it earlier once it exists. It uses the
standard library only, and finds its source on its standard input.
"""

import pathlib
import sys
import time

seen: set[bytes] = set()
end = time.monotonic() + float(sys.argv[1])
ended = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
while time.monotonic() < end and not (ended and ended.exists()):
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                seen.add((process / name).read_bytes())
            except OSError:
                continue
    time.sleep(0.02)
print(len(seen))
sys.stdout.buffer.write(b"\n".join(seen))
