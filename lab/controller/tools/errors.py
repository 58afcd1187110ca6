"""What a hook tool can end with other than an answer."""

from __future__ import annotations


class ToolError(Exception):
    """A tool failed at run time: ``ERROR <message>`` on standard error, exit status 1."""

    code = 1


class UsageError(ToolError):
    """The tool was called wrongly: same form, exit status 2."""

    code = 2


class PermissionDeniedError(ToolError):
    """The caller may not do this; ops looks for the words in the message."""

    def __init__(self, message: str = "permission denied") -> None:
        super().__init__(message)


class NotLeaderError(ToolError):
    """Only the leader may do this."""

    def __init__(self) -> None:
        super().__init__("this unit is not the leader")


class FilesNeededError(Exception):
    """The tool must see files of the caller's machine (``-`` is its standard input) before it can do anything."""

    def __init__(self, *paths: str) -> None:
        super().__init__(*paths)
        self.paths = paths
