"""Which workload version may follow which. Pure.

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


def _parts(version: str) -> tuple[int, int, int]:
    numbers = [int(part) for part in version.split(".")]
    if not 2 <= len(numbers) <= 3:
        raise ValueError(f"version {version!r} has {len(numbers)} parts, not 2 or 3")
    major, minor, patch = [*numbers, 0][:3]
    return major, minor, patch
