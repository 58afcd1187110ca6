"""Runs on a machine: prints every command line and environment that any process there has, as soon as it is seen.

Each is a line of JSON, `["cmdline" or "environ", TEXT]`, so that what was seen outlives the machine. Reads from its
arguments for how many seconds, and the path of a file that ends it earlier once it exists. It uses the standard library
only, and finds its source on its standard input.
"""

import json
import pathlib
import sys
import time

seen: set[tuple[str, bytes]] = set()
end = time.monotonic() + float(sys.argv[1])
ended = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
print(json.dumps(["begun", ""]), flush=True)
while time.monotonic() < end and not (ended and ended.exists()):
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                content = (process / name).read_bytes()
            except OSError:
                continue
            if (name, content) not in seen:
                seen.add((name, content))
                print(json.dumps([name, content.decode(errors="replace")]), flush=True)
    time.sleep(0.02)
