"""Juju's semantics that charms depend on: for each a way to break it in the lab, and the tests that then fail.

`python -m tests.lab.semantics` breaks each in turn, in a copy of the tree, and sees the tests fail; with `--only TEXT`
those whose rule says TEXT. With `--table` it prints the table of docs/reference/juju-semantics.md instead. The rules
about secrets are in `semantics_secrets`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from tests.lab import semantics_secrets
from tests.lab.semantic import Semantic

TREE = pathlib.Path(__file__).resolve().parents[2]
CONTROLLER = "lab/controller"
SECONDS = 300.0


SEMANTICS = (
    Semantic(
        "`install` waits until the unit's storage is attached.",
        "resolver.py",
        "return Wait() if pending and not at.local.installed else None",
        "return None",
        ("test_engine_storage.py::test_install_waits_for_storage",),
    ),
    Semantic(
        "`relation-created` comes before `config-changed` and `start`; `start` follows `config-changed` directly.",
        "transitions.py",
        'return seen if local.started else requeued_hook(seen, Hook("start"))',
        "return dataclasses.replace(seen, started=True)",
        ("test_engine_deploy.py::test_a_leader_alone",),
    ),
    Semantic(
        "A unit that joins is told of by `relation-joined` and, directly after, `relation-changed`; units come sorted.",
        "transitions.py",
        'pending = hook.remote_unit if hook.kind == "relation-joined" else None',
        "pending = None",
        ("test_engine_deploy.py::test_peers_join_and_change_in_pairs_sorted_after_start",),
    ),
    Semantic(
        "A leader gets a `relation-changed` too for what it writes into its application's databag among peers.",
        "resolver.py",
        "if state.applications.get(application, 0) != version:",
        "if state.applications.get(application, 0) != version and not (relation.peer and at.remote.leader):",
        ("test_engine_relations.py::test_a_leader_gets_an_event_for_its_own_application_data",),
    ),
    Semantic(
        "Databags are written when the hook succeeds, and not when it fails.",
        "hooks.py",
        """    else:
        context.discard()
        return
    if context.reboot:
        reboot(agent)


def _subject""",
        """    else:
        commit(agent, context)
        return
    if context.reboot:
        reboot(agent)


