"""What a call waits for, without a thread: its turn at what is heavy, and what is not stored.

Here belongs the waiting, for the queue too where another process holds it: slices need the threads.
Who has hung up waits no longer. The queue is `serving.requests`; who materializes what is requested
is not known here, only that the request ends one day.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from fastapi import Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from marketdata_assets.api.app_state import AppState
from marketdata_assets.api.encoding import json_response
from marketdata_assets.api.errors import ApiError
from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Instrument
from marketdata_assets.serving.request_database import QueueNotReady
from marketdata_assets.serving.requests import Request as Requested
from marketdata_assets.serving.requests import State, TooManyOpen

# The first look is soon, as a request may be done already; later ones bother the queue less.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
SECONDS_FOR_THE_QUEUE = 2.0
LOOK_EVERY = 0.25
# What servers write into their logs of a caller who has gone; nobody reads it.
HUNG_UP = 499

T = TypeVar("T")


async def from_queue(ask: Callable[[], T]) -> T:
    """What the queue answers, however often it has to be asked.

    Raises `QueueNotReady` after `SECONDS_FOR_THE_QUEUE`, and what `ask` raises.
    """
    until = time.monotonic() + SECONDS_FOR_THE_QUEUE
    while True:
        try:
            return await run_in_threadpool(ask)
        except QueueNotReady:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(FIRST_PAUSE)


class Waiting:
    """Requests histories and waits for them, up to the seconds that the caller has."""

    def __init__(self, state: AppState) -> None:
        self._state = state

    async def for_one(
        self, instrument: Instrument, seconds: float | None, caller: Request, renew: bool = False
    ) -> Response | None:
        """None when the request is done, else a 202 that says where to look.

        Raises `ApiError` 502 with what the request failed of, 429 when too many are open.
        """
        requested = await self._ask(instrument, renew)
        [requested] = await self._ended([requested], seconds, caller)
        if requested.state is State.FAILED:
            raise self._failed(instrument, requested)
        return self._accepted(instrument, requested) if requested.state.is_open else None

    async def for_all(
        self, instruments: Sequence[Instrument], seconds: float | None, caller: Request
    ) -> dict[str, MarketdataError]:
        """Why there is still nothing of some of `instruments`, by their codes."""
        refused: dict[str, MarketdataError] = {}
        asked: dict[str, Requested] = {}
        for instrument in instruments:
            try:
                asked[instrument.code] = await self._ask(instrument, renew=False)
            except TooManyOpen as full:
                refused[instrument.code] = full
            except QueueNotReady as why:
                refused |= {one.code: why for one in instruments}
                break
        ended = await self._ended(list(asked.values()), seconds, caller)
        for instrument, requested in zip(
            [one for one in instruments if one.code in asked], ended, strict=True
        ):
            if requested.state is State.FAILED:
                refused[instrument.code] = self._failed(instrument, requested)
            elif requested.state.is_open:
                refused[instrument.code] = ApiError(
                    202, _message(instrument), **self._place(requested)
                )
        return refused

    async def _ask(self, instrument: Instrument, renew: bool) -> Requested:
        return await from_queue(
            partial(self._state.requests.request_history, instrument.code, refresh=renew)
        )

    async def _ended(
        self, requests: Sequence[Requested], seconds: float | None, caller: Request
    ) -> list[Requested]:
        """The requests as they are when all have ended, the time is up or the caller has gone."""
        if seconds is None:
            seconds = self._state.settings.limits.default_wait
        until, pause = time.monotonic() + seconds, FIRST_PAUSE
        latest = list(requests)
        with self._state.metrics.waiting.track_inprogress():
            while any(one.state.is_open for one in latest):
                left = until - time.monotonic()
                if left <= 0 or await caller.is_disconnected():
                    break
                await asyncio.sleep(min(pause, left))
                pause = min(pause * 1.5, LONGEST_PAUSE)
                # The caller knows how to look for it; until then nothing has ended.
                with suppress(QueueNotReady):
                    latest = await run_in_threadpool(self._look, latest)
        return latest

    def _look(self, requests: Sequence[Requested]) -> list[Requested]:
        get = self._state.requests.get
        return [get(one.id) if one.state.is_open else one for one in requests]

    def _failed(self, instrument: Instrument, requested: Requested) -> ApiError:
        return ApiError(
            502,
            requested.error or "The request failed without a reason.",
            code=instrument.code,
            asset_type=instrument.kind,
            **self._place(requested),
        )

    def _accepted(self, instrument: Instrument, requested: Requested) -> Response:
        place = self._place(requested)
        body = {
            "code": instrument.code,
            "asset_type": instrument.kind,
            "message": _message(instrument),
            **place,
        }
        return json_response(body, 202, {"Location": place["status_url"], "Retry-After": "5"})

    def _place(self, requested: Requested) -> dict[str, str]:
        url = self._state.place(f"/api/v1/requests/{requested.id}")
        return {"request_id": requested.id, "status": requested.state.value, "status_url": url}


def _message(instrument: Instrument) -> str:
    return (
        f"{instrument.code} is requested and not there yet. Ask again, or see status_url. It is "
        "fetched as long as Dagster's daemon runs."
    )


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
