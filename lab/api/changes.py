"""Wakes coroutines when the store has changed, whichever thread changed it."""

from __future__ import annotations

import asyncio
import contextlib

from lab.controller import store as store_module


class Changes:
    """Tells one event loop of the store's changes."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next = asyncio.Event()

    def follow(self, store: store_module.Store) -> None:
        """Begins to tell the loop that runs now."""
        self._loop = asyncio.get_running_loop()
        store.subscribe(self._changed)

    def _changed(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._next.set()
        self._next = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        """Set at the next change. To miss none, take it before looking at the store."""
        return self._next