def _subject""",
        ("test_engine_hooks.py::test_a_failed_hook_commits_nothing_but_what_takes_effect_at_once",),
    ),
    Semantic(
        "A commit that Juju refuses fails the hook: here by a unit that no longer leads.",
        "tools/relation_context.py",
        """            if owner == self.application and not self.is_leader():
                raise errors.PermissionDeniedError
            if""",
        "            if",
        ("test_tools_relations.py::test_leadership_lost_in_the_hook_fails_it_and_all_it_wrote",),
    ),
    Semantic(
        "Only the leader writes the application's databag.",
        "tools/relation_context.py",
        'raise errors.PermissionDeniedError("cannot write relation settings")',
        "pass",
        ("test_tools_relations.py::test_relation_set_of_the_application_is_the_leaders",),
    ),
    Semantic(
        "What others say looks frozen until the event that tells of it.",
        "relation_view.py",
        "if key not in self._cache:",
        "if True:",
        (
            "test_engine_relations.py::test_remote_data_is_frozen_until_its_event",
            "test_tools_relations.py::test_remote_databags_are_frozen_until_their_event",
        ),
    ),
    Semantic(
        "A unit that departs is no longer listed in its `relation-departed`.",
        "tools/relation_context.py",
        "members.discard(remote)",
        "pass",
        ("test_engine_relations.py::test_the_leaver_is_not_listed_and_the_joiner_is",),
    ),
    Semantic(
        "`JUJU_DEPARTING_UNIT` is the leaver itself on the unit that leaves.",
        "resolver.py",
        "at.local.unit if leaving else unit)",
        "unit)",
        ("test_engine_resolver.py::test_who_departs",),
    ),
    Semantic(
        "Peer relations are never broken.",
        "resolver.py",
        'return None if relation.peer else hook("relation-broken", None)',
        'return hook("relation-broken", None)',
        ("test_engine_relations.py::test_peers_are_not_broken_when_a_unit_leaves",),
    ),
    Semantic(
        "A failed hook is retried after 5 s, then after ever longer delays up to 5 min.",
        "timers.py",
        "self._delay = min(RETRY_LAST, longer * (1 + RETRY_JITTER * chance.uniform(-1, 1)))",
        "self._delay = RETRY_FIRST",
        ("test_engine_hooks.py::test_retries_come_ever_later",),
    ),
    Semantic(
        "Success resets the delay.",
        "timers.py",
        """        self.due = None
        self._delay = RETRY_FIRST""",
        "        self.due = None",
        ("test_engine_hooks.py::test_success_resets_the_delay",),
    ),
    Semantic(
        "`resolved --no-retry` counts the hook as done.",
        "resolver.py",
        "return SkipHook(at.local.hook, resolved=True)",
        "return RunHook(at.local.hook)",
        ("test_engine_hooks.py::test_resolved_without_retry_skips_the_hook",),
    ),
    Semantic(
        "Actions run while a hook is in error, and leave its retry alone.",
        "resolver.py",
        "(at.local.kind is Kind.CONTINUE or at.local.in_error):",
        "(at.local.kind is Kind.CONTINUE):",
        ("test_engine_tasks.py::test_actions_run_in_hook_error_and_do_not_disturb_its_retry",),
    ),
    Semantic(
        "A unit in error takes no new charm until it is resolved.",
        "resolver.py",
        "if at.remote.force_charm and _charm_modified(at):",
        "if _charm_modified(at):",
        ("test_engine_refresh.py::test_a_unit_in_error_does_not_take_the_new_charm_until_it_is_resolved",),
    ),
    Semantic(
        "With `--force-units` it takes the files, retries its hook, and gets no `upgrade-charm`.",
        "transitions.py",
        """    if local.hook is not None:
        return dataclasses.replace(in_place, kind=Kind.RUN_HOOK, step=Step.PENDING)
