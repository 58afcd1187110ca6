"""Carries steps out. The only place that changes anything; what fails is told, and tried again at the next event."""

import collections.abc
import json
import logging

import facts
import forced_majority
import giving_up
import leaving
import member
import membership
import observation
import peers as peer_relation
import planner
import switchover
import wakeup
from snap_refresh import execution as snap_execution
from steps import AnyStep, AskForSynchronous, ChangeMembership, HandOver, Publish, Record, Step
from workload import configuration, machine, patroni, scram, service, snap, sql, write_ahead_log

logger = logging.getLogger(__name__)

# What the rewind user may execute (PostgreSQL documentation, pg_rewind).
REWIND_FUNCTIONS = (
    "pg_catalog.pg_ls_dir(text, boolean, boolean)",
    "pg_catalog.pg_stat_file(text, boolean)",
    "pg_catalog.pg_read_binary_file(text)",
    "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)",
)
ROLE_ATTRIBUTES = {
    sql.SUPERUSER: "SUPERUSER LOGIN",
    configuration.REPLICATION_USER: "REPLICATION LOGIN",
    configuration.REWIND_USER: "LOGIN",
}


class Executor:
    """Carries out the steps of one hook."""

    def __init__(
        self,
        known: facts.Facts,
        workload: machine.Workload,
        peers: peer_relation.Peers,
        allow_next_unit: collections.abc.Callable[[], None],
        snaps: snap_execution.Executor,
    ):
        self._known = known
        self._workload = workload
        self._peers = peers
        self._simple: dict[Step, collections.abc.Callable[[], object]] = {
            Step.GENERATE_CREDENTIALS: peers.generate_passwords,
            Step.CLAIM_BOOTSTRAP: lambda: peers.record("bootstrap-unit", str(known.number)),
            Step.INSTALL_SNAP: self._install,
            Step.HOLD_SNAP: workload.snap.hold,
            Step.PREPARE_DIRECTORIES: workload.prepare_directories,
            Step.PREPARE_SERVICE: workload.prepare_service,
            Step.PUBLISH_ADDRESS: lambda: peers.publish("address", known.machine.address or ""),
            Step.CONFIGURE: self._configure,
            Step.MOVE: self._move,
            Step.GIVE_UP_MAJORITY: self._give_up_majority,
            Step.START: workload.snap.start,
            Step.PUBLISH_CLUSTER: lambda: peers.publish("cluster-id", known.machine.data.system_identifier or ""),
            Step.RECORD_CLUSTER: lambda: peers.record("cluster-id", planner.founded_cluster(known) or ""),
            Step.SET_ROLES: self._set_roles,
            Step.CREATE_TEMPORARY_TABLESPACE: lambda: workload.sql().create_temporary_tablespace(
                workload.paths.temporary_tablespace
            ),
            Step.CHANGE_DYNAMIC_CONFIGURATION: self._change_dynamic_configuration,
            Step.WAKE_PATRONI: self._wake_patroni,
            Step.ALLOW_NEXT_UNIT: allow_next_unit,
            Step.GATE_SNAPS: snaps.gate,
            Step.REFRESH_SNAPS: snaps.refresh,
            Step.LEAVE: lambda: leaving.leave(workload, known),
        }

    def run(self, steps: collections.abc.Iterable[AnyStep]) -> str | None:
        """Carry the steps out in order, up to the first that fails; its failure in words for the status, or None.

        The snaps below the workload are held all the same: else their holds end by themselves, on all machines at once.
        """
        failure = None
        for step in steps:
            if failure is not None and step is not Step.GATE_SNAPS:
                continue
            try:
                self._run(step)
            except (
                snap.SnapOperationError,
                patroni.PatroniError,
                sql.SqlError,
                switchover.HandOverError,
                service.ServiceError,
                write_ahead_log.WriteAheadLogError,
                OSError,
            ) as error:
                name = step.value if isinstance(step, Step) else str(step)
                logger.warning("Failed to %s: %s", name, error)
                failure = failure or f"Failed to {name}: {error}"
        return failure

    def _run(self, step: AnyStep) -> None:
        match step:
            case ChangeMembership(change):
                self._change_membership(change)
            case HandOver(candidate):
                switchover.hand_over(self._workload, self._known, candidate)
            case AskForSynchronous(count):
                self._patch_dynamic_configuration({"synchronous_node_count": count})
            case Publish(key, value):
                self._peers.publish(key, value)
            case Record(key, value):
                self._peers.record(key, value)
            case _:
                self._simple[step]()

    def _install(self) -> None:
        refresh = self._known.refresh
        if refresh is None:
            raise snap.SnapOperationError("the revision to install is not known")
        logger.info("Installing the snap at revision %s", refresh.pinned_revision)
        self._workload.snap.install(refresh.pinned_revision)

    def _configure(self) -> None:
        if not self._known.machine.patroni_running:
            self._workload.configure(self._settings())
            return
        client = self._client()
        if not client.answers():
            # It starts, and can neither be told of a change nor be trusted to have read it. The observer tells when.
            return
        before = self._workload.configuration_text()
        # A stop that was given up may have left Patroni with the tag that the file has not.
        renounces = self._known.member is not None and self._known.member.renounces_synchronous
        if not self._workload.configure(self._settings()) and not renounces:
            return
        try:
            client.reload()
        except patroni.PatroniError:
            # What is on disk must not claim what Patroni was not told: so the next event sees the difference again.
            self._workload.restore_configuration(before)
            raise

    def _move(self) -> None:
        """Follow a new address: Raft knows nodes by address, so this one leaves with the old and joins with the new."""
        former = [*self._known.former_addresses, self._known.machine.configured_address]
        self._peers.publish(peer_relation.FORMER_KEY, json.dumps(former[-peer_relation.FORMER_MAXIMUM :]))
        self._workload.snap.stop()
        self._workload.forget_membership()
        self._workload.prepare_directories()
        self._workload.configure(self._settings())
        self._workload.snap.start()

    def _give_up_majority(self) -> None:
        consent = giving_up.give_up(self._workload, self._known, self._known.agreement.generation)
        self._peers.publish(forced_majority.KEY, consent.dump())

    def _settings(self) -> configuration.MemberSettings:
        keep_parameters = planner.parameters_wait(self._known)
        settings = member.settings(self._known, self._workload.configured(), keep_parameters=keep_parameters)
        if settings is None:
            raise patroni.PatroniError("the configuration cannot be written yet")
        return settings

    def _client(self) -> patroni.Client:
        password = self._known.passwords.patroni if self._known.passwords else None
        return self._workload.patroni(self._known.machine.address or "", password)

    def _set_roles(self) -> None:
        if self._known.passwords is None:
            return
        database = self._workload.sql()
        for name, password in observation.role_passwords(self._known.passwords).items():
            database.set_role(name, ROLE_ATTRIBUTES[name], scram.verifier(password))
        database.grant_functions(configuration.REWIND_USER, REWIND_FUNCTIONS)

    def _change_dynamic_configuration(self) -> None:
        self._patch_dynamic_configuration(planner.dynamic_configuration_patch(self._known))

    def _patch_dynamic_configuration(self, patch: dict[str, object]) -> None:
        primary = self._known.cluster.primary if self._known.cluster else None
        if primary is None or self._known.passwords is None:
            return
        logger.info("Changing the shared configuration: %s", ", ".join(patch))
        self._workload.patroni(primary.address, self._known.passwords.patroni).change_configuration(patch)

    def _wake_patroni(self) -> None:
        view, passwords = self._known.cluster, self._known.passwords
        if view is not None and passwords is not None:
            wakeup.wake(self._workload, view.members, passwords.patroni)

    def _change_membership(self, change: membership.Change) -> None:
        known = self._known
        if known.passwords is None or known.raft is None:
            return
        nodes = self._workload.raft(known.passwords.raft)
        if isinstance(change, membership.Add):
            done = nodes.add(known.raft.node, change.node)
        else:
            done = nodes.remove(known.raft.node, change.node)
        logger.info("Raft: %s: %s", change, "done" if done else "not done")
