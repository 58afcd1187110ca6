"""Copying files as scp does: two shell scripts joined by a pipe, each on this host or in a machine.

The sender writes a tar archive, the receiver unpacks it, so modes, links and whole directories survive.
"""

from __future__ import annotations

import collections.abc
import re
import shlex
import subprocess

_WILDCARDS = re.compile(r"([*?]|\[[^\]/ ]+\])")

_SEND = """
status=0
for file in {paths}; do
    if [ ! -e "$file" ]; then
        echo "scp: $file: No such file or directory" >&2; status=1
    elif [ -d "$file" ] && [ {recursive} = no ]; then
        echo "scp: $file: not a regular file" >&2; status=1
    fi
done
if [ $status != 0 ]; then tar --create --file - --files-from /dev/null; exit $status; fi
for file in {paths}; do
    file=$(realpath --no-symlinks -- "$file")
    tar --create --dereference --file - --directory "$(dirname -- "$file")" -- "$(basename -- "$file")" || exit 1
done
"""

_RECEIVE = """
target={target}
unpack() {{ tar --extract --no-same-owner --ignore-zeros --file - --directory "$1"; }}
if [ -d "$target" ]; then
    unpack "$target"; exit
elif [ {several} = yes ]; then
    echo "scp: $target: No such file or directory" >&2; cat >/dev/null; exit 1
fi
aside=$(mktemp --directory) || exit 1
unpack "$aside"; status=$?
set --
for file in "$aside"/* "$aside"/.[!.]*; do [ ! -e "$file" ] || set -- "$@" "$file"; done
if [ $# -gt 1 ]; then
    echo "scp: $target: No such file or directory" >&2; status=1
elif [ $# = 1 ]; then
    mv --no-target-directory -- "$1" "$target" || status=1
fi
rm --recursive --force -- "$aside"
exit $status
"""


def send_script(paths: collections.abc.Sequence[str], *, recursive: bool, expand: bool) -> str:
    """The sender's script.

    Args:
        paths: what to send.
        recursive: whether directories may be among it.
        expand: whether the script's shell expands patterns in the paths, as scp does on the remote side.
    """
    words = " ".join(_pattern(path) if expand else shlex.quote(path) for path in paths)
    return _SEND.format(paths=words, recursive="yes" if recursive else "no")


def _pattern(path: str) -> str:
    """The path quoted for a shell, except what makes a pattern of it; those of scp know nothing of words."""
    path = path.removeprefix("~/") or "."
    return "".join(
        part if index % 2 else shlex.quote(part) for index, part in enumerate(_WILDCARDS.split(path)) if part
    )


def receive_script(target: str, *, several: bool) -> str:
    """The receiver's script; several files can only go into a directory that is there."""
    return _RECEIVE.format(target=shlex.quote(target or "."), several="yes" if several else "no")


def run(sender: collections.abc.Sequence[str], receiver: collections.abc.Sequence[str]) -> int:
    """Join the two command lines and return 0 if both succeeded, else the status of the first that failed."""
    with (
        subprocess.Popen(sender, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as sending,
        subprocess.Popen(receiver, stdin=sending.stdout) as receiving,
    ):
        assert sending.stdout is not None
        sending.stdout.close()  # so that the sender sees it when the receiver ends early
        received = receiving.wait()
        return sending.wait() or received
