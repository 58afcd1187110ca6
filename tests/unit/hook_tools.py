"""Hook tools that record how they are called."""

from __future__ import annotations

import json
import pathlib
import sys

TOOL = """#!{python}
import json, pathlib, sys
here = pathlib.Path({here!r})
name = pathlib.Path(sys.argv[0]).name
with (here / "record").open("a") as record:
    print(name, *sys.argv[1:], file=record)
answers = json.loads((here / "answers").read_text())
if name == "relation-set":
    content = {{**answers["relation-get"], **json.loads(sys.stdin.read())}}
    answers["relation-get"] = {{key: value for key, value in content.items() if value}}
    (here / "answers").write_text(json.dumps(answers))
elif name in answers:
    answer = answers[name]
    print(json.dumps(answer[sys.argv[-1]] if name == "relation-ids" and isinstance(answer, dict) else answer))
else:
    sys.exit("not allowed")
"""
ANSWERS = {
    "relation-get": {"a": "first", "b": "second"},
    "relation-ids": ["peers:1"],
    "relation-list": ["postgresql-machine/1"],
    "is-leader": True,
    "config-get": {"profile": "testing", "count": 3},
    "storage-list": ["data/0", "logs/1", "data/2"],
}


class Tools:
    """Hook tools of a unit, in a directory."""

    def __init__(self, here: pathlib.Path):
        self.here = here
        self.answer(**{})
        for name in (*ANSWERS, "relation-set", "status-set", "network-get", "goal-state"):
            program = here / name
            program.write_text(TOOL.format(python=sys.executable, here=str(here)))
            program.chmod(0o755)

    def answer(self, **changes: object) -> None:
        """What the tools answer from now on, by their names with underscores."""
        known = ANSWERS | {name.replace("_", "-"): value for name, value in changes.items()}
        (self.here / "answers").write_text(json.dumps(known))

    def refuse(self, *names: str) -> None:
        """These tools fail from now on, whatever is answered."""
        for name in names:
            program = self.here / name
            program.write_text(program.read_text().replace("elif name in answers:", "elif False:"))

    @property
    def calls(self) -> list[str]:
        """The command lines so far."""
        record = self.here / "record"
        return record.read_text().splitlines() if record.exists() else []
