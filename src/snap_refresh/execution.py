"""Carries the decision out: holds in snapd, the file for the snap's hook, requests to refresh."""

import collections.abc
import dataclasses
import datetime
import logging
import pathlib

import facts
from snap_refresh import decision, model
from workload import files, machine, snap, snapd_requests

logger = logging.getLogger(__name__)

ANSWER_VALID = datetime.timedelta(minutes=10)
"""How long the snap's hook may trust an answer to proceed."""


class Executor:
    """Carries out what was decided in one hook. Raises SnapOperationError and OSError."""

    def __init__(self, known: facts.Facts, workload: machine.Workload, directory: pathlib.Path):
        self._known = known
        self._workload = workload
        self._directory = directory
        self._decided = decision.decide(known)

    def gate(self) -> None:
        """Have snapd hold what must be held and nothing else of the charm's; tell the snap's hook; remember it."""
        seen, decided = self._known.snap_refresh, self._decided
        if seen is None or decided is None:
            return
        for name in sorted(decision.removed(seen)):
            logger.warning("The hold of %s was removed; putting it back", name)
        # Remembered before it is done: a hold that is not there as remembered is put back.
        self._remember(decision.remembered(seen, decided))
        try:
            self._change_holds(seen, decided)
        except snap.SnapOperationError:
            self._remember(dataclasses.replace(seen.remembered, gating=decided.gating))
            raise
        self._answer(decided, seen.now)

    def _change_holds(self, seen: model.SnapRefresh, decided: decision.Decision) -> None:
        until: dict[datetime.datetime, list[str]] = {}
        for name, time in decided.holds.items():
            time = time.replace(microsecond=0)
            if seen.holds.get(name) != time:
                until.setdefault(time, []).append(name)
        for time, names in until.items():
            self._workload.snapd.hold(names, time)
        gone = seen.own_holds.keys() - decided.holds.keys()
        if gone:
            logger.info("No longer holding %s: %s", ", ".join(sorted(gone)), decided.reason)
            self._workload.snapd.unhold(gone)

    def refresh(self) -> None:
        """Ask snapd for the updates that are due. It carries them out by itself."""
        if self._known.snap_refresh is not None and self._decided is not None:
            self.run_now(self._decided.refresh)

    def run_now(self, names: collections.abc.Iterable[str]) -> model.Remembered:
        """Ask snapd for these updates, each once; what is remembered then.

        An update that there is not any more is no longer among those that are remembered.
        """
        seen, decided = self._known.snap_refresh, self._decided
        if seen is None or decided is None:
            raise ValueError("nothing is known of this machine's snaps")
        content = decision.remembered(seen, decided)
        for name in names:
            before, update = content, decided.updates[name]
            # Remembered before it is done: snapd itself may be what restarts.
            attempts = {**before.attempts, name: decision.after_asking(seen, update)}
            content = dataclasses.replace(before, attempts=attempts)
            self._remember(content)
            logger.info("Refreshing the snap %s to revision %s: %s", name, update.revision, decided.reason)
            try:
                self._workload.snapd.refresh(name)
            except snap.SnapdUnreachableError:
                raise
            except snapd_requests.NoUpdateError as error:
                # The store has withdrawn it, or has a newer one by now: it is asked again at the next event.
                logger.info("%s is not refreshed: %s", name, error)
                updates = {each: update for each, update in before.updates.items() if each != name}
                content = dataclasses.replace(before, asked=None, updates=updates)
                self._remember(content)
            except snap.SnapOperationError:
                # It has not begun, say since another change is in progress: that is no attempt.
                self._remember(before)
                raise
        return content

    def request(self) -> model.Remembered:
        """Remember that the operator asked for the updates, as often as they have failed; what is remembered then."""
        seen, decided = self._known.snap_refresh, self._decided
        if seen is None or decided is None:
            raise ValueError("nothing is known of this machine's snaps")
        content = dataclasses.replace(decision.remembered(seen, decided), requested=seen.now, attempts={})
        self._remember(content)
        return content

    def _remember(self, content: model.Remembered) -> None:
        files.ensure_file(self._directory / model.FILE, content.text() + "\n", files.ROOT, 0o600)

    def _answer(self, decided: decision.Decision, now: datetime.datetime) -> None:
        """What the snap's gate-auto-refresh hook says to snapd (docs/reference/formats.md)."""
        proceed = decided.verdict in (decision.Verdict.PROCEED, decision.Verdict.RELEASED)
        lines = [f"decision={'proceed' if proceed else 'hold'}", f"reason={decided.reason}"]
        if proceed:
            lines.append(f"valid-until={int((now + ANSWER_VALID).timestamp())}")
        path = self._workload.paths.gate_answer
        files.ensure_file(path, "\n".join([*lines, ""]), files.ROOT, 0o644)
