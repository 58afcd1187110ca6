"""Which versions of the workload and of the charm may follow which. Pure.

PostgreSQL guarantees that minor releases of one major version share the data format and may replace each other upwards
(PostgreSQL documentation, "Upgrading a PostgreSQL Cluster"); a downgrade is only a rollback, which charm-refresh
recognises by itself.
"""


def workload_is_compatible(old: str, new: str) -> bool:
    """Whether PostgreSQL `new` may take over from `old`: versions such as 16.15, or with a third part.

    False where one cannot be read.
    """
    try:
        old_parts, new_parts = _parts(old), _parts(new)
    except ValueError:
        return False
    return old_parts[0] == new_parts[0] and new_parts >= old_parts


def charm_may_follow(old: str, new: str) -> bool:
    """Whether charm code of version `new` may run on what that of version `old` has written: not less new, same track.

    Builds off a tag count as the release that they were made after. They may follow each other, since only developers
    have them. False where a version cannot be read.
    """
    try:
        (old_track, old_release), (new_track, new_release) = _release(old), _release(new)
    except ValueError:
        return False
    return old_track == new_track and old_release[0] == new_release[0] and new_release >= old_release


def short(version: str) -> str:
    """A charm's version without what tells builds off a tag apart."""
    track, release = _release(version)
    return f"{track}/{'.'.join(str(number) for number in release)}"


def _parts(version: str) -> tuple[int, int, int]:
    numbers = [int(part) for part in version.split(".")]
    if not 2 <= len(numbers) <= 3:
        raise ValueError(f"version {version!r} has {len(numbers)} parts, not 2 or 3")
    major, minor, patch = [*numbers, 0][:3]
    return major, minor, patch


def _release(version: str) -> tuple[str, tuple[int, int, int]]:
    """Track and release of a charm's version, such as 16/1.2.0 or 16/1.2.0.post1.dev0+71201f4."""
    track, slash, rest = version.partition("/")
    numbers = rest.split(".")[:3]
    if not slash or len(numbers) < 3 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise ValueError(f"charm version {version!r} is not TRACK/X.Y.Z")
    major, minor, patch = (int(number) for number in numbers)
    return track, (major, minor, patch)