""",
        "",
        ("test_engine_refresh.py::test_forced_units_take_the_files_and_retry_their_hook_without_upgrade_charm",),
    ),
    Semantic(
        "`upgrade-charm` is followed by `config-changed` directly.",
        "transitions.py",
        'return requeued_hook(done, Hook("config-changed"))',
        "return done",
        ("test_engine_refresh.py::test_events",),
    ),
    Semantic(
        "A refresh removes what only the old charm had, and leaves files that no charm brought.",
        "charm_files.py",
        "self._remove(self._files(old) - members)",
        "shutil.rmtree(self._charm); self._charm.mkdir(); _write(self._charm / _DEPLOYING, url)",
        ("test_engine_refresh.py::test_files",),
    ),
    Semantic(
        "`.juju-charm` is a new file after each deployment.",
        "charm_files.py",
        "(self._charm / _DEPLOYING).replace(self._charm / _DEPLOYED)",
        """(self._charm / _DEPLOYED).exists() or (self._charm / _DEPLOYING).replace(self._charm / _DEPLOYED)""",
        ("test_engine_refresh.py::test_files",),
    ),
    Semantic(
        "A unit that still runs the old charm sees the old charm's configuration.",
        "context.py",
        "return unit.charm_url or self._application().charm_url",
        "return self._application().charm_url",
        ("test_tools_unit.py::test_config_belongs_to_the_charm_that_the_unit_runs",),
    ),
    Semantic(
        "One hook or action at a time on a machine.",
        "hooks.py",
        "with agent.controller.hook_lock(agent.machine.name):",
        "if True:",
        ("test_engine_daemon.py::test_units_on_one_machine_run_one_hook_at_a_time",),
    ),
    Semantic(
        "A dead leader is succeeded when its lease of 60 s has run out.",
        "leases.py",
        "if lease is not None and lease.expires > now:",
        "if lease is not None:",
        ("test_engine_leadership.py::test_a_dead_leader_is_succeeded_when_its_lease_has_run_out",),
    ),
    Semantic(
        "`leader-elected` is skipped by a unit that leads no longer.",
        "hooks.py",
        "    if hook.kind in _FOR_LEADER:\n        return leader\n",
        "",
        ("test_engine_leadership.py::test_leader_elected_is_skipped_by_a_unit_that_leads_no_longer",),
    ),
    Semantic(
        "A reboot of the machine brings one extra `start`.",
        "resolver.py",
        'return RunHook(Hook("start"))\n\n\ndef _files',
        "return None\n\n\ndef _files",
        ("test_engine_faults.py::test_a_reboot_runs_start_once",),
    ),
    Semantic(
        "An agent that crashes in a hook treats it as failed and retries it.",
        "transitions.py",
        '''    """The hook is about to run. An agent that finds this after a crash treats the hook as failed."""
    return dataclasses.replace(local, kind=Kind.RUN_HOOK, step=Step.PENDING, hook=hook, task=None)''',
        "    return dataclasses.replace(local, kind=Kind.CONTINUE, step=Step.PENDING, hook=None, task=None)",
        ("test_engine_faults.py::test_a_crash_at_a_tool_call_is_a_failed_hook",),
    ),
    Semantic(
        "Any hook absorbs an update-status that is due.",
        "hooks.py",
        "    agent.memory.update_status_version = remote.update_status_version\n",
        "    if hook.kind == 'update-status':\n"
        "        agent.memory.update_status_version = remote.update_status_version\n",
        ("test_engine_recurring.py::test_any_hook_absorbs_a_pending_update_status",),
    ),
    Semantic(
        "A unit leaves in order: storage, relations, `stop`, `remove`.",
        "resolver.py",
        """    if (operation := _relations(at)) is not None:
        return operation
    if at.local.started and not at.local.stopped:""",
        "    if at.local.started and not at.local.stopped:",
        ("test_engine_removal.py::test_the_order_of_a_units_end",),
    ),
    Semantic(
        "The others learn of a leaver at once, while it still runs its own hooks.",
        "removal.py",
        "store.put(dataclasses.replace(membership, departing=True))",
        "pass",
        ("test_engine_relations.py::test_others_learn_of_a_leaver_while_it_still_runs_its_own_hooks",),
    ),
    Semantic(
        "A machine goes with its last unit.",
        "removal.py",
        "destroy_machine(controller, machine)\n\n\ndef leave_scope",
        "pass\n\n\ndef leave_scope",
        ("test_engine_removal.py::test_a_machine_goes_with_its_last_unit",),
    ),
    Semantic(
        "Storage of a pool that outlives machines is kept when its unit goes, and can be attached again.",
        "storage_lifecycle.py",
        "if instance.life is not models.Life.ALIVE or not POOLS[instance.pool].outlives_machine:",
        "if True:",
        ("test_engine_storage.py::test_storage_is_kept_and_can_be_attached_again",),
    ),
    Semantic(
        "`config-changed` comes where an option's value has changed, and not for one that is set to what it was.",
        "snapshot.py",
        "_hash(applications.config(store, unit.model, unit.application, unit.charm_url))",
        "_hash(applications.settings(store, unit.model, unit.application, unit.charm_url))",
        ("test_engine_recurring.py::test_config_changed_only_where_something_has",),
    ),
    Semantic(
        "A leader that is removed is succeeded at once.",
        "removal.py",
        "if leadership.holder(store, model, unit.application) == name:",
        "if False:",
        ("test_engine_leadership.py::test_removal_hands_over_at_once",),
    ),
    Semantic(
        "`goal-state` shows units that are to go as `dying`.",
        "tools/goals.py",
        "dying = unit.life is models.Life.DYING",
        "dying = False",
        ("test_tools_unit.py::test_goal_state",),
    ),
    Semantic(
        "`goal-state` has peers among the units, and not among the relations.",
        "tools/goals.py",
        "if relation.peer or relation.life",
        "if relation.life",
        ("test_tools_unit.py::test_goal_state",),
    ),
    Semantic(
        "What `state-set` stages is seen by its own hook only, until that succeeds.",
        "context.py",
        "self._state_changes.update(values)",
        "self._state_changes.update(values)\n        self._commit_state()",
        (
            "test_tools_resources.py::test_state_is_staged",
            "test_engine_hooks.py::test_a_failed_hook_commits_nothing_but_what_takes_effect_at_once",
        ),
    ),
    Semantic(
        "`state-get` reads what an earlier hook of the same unit has left.",
        "context.py",
        "if self._state_changes:",
        "if False:",
        ("test_tools_resources.py::test_state_is_staged", "test_engine_hooks.py::test_a_successful_hook_commits"),
    ),
    Semantic(
        "Each unit has a state of its own.",
        "context.py",
        "kept = self.store.get(units.CharmState, self.model_uuid, self.unit)",
        "kept = next(iter(self.store.find(units.CharmState, model=self.model_uuid)), None)",
        ("test_tools_resources.py::test_state_is_staged",),
    ),
    Semantic(
        "An action that exits with an error changes nothing.",
        "task_runs.py",
        "status, message = tasks.TaskStatus.FAILED, error\n        context.discard()",
        "status, message = tasks.TaskStatus.FAILED, error\n        _commit(agent, task.name, context)",
        ("test_engine_tasks.py::test_an_action_that_exits_with_an_error_changes_nothing",),
    ),
    Semantic(
        "An action that says by `action-fail` that it failed still commits.",
        "task_runs.py",
        "    elif (problem := _commit(agent, task.name, context)) is not None:",
        "    elif status is tasks.TaskStatus.FAILED:\n        context.discard()\n"
        "    elif (problem := _commit(agent, task.name, context)) is not None:",
        ("test_engine_tasks.py::test_an_action_that_says_it_failed_still_commits",),
    ),
    *semantics_secrets.SEMANTICS,
)


def table() -> str:
    """The rules and their tests, as Markdown."""
    rows = ["| Rule | Kept in | Test |", "|---|---|---|"]
    for semantic in SEMANTICS:
        tests = "<br>".join(f"`{test}`" for test in semantic.tests)
        rows.append(f"| {semantic.rule} | `{CONTROLLER}/{semantic.file}` | {tests} |")
    return "\n".join(rows) + "\n"


def survives(semantic: Semantic, tests: list[str]) -> bool:
    """Whether these tests pass although the rule is broken, in a copy of the tree."""
    with tempfile.TemporaryDirectory(prefix="semantics-") as directory:
        copy = pathlib.Path(directory)
        for name in ("lab", "tests", "src", "lib"):
            shutil.copytree(TREE / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "charmcraft.yaml", "snap_revisions.json", "refresh_versions.toml"):
            shutil.copy(TREE / name, copy / name)
        file = copy / CONTROLLER / semantic.file
        file.write_text(file.read_text().replace(semantic.code, semantic.broken))
        environment = {**os.environ, "PYTHONPATH": directory, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS, check=False)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"pytest cannot run {tests}: {done.stdout.decode()}")
        return done.returncode == 0


def _survivors(semantic: Semantic) -> tuple[Semantic, list[str], float]:
    begun = time.monotonic()
    found = [test for test in semantic.tests if survives(semantic, [f"tests/lab/{test}"])]
    return semantic, found, time.monotonic() - begun


def main() -> int:
    """Break each rule in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="print the table and break nothing")
    parser.add_argument("--only", metavar="TEXT", default="", help="break only rules that say this")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(), end="")
        return 0
    failures = 0
    chosen = [semantic for semantic in SEMANTICS if arguments.only in semantic.rule]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for semantic, found, seconds in pool.map(_survivors, chosen):
            failures += bool(found)
            noticed = f"NOT noticed by {', '.join(found)}" if found else "noticed"
            print(f"{seconds:5.1f} s  {noticed}: {semantic.rule}", flush=True)
    print(f"{len(chosen)} rules broken, {failures} not noticed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
