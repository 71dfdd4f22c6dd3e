"""Taking turns: what only a few callers may have at once, and only some more may wait for.

Here belongs the queue in front of work that is heavy. Who has hung up leaves it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request

from marketdata_assets.api.errors import ApiError

LOOK_EVERY = 0.25
# What servers write into their logs of a caller who has gone; nobody reads it.
HUNG_UP = 499


class Turns:
    """Up to `at_once` callers are in, up to `waiting` more in the queue, in their order."""

    def __init__(self, at_once: int, waiting: int, what: str) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._waiting, self._most_waiting, self._what = 0, waiting, what

    @asynccontextmanager
    async def one(self, caller: Request) -> AsyncIterator[None]:
        """A turn. Raises `ApiError` 429 when too many wait already."""
        await self._wait(caller)
        try:
            yield
        finally:
            self._free.release()

    async def _wait(self, caller: Request) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        if self._waiting >= self._most_waiting:
            raise ApiError(
                429,
                f"{self._waiting} callers wait for {self._what} already, which is the limit. Ask "
                "again in a moment.",
            )
        self._waiting += 1
        turn = asyncio.ensure_future(self._free.acquire())
        try:
            is_next = False
            while not is_next:
                is_next = bool((await asyncio.wait({turn}, timeout=LOOK_EVERY))[0])
                # Also when it is their turn: nothing heavy is done for nobody.
                if await caller.is_disconnected():
                    raise ApiError(HUNG_UP, "The caller has hung up.")
        except BaseException:
            if not turn.cancel():
                # It came at the same moment: the next one may have it.
                self._free.release()
            raise
        finally:
            self._waiting -= 1
