"""Patroni's configuration: who may connect from where, where passwords are, and the smallest patch."""

from __future__ import annotations

import copy
import ipaddress
import pathlib
import typing

import hypothesis
import pytest
import yaml
from hypothesis import strategies

import member
from tests.fakes import cluster as fake
from tests.fakes import known
from workload import configuration, machine, paths

WHERE = paths.Paths(pathlib.Path("/root-of-a-test"))


def settings(**changes: typing.Any) -> configuration.MemberSettings:
    values: dict[str, typing.Any] = {
        "scope": known.APPLICATION,
        "name": known.name(0),
        "address": "10.0.0.10",
        "admitted_addresses": frozenset({"10.0.0.11", "10.0.0.12"}),
        "partners": frozenset({"10.0.0.11"}),
        "passwords": known.PASSWORDS,
        "parameters": {"shared_buffers": "128MB"},
        "synchronous_node_count": 2,
    }
    return configuration.MemberSettings(**(values | changes))


def leaves(content: object, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    if isinstance(content, dict):
        items = content.items()
    elif isinstance(content, list):
        items = enumerate(content)
    else:
        return {path: content}
    found: dict[tuple[str, ...], object] = {}
    for key, value in items:
        found |= leaves(value, (*path, str(key)))
    return found


def test_passwords_are_only_where_patroni_needs_them() -> None:
    secrets = {value for key, value in vars(known.PASSWORDS).items()}
    found = {path: value for path, value in leaves(configuration.member(settings(), WHERE)).items() if value in secrets}
    assert found == {
        ("restapi", "authentication", "password"): "patroni-pw",
        ("ctl", "authentication", "password"): "patroni-pw",
        ("raft", "password"): "raft-pw",
        ("postgresql", "authentication", "superuser", "password"): "operator-pw",
        ("postgresql", "authentication", "replication", "password"): "replication-pw",
        ("postgresql", "authentication", "rewind", "password"): "rewind-pw",
    }


def test_passwords_are_not_printed() -> None:
    assert "pw" not in repr(known.PASSWORDS)
    assert "pw" not in str(settings())


# The machine itself has a rule of its own.
addresses = strategies.ip_addresses(v=4).filter(lambda address: not address.is_loopback).map(str)


@hypothesis.settings(deadline=None)
@hypothesis.given(addresses, strategies.sets(addresses, max_size=8))
def test_only_units_may_connect_and_each_by_its_own_address(address: str, peers: set[str]) -> None:
    rules = configuration.host_based_authentication(address, peers)
    assert len(rules) == len(set(rules))
    seen: dict[str, set[str]] = {}
    for rule in rules:
        kind, database, user, *rest = rule.split()
        if kind == "local":
            continue
        network = ipaddress.ip_network(rest[0])
        assert network.num_addresses == 1
        assert rest[1:] == ["scram-sha-256"]
        assert user in ("operator", "replication", "rewind")
        assert (database, user) in {("all", "operator"), ("replication", "replication"), ("postgres", "rewind")}
        seen.setdefault(str(network.network_address), set()).add(user)
    everyone = {"operator", "replication", "rewind"}
    assert seen == {"127.0.0.1": {"operator"}, **dict.fromkeys({address, *peers}, everyone)}
    assert [rule for rule in rules if rule.startswith("local")] == [
        "local all operator peer map=operator",
        "local replication replication peer map=operator",
    ]


def test_the_socket_lets_root_in_as_the_administrator_and_the_workload_for_replication_too() -> None:
    assert configuration.member(settings(), WHERE)["postgresql"]["pg_ident"] == [
        "operator root operator",
        "operator _daemon_ operator",
        "operator _daemon_ replication",
    ]


def test_only_units_may_change_anything_over_the_rest_api() -> None:
    content = configuration.member(settings(), WHERE)
    assert content["restapi"]["allowlist"] == ["127.0.0.1", "10.0.0.10", "10.0.0.11", "10.0.0.12"]


def test_the_founder_names_no_partner_and_others_do() -> None:
    assert configuration.member(settings(partners=frozenset()), WHERE)["raft"]["partner_addrs"] == []
    joined = configuration.member(settings(partners=frozenset({"10.0.0.12", "10.0.0.11"})), WHERE)["raft"]
    assert joined["partner_addrs"] == ["10.0.0.11:2222", "10.0.0.12:2222"]
    assert joined["self_addr"] == "10.0.0.10:2222"


def test_a_new_cluster_has_checksums_scram_and_its_log_on_the_storage() -> None:
    bootstrap = configuration.member(settings(), WHERE)["bootstrap"]
    assert "data-checksums" in bootstrap["initdb"]
    assert {"auth-host": "scram-sha-256"} in bootstrap["initdb"]
    assert {"waldir": str(WHERE.wal_directory)} in bootstrap["initdb"]
    assert bootstrap["dcs"] == configuration.dynamic(2)


def test_all_paths_are_below_the_root() -> None:
    for path, value in leaves(configuration.member(settings(), WHERE)).items():
        if isinstance(value, str) and value.startswith("/"):
            allowed = ("/root-of-a-test/", "/tmp", "/db/", "/bin/true")
            assert value.startswith(allowed), path


@pytest.mark.parametrize("count", range(9))
def test_the_shared_part_is_safe(count: int) -> None:
    content = configuration.dynamic(count)
    assert content["synchronous_mode"] is (count > 0)
    assert content["synchronous_node_count"] == max(count, 1)
    # Patroni refuses less.
    assert content["ttl"] >= content["loop_wait"] + 2 * content["retry_timeout"]
    # A primary that crashes again and again must not keep its lock.
    assert content["primary_start_timeout"] == 0
    assert content["postgresql"]["use_pg_rewind"] is True
    # Data are never thrown away by themselves.
    assert content["postgresql"]["remove_data_directory_on_rewind_failure"] is False
    assert content["postgresql"]["remove_data_directory_on_diverged_timelines"] is False
    assert content["postgresql"]["parameters"]["password_encryption"] == "scram-sha-256"


def test_the_file_is_the_same_for_the_same_settings() -> None:
    one = configuration.member(settings(admitted_addresses=frozenset({"10.0.0.12", "10.0.0.11"})), WHERE)
    other = configuration.member(settings(admitted_addresses=frozenset({"10.0.0.11", "10.0.0.12"})), WHERE)
    assert yaml.safe_dump(one, sort_keys=False) == yaml.safe_dump(other, sort_keys=False)


@pytest.mark.parametrize(
    ("testing", "gibibytes", "buffers", "cache", "maintenance"),
    [
        (True, 64, "128MB", "512MB", "64MB"),
        (False, 8, "2048MB", "6144MB", "512MB"),
        (False, 256, "65536MB", "196608MB", "2048MB"),
        (False, 0, "128MB", "384MB", "32MB"),
    ],
)
def test_parameters(testing: bool, gibibytes: int, buffers: str, cache: str, maintenance: str) -> None:
    assert configuration.parameters(testing, gibibytes * 1024**3) == {
        "shared_buffers": buffers,
        "effective_cache_size": cache,
        "maintenance_work_mem": maintenance,
    }


# The smallest patch

values = strategies.recursive(
    strategies.booleans() | strategies.integers(0, 3) | strategies.text("ab", max_size=2),
    lambda inner: strategies.dictionaries(strategies.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
trees = strategies.dictionaries(strategies.sampled_from("abcd"), values, max_size=4)


def holds(found: typing.Any, wanted: typing.Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(key in found and holds(found[key], wanted[key]) for key in wanted)
    return found == wanted


def without_empty(tree: typing.Any) -> typing.Any:
    if not isinstance(tree, dict):
        return tree
    cleaned = {key: without_empty(value) for key, value in tree.items()}
    return {key: value for key, value in cleaned.items() if value != {}}


def merged(found: typing.Any, patch: dict[str, typing.Any]) -> typing.Any:
    """As Patroni merges (RFC 7396)."""
    result = dict(found) if isinstance(found, dict) else {}
    for key, value in patch.items():
        result[key] = merged(result.get(key), value) if isinstance(value, dict) else value
    return result


@hypothesis.settings(deadline=None)
@hypothesis.given(trees, trees)
def test_the_patch_makes_it_hold_and_is_the_smallest(wanted: dict[str, object], found: dict[str, object]) -> None:
    before = copy.deepcopy((wanted, found))
    patch = configuration.difference(wanted, found)
    assert (wanted, found) == before
    result = merged(found, patch)
    assert holds(result, without_empty(wanted))
    assert configuration.difference(wanted, result) == {}
    for path in leaves(patch):
        # Without any one of its values it would not do.
        smaller = copy.deepcopy(patch)
        below: typing.Any = smaller
        for key in path[:-1]:
            below = below[key]
        del below[path[-1]]
        assert not holds(merged(found, smaller), without_empty(wanted))
    # What only the other has stays.
    for key in set(found) - set(wanted):
        assert result[key] == found[key]


def test_the_patch_of_what_holds_already_is_empty() -> None:
    assert configuration.difference(configuration.dynamic(2), configuration.dynamic(2) | {"pause": True}) == {}


def test_the_fake_merges_as_patroni_does() -> None:
    content: dict[str, typing.Any] = {"a": {"b": 1, "c": 2}}
    fake._merge(content, {"a": {"b": None, "d": 3}})
    assert content == {"a": {"c": 2, "d": 3}}


# Raft partners


@pytest.mark.parametrize(
    ("given", "configured", "expected"),
    [
        pytest.param(known.settled(0, 3), set(), {1, 2}, id="the members that the cluster shows"),
        pytest.param(known.settled(0, 3, cluster=None), {1}, {1}, id="those of before, while nobody answers"),
        pytest.param(known.settled(0, 3, cluster=None), None, {1, 2}, id="all, where none is known"),
        pytest.param(known.settled(0, 3, cluster=None), {7}, {7}, id="as before, while nobody shows any"),
        # With partners that are no members it would need their votes to start again.
        pytest.param(known.settled(0, 3, cluster=None), set(), set(), id="none, where it has founded and is alone"),
        pytest.param(known.settled(0, 3, cluster=known.view(1)), {7}, set(), id="none, where all others have left"),
        pytest.param(known.settled(0, 2, cluster=known.view(3)), {1, 2}, {1}, id="not one that is no unit any more"),
        pytest.param(
            known.settled(0, 3, machine_address="10.0.0.99", raft=known.raft_view(1)),
            set(),
            set(),
            id="none, where the only member has another address",
        ),
        pytest.param(known.new(0, 3), set(), set(), id="the founder has none"),
        pytest.param(known.settled(0, 1), set(), set(), id="a unit alone has none"),
        pytest.param(
            known.settled(0, 3, cluster=None, peers=(known.peer(1), known.peer(2, address=known.address(0)))),
            None,
            {1},
            id="never itself, though another unit still shows its address",
        ),
    ],
)
def test_partners(given: typing.Any, configured: set[int] | None, expected: set[int]) -> None:
    before = machine.Configured()
    if configured is not None:
        before = machine.Configured(known.address(0), frozenset(known.address(each) for each in configured))
    found = member.partners(given, before)
    assert found == {known.address(each) for each in expected}
