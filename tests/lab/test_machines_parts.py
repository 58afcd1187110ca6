"""The parts of machines that need no machine."""

from __future__ import annotations

import pytest

from lab.machines import groups, mount_ids, network, storage


def test_a_file_system_table_gets_an_entry_once():
    table = "# a comment\nUUID=x / ext4 defaults 0 1\n"
    once = storage.with_entry(table, "data-0", "/srv/data", "directory")
    assert once.startswith(table)
    assert once.splitlines()[-1].split()[:3] == ["/var/lib/juju/storage-pool/data-0", "/srv/data", "none"]
    assert storage.with_entry(once, "data-0", "/srv/data", "directory") == once


def test_a_file_system_table_loses_only_the_entry_that_is_meant():
    table = storage.with_entry("", "data-0", "/srv/data", "directory")
    both = storage.with_entry(table, "data-1", "/srv/data2", "image")
    assert storage.without_entry(both, "/srv/data2") == table
    assert storage.without_entry(both, "/srv") == both
    assert storage.without_entry("# x /srv/data2\n\n", "/srv/data2") == "# x /srv/data2\n\n"


def test_a_place_with_a_space_is_one_field():
    table = storage.with_entry("", "data-0", "/srv/my data", "image")
    assert table.split()[1:3] == ["/srv/my\\040data", "ext4"]
    assert storage.without_entry(table, "/srv/my data") == ""


def test_storage_that_is_there_is_kept(tmp_path):
    storage.ensure(tmp_path / "pool/data", "directory", None)
    (tmp_path / "pool/data/file").write_text("kept")
    storage.ensure(tmp_path / "pool/data", "directory", None)
    storage.ensure(tmp_path / "pool/data", "image", 1 << 20)
    assert (tmp_path / "pool/data/file").read_text() == "kept"


def test_an_image_has_its_size_and_takes_none_until_it_is_used(tmp_path):
    storage.ensure(tmp_path / "image", "image", 256 << 20)
    status = (tmp_path / "image").stat()
    assert status.st_size == 256 << 20
    assert status.st_blocks * 512 < 32 << 20
    with pytest.raises(ValueError, match="size"):
        storage.ensure(tmp_path / "other", "image", None)


def _counters(**start: int):
    """Processors that draw numbers as Linux does: from a batch of their own, and from a new one when it is used up."""
    following = {int(name[1:]): number for name, number in start.items()}
    batches = [max(following.values()) // 4096 + 1]

    def next_id(processor: int) -> int:
        number = following[processor]
        following[processor] += 1
        if following[processor] % 4096 == 0:
            following[processor] = batches[0] * 4096
            batches[0] += 1
        return number

    return following, next_id


def test_the_processor_with_the_smallest_number_is_chosen():
    _, next_id = _counters(p0=8200, p1=5000, p2=12300)
    assert mount_ids.choose([0, 1, 2], next_id) == 1


def test_a_batch_that_may_run_out_is_used_up_first():
    following, next_id = _counters(p0=8200, p1=4096 * 2 - 3)
    chosen = mount_ids.choose([0, 1], next_id)
    assert chosen == 0
    assert all(following[chosen] + 30 < number for processor, number in following.items() if processor != chosen)


def test_it_does_not_matter_where_the_kernel_does_not_tell():
    assert mount_ids.choose([0, 1], lambda _: None) is None


def test_subnets():
    assert network.gateway("198.18.7.0/24") == "198.18.7.1"
    free = network.addresses("198.18.7.0/24")
    assert (free[0], free[-1], len(free)) == ("198.18.7.10", "198.18.7.254", 245)
    assert network.moved("198.18.7.10", "198.19.1.0/24") == "198.19.1.10"


def test_the_leader_of_a_group_is_the_first_process_of_a_namespace(tmp_path):
    assert groups.leader(tmp_path) is None
    (tmp_path / "payload/init.scope").mkdir(parents=True)
    (tmp_path / "payload/init.scope/cgroup.procs").write_text("999999999\n")
    assert groups.leader(tmp_path) is None
