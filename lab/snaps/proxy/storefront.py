"""The store in front of snapd: which requests it answers or changes, and how."""

from __future__ import annotations

import datetime
import json
import logging
import re
import threading
import typing
import urllib.parse
from dataclasses import dataclass

from . import answers, faults, index, memory, planner, refusal, relay, sideload, snapd, updates

INTERCEPTED = frozenset(planner.STORE_ACTIONS + planner.REVISION_ACTIONS)
SNAP_PATH = re.compile(r"/v2/snaps/([^/]+)")

logger = logging.getLogger(__name__)


@dataclass
class Store:
    """The parts that all connections share."""

    architecture: str
    index: index.IndexFile
    memory: memory.Memory
    faults: faults.Faults
    daemon: snapd.Snapd

    def __post_init__(self) -> None:
        self.answers = answers.Answers(self.index, self.memory)
        # What a request becomes depends on what the machine has: one at a time, until snapd has taken it.
        self.deciding = threading.Lock()

    def installed(self, name: str) -> planner.Installed | None:
        """A snap as it is on the machine."""
        snap = self.daemon.snap(name)
        if snap is None:
            return None
        return planner.Installed(
            revision=self.memory.revision(name, str(snap["revision"])),
            tracking=self.memory.tracking(name) or snap.get("tracking-channel"),
            classic=snap.get("confinement") == "classic",
            devmode=bool(snap.get("devmode")),
        )

    def updates(self) -> list[updates.Update]:
        """The updates of the machine's snaps, held or not."""
        self.memory.settle()
        now = datetime.datetime.now(datetime.UTC)
        return list(updates.available(self.daemon.get("/v2/snaps") or [], self.index, self.memory, now))


