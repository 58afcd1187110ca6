"""Any history of a secret against a plain model of what its readers should see."""

from __future__ import annotations

import hypothesis.stateful as stateful
from hypothesis import settings
from hypothesis import strategies as st

from lab.controller import secrets_events
from lab.controller.entities import secrets as entities
from tests.lab import tools_world

READERS = ("pg/0", "pg/1", "web/0", "web/1")


class SecretMachine(stateful.RuleBasedStateMachine):
    """One secret of application pg, made by its leader pg/0; web reads it while it is granted."""

    def __init__(self) -> None:
        super().__init__()
        self.world = tools_world.World()
        run = self.world.start("pg/0")
        self.uri = run.out("secret-add", "key=0").strip()
        run.commit()
        self.contents = {1: "0"}
        self.latest = 1
        self.tracked: dict[str, int] = {}
        self.granted: set[str] = set()

    def may_read(self, unit: str) -> bool:
        return unit.startswith("pg/") or unit in self.granted or "web" in self.granted

    @stateful.rule(content=st.integers(0, 3), succeeds=st.booleans())
    def change(self, content: int, succeeds: bool) -> None:
        run = self.world.start("pg/0")
        run.out("secret-set", self.uri, f"key={content}")
        if not succeeds:
            run.context.discard()
            return
        run.commit()
        if self.contents[self.latest] != str(content):
            self.latest += 1
            self.contents[self.latest] = str(content)

    @stateful.rule(unit=st.sampled_from(READERS), how=st.sampled_from(["", "--peek", "--refresh"]))
    def read(self, unit: str, how: str) -> None:
        run = self.world.start(unit)
        arguments = [self.uri, "key", *([how] if how else [])]
        if not self.may_read(unit):
            assert run.error("secret-get", *arguments) == (1, "permission denied")
            return
        if unit not in self.tracked or how == "--refresh":
            self.tracked[unit] = self.latest
        seen = self.latest if how == "--peek" else self.tracked[unit]
        assert run.json("secret-get", *arguments) == self.contents[seen]

    @stateful.rule(subject=st.sampled_from(["web", "web/0"]))
    def grant(self, subject: str) -> None:
        run = self.world.start("pg/0")
        unit = ["--unit", subject] if "/" in subject else []
        answer = run.call("secret-grant", self.uri, "-r", "2", *unit)
        if subject == "web" and "web/0" in self.granted and "web" not in self.granted:
            assert answer.code == 1
            return
        assert answer.code == 0
        run.commit()
        if "web" not in self.granted:
            self.granted.add(subject)

    @stateful.rule(subject=st.sampled_from(["web", "web/0"]))
    def revoke(self, subject: str) -> None:
        run = self.world.start("pg/0")
        run.out("secret-revoke", self.uri, "--unit" if "/" in subject else "--app", subject)
        run.commit()
        gone = {subject} if "/" in subject else {"web", "web/0"}
        self.granted -= gone
        for unit in list(self.tracked):
            if unit in gone or unit.partition("/")[0] in gone:
                del self.tracked[unit]

    @stateful.rule(data=st.data())
    def remove_obsolete(self, data: st.DataObject) -> None:
        numbers = [number for number in self.contents if number not in self.wanted()]
        if not numbers:
            return
        number = data.draw(st.sampled_from(numbers))
        run = self.world.start("pg/0")
        run.out("secret-remove", self.uri, "--revision", str(number))
        run.commit()
        del self.contents[number]

    def wanted(self) -> set[int]:
        return {self.latest, *self.tracked.values()}

    @stateful.invariant()
    def revisions_are_there(self) -> None:
        assert self.world.revisions(self.uri) == sorted(self.contents)
        assert self.world.secret(self.uri).latest_revision == self.latest

    @stateful.invariant()
    def the_owner_hears_of_what_nobody_wants(self) -> None:
        found = secrets_events.obsolete(self.world.store, tools_world.MODEL, "pg/0", leader=True)
        obsolete = sorted(set(self.contents) - self.wanted())
        assert list(found.values()) == ([obsolete] if obsolete else [])

    @stateful.invariant()
    def readers_hear_of_what_is_new(self) -> None:
        for unit in READERS[1:]:
            behind = self.tracked.get(unit, self.latest) != self.latest
            found = secrets_events.changed(self.world.store, tools_world.MODEL, unit, leader=False)
            assert list(found.values()) == ([self.latest] if behind else [])

    @stateful.invariant()
    def nothing_is_left_over(self) -> None:
        consumers = self.world.store.find(entities.SecretConsumer)
        assert {one.consumer for one in consumers} == {f"unit-{unit.replace('/', '-')}" for unit in self.tracked}


SecretMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestSecret = SecretMachine.TestCase