class Storefront(relay.Relay):
    """Serves snapd's API as if snapd had a store."""

    store: Store

    def do_GET(self) -> None:
        """Answer a question, with the store's revisions and channels."""
        self._guarded(self._get)

    def do_POST(self) -> None:
        """Carry out a request, with the store's revisions and channels."""
        self._guarded(self._post)

    def do_PUT(self) -> None:
        """Pass on."""
        self._guarded(self.forward)

    do_DELETE = do_HEAD = do_PUT

    def _guarded(self, serve: typing.Callable[[], None]) -> None:
        try:
            serve()
        except refusal.Refusal as error:
            self.refuse(error)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _get(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        path = url.path.rstrip("/")
        if path == "/v2/find":
            self._find(urllib.parse.parse_qs(url.query))
        elif path == "/v2/snaps" or SNAP_PATH.fullmatch(path):
            self.forward(rewrite=self._rewrite_snaps)
        elif path == f"/v2/changes/{answers.NOTHING_TO_REFRESH['id']}":
            self.answer(answers.NOTHING_TO_REFRESH)
        elif path == "/v2/changes" or path.startswith("/v2/changes/"):
            self.forward(rewrite=self._rewrite_changes)
        elif path == "/v2/snapshots":
            self.forward(rewrite=self._rewrite_snapshots)
        else:
            self.forward()

    def _rewrite_snaps(self, status: int, content: dict[str, typing.Any]) -> None:
        self.store.memory.settle()
        for snap in _entries(content, "name"):
            self.store.answers.snap(snap)

    def _rewrite_changes(self, status: int, content: dict[str, typing.Any]) -> None:
        for change in _entries(content, "id"):
            self.store.answers.change(change)

    def _rewrite_snapshots(self, status: int, content: dict[str, typing.Any]) -> None:
        for snapshot_set in _entries(content, "snapshots"):
            for snapshot in snapshot_set["snapshots"]:
                self.store.answers.snapshot(snapshot)

    def _find(self, query: dict[str, list[str]]) -> None:
        name = query.get("name", [""])[0]
        exact = bool(name) and not name.endswith("*")
        self.store.faults.query(name if exact else None)
        if query.get("select") == ["refresh"]:
            found = self.store.updates()
            self.answer([answers.offer(each.snap, each.revision, each.channel) for each in found], sources=["store"])
            return
        snaps = self.store.index.snaps()
        if exact:
            if name not in snaps:
                raise refusal.Refusal(404, "snap-not-found", "snap not found", name)
            found = [snaps[name]]
        else:
            wanted = (query.get("q") or [name])[0].rstrip("*")
            found = [snap for snap in snaps.values() if wanted in snap.name]
        offers = [
            answers.offer(snap, head, snap.default_channel)
            for snap in found
            if (head := snap.head(snap.default_channel))
        ]
        self.answer(offers, sources=["store"], **{"suggested-currency": "USD"})

    def _post(self) -> None:
        path = urllib.parse.urlsplit(self.path).path.rstrip("/")
        single = SNAP_PATH.fullmatch(path)
        is_json = (self.headers.get("Content-Type") or "").startswith("application/json")
        if not is_json or (single is None and path not in ("/v2/snaps", "/v2/download")):
            self.forward()
            return
        raw = b"".join(self.body())
        if path == "/v2/download":
            self._peek(raw)
            return
        try:
            options = json.loads(raw)
        except ValueError:
            self.forward(body=raw)  # snapd says what is wrong with it
            return
        names = [single[1]] if single else options.get("snaps") or []
        action = options.get("action")
        if action == "refresh" and not names:
            self._refresh_all(options)
        elif action not in INTERCEPTED or not names:
            self.forward(body=raw)
        elif len(names) > 1 and action in planner.STORE_ACTIONS:
            raise refusal.Refusal(400, "", f"this store can {action} one snap a request only")
        elif len(names) > 1:
            self.forward(body=raw)
        else:
            self._carry_out(planner.Request(action, names[0], options))

    def _peek(self, raw: bytes) -> None:
        """Tell what a download of a revision would be, in the headers of an answer without content."""
        options = json.loads(raw)
        name, number = options.get("snap-name", ""), str(options.get("revision", ""))
        snap = self.store.index.get(name)
        if not options.get("header-peek") or snap is None:
            self.forward(body=raw)
            return
        self.store.faults.peek(name, number)
        revision = snap.require_revision(number)
        headers = [("Content-Type", "application/octet-stream"), ("Snap-Length", str(revision.size))]
        self._send(200, b"", headers)

    def _carry_out(self, request: planner.Request) -> None:
        store = self.store
        if request.action in ("install", "refresh") and request.revision is None:
            store.faults.query(request.name)
        with store.deciding:
            store.memory.settle()
            plan = self._plan(request)
            if not isinstance(plan, planner.SideLoad):
                self._execute(request, plan)
                return
        store.faults.download(request.name, plan.revision.number)
        if plan.revision.base:
            self._install_base(plan.revision.base)
        with store.deciding:  # what was decided may have aged while the download took its time
            self._execute(request, self._plan(request))

    def _refresh_all(self, options: dict[str, typing.Any]) -> None:
        """Refresh what has an update and is not held, as one change."""
        store = self.store
        store.faults.query()
        for update in self._free():
            store.faults.download(update.snap.name, update.revision.number)
            if update.revision.base:
                self._install_base(update.revision.base)
        with store.deciding:  # the downloads took their time
            found = self._free()
            if not found:
                self.accept(answers.NOTHING_TO_REFRESH["id"])
                return
            for update in found:
                local = planner.next_local_revision(store.memory.local_revisions(update.snap.name))
                store.memory.expect(update.snap.name, local, update.revision.number)
            names = [update.snap.name for update in found]
            logger.info("refresh of all: %s", ", ".join(names))
            fields = planner.side_load_fields(planner.Request("refresh", "", options), None)
            form = sideload.Form(fields, *(store.index.path(update.revision) for update in found))
            headers = self.request_headers("content-type") | form.headers
            begin = self._begin(memory.Change("", "refresh", all_of=names))
            self.forward(path="/v2/snaps", body=form.blocks(), headers=headers, rewrite=begin)

    def _free(self) -> list[updates.Update]:
        return [update for update in self.store.updates() if not update.held]

    def _plan(self, request: planner.Request) -> planner.Plan:
        return planner.plan(
            request,
            self.store.index.get(request.name),
            self.store.installed(request.name),
            self.store.memory.local_revisions(request.name),
            self.store.architecture,
        )

    def _execute(self, request: planner.Request, plan: planner.Plan) -> None:
        path = f"/v2/snaps/{request.name}"
        logger.info("%s %s: %s", request.action, request.name, plan)
        change = memory.Change(request.name, request.action)
        if isinstance(plan, planner.SideLoad):
            change.channel, change.revision = plan.channel, plan.revision.number
            change.local_revision = plan.local_revision
            self.store.memory.expect(request.name, plan.local_revision, plan.revision.number)
            form = sideload.Form(
                planner.side_load_fields(request, self.store.installed(request.name)),
                self.store.index.path(plan.revision),
            )
            headers = self.request_headers("content-type") | form.headers
            self.forward(path="/v2/snaps", body=form.blocks(), headers=headers, rewrite=self._begin(change))
            return
        if isinstance(plan, planner.Activate):
            change.channel, change.revision, change.local_revision = plan.channel, plan.revision, plan.local_revision
            options: typing.Any = planner.activation_options(request, plan)
        elif isinstance(plan, planner.Switch):
            change.channel = plan.channel
            options = {"action": "switch", "channel": plan.channel}
        else:
            options = plan.options if plan.options is not None else request.options
            path = self.path
        removes_one = request.action == "remove" and request.revision is not None
        remembered = isinstance(plan, planner.Activate | planner.Switch) or (
            request.action == "remove" and not removes_one
        )
        self.forward(path=path, body=json.dumps(options).encode(), rewrite=self._begin(change) if remembered else None)

    def _begin(self, change: memory.Change) -> relay.Rewrite:
        """Remember a change before the client can ask about it."""

        def rewrite(status: int, content: dict[str, typing.Any]) -> None:
            if content.get("change"):
                self.store.memory.begin(content["change"], change)

        return rewrite

    def _install_base(self, name: str) -> None:
        """Install the base of a snap first, as snapd itself does where it can reach a store."""
        base = self.store.index.get(name)
        if base is None or self.store.daemon.snap(name) is not None:
            return
        head = base.require_head(base.default_channel, "install", self.store.architecture)
        self.store.faults.download(name, head.number)
        form = sideload.Form({"action": "install", "dangerous": "true"}, self.store.index.path(head))
        change = sideload.send(self.store.daemon, form, self.caller)
        self.store.memory.begin(change, memory.Change(name, "install", base.default_channel, head.number, "x1"))
        outcome = self.store.daemon.wait(change)
        if outcome["status"] != "Done":
            raise refusal.Refusal(
                400, "", f"cannot install the base {name}: {outcome.get('err', outcome['status'])}", name
            )


def _entries(content: dict[str, typing.Any], key: str) -> list[dict[str, typing.Any]]:
    """The objects of an answer, one or a list of them, that have a key; errors have none."""
    result = content.get("result")
    entries = result if isinstance(result, list) else [result]
    return [entry for entry in entries if isinstance(entry, dict) and key in entry]
