"""AKShare as sources: its functions in a process of their own, each call bounded and polite.

Here belongs how a call is made and what its faults mean. Which functions there are is
`akshare_calls`. The sites are hosted in China and are asked directly, never through the tunnel.
"""

import contextlib
import datetime as dt
import json
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import IO, Any, NamedTuple

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Instrument
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.sources import akshare_calls, akshare_worker
from marketdata_assets.resources.sources.akshare_calls import Call
from marketdata_assets.resources.sources.history import Answered, HistorySource

# Importing AKShare takes some ten seconds on a slow machine; the whole history of one instrument,
# a few.
START_SECONDS = 60.0
CALL_SECONDS = 60.0


class Site(NamedTuple):
    """A web site behind AKShare: its name, its host, and what it is asked for an instrument."""

    name: str
    host: str
    call_for: Callable[[Instrument], Call | None]


EASTMONEY = Site("Eastmoney", "push2his.eastmoney.com", akshare_calls.eastmoney)
SINA = Site("Sina", "finance.sina.com.cn", akshare_calls.sina)
SHENWAN = Site("Shenwan", "www.swsresearch.com", akshare_calls.shenwan)
CSINDEX = Site("CSIndex", "www.csindex.com.cn", akshare_calls.csindex)


class CallFailed(MarketdataError):
    """AKShare raised, or was ended for taking too long; the text says which."""


class AkshareWorker:
    """The process, started when first needed and again after it had to be ended.

    One call at a time: the sites behind it ban clients that are in a hurry.
    """

    def __init__(self, call_seconds: float = CALL_SECONDS) -> None:
        self._call_seconds = call_seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, function: str, arguments: dict[str, str]) -> dict[str, list[object]]:
        """The columns of the table that `akshare.<function>` returns. Raises `CallFailed`."""
        with self._lock:
            try:
                if self._process is None or self._process.poll() is not None:
                    self._start()
                answer = self._ask(function, arguments)
            except TimeoutError:
                self._end()
                raise CallFailed(f"no answer within {self._call_seconds:.0f} s.") from None
            except OSError:
                self._end()
                raise CallFailed("AKShare's process ended before it answered.") from None
        if "fault" in answer:
            raise CallFailed(_in_words(answer["fault"], answer["kinds"]))
        columns: dict[str, list[object]] = answer["columns"]
        return columns

    def close(self) -> None:
        with self._lock:
            self._end()

    def _start(self) -> None:
        self._end()
        self._process = subprocess.Popen(
            [sys.executable, "-m", akshare_worker.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        _line_within(self._process.stdout, START_SECONDS)

    def _ask(self, function: str, arguments: dict[str, str]) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        line = json.dumps({"function": function, "arguments": arguments}) + "\n"
        self._process.stdin.write(line.encode())
        answer: dict[str, Any] = json.loads(_line_within(self._process.stdout, self._call_seconds))
        return answer

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with contextlib.suppress(OSError):
                process.communicate()


class AkshareSource(HistorySource):
    """One site behind AKShare."""

    def __init__(self, site: Site, worker: AkshareWorker, allowance: Allowance) -> None:
        self._site, self._worker, self._allowance = site, worker, allowance
        self.name, self.host = site.name, site.host

    def serves(self, instrument: Instrument) -> bool:
        return self._site.call_for(instrument) is not None

    def whole_only(self, instrument: Instrument) -> bool:
        return not self._call(instrument).takes_range

    def name_for(self, instrument: Instrument) -> str:
        return f"{self.name} (AKShare {self._call(instrument).function})"

    def answer(self, instrument: Instrument, first: dt.date, last: dt.date) -> Answered:
        call = self._call(instrument)
        self._allowance.acquire()
        answer = self._worker.call(call.function, call.arguments(instrument, first, last))
        return Answered(_wanted(call, instrument, answer), call.scale, call.unit)

    def _call(self, instrument: Instrument) -> Call:
        call = self._site.call_for(instrument)
        assert call is not None, instrument.code
        return call


def _wanted(
    call: Call, instrument: Instrument, answer: dict[str, list[object]]
) -> dict[str, list[object]]:
    """The answer's columns by our names. Raises `ValueError` for another instrument's."""
    if not answer:
        raise ValueError("the answer is empty: the site does not know the code, or has no data.")
    names = {ours: theirs for ours, theirs in call.columns._asdict().items() if theirs}
    if missing := [
        theirs for theirs in (*names.values(), call.echo) if theirs not in {"", *answer}
    ]:
        raise ValueError(
            f"the answer lacks {', '.join(missing)}: AKShare or the site has changed. Upgrade "
            "akshare, or report it."
        )
    wanted = call.echoed(instrument)
    if call.echo and (others := set(answer[call.echo]) - {wanted}):
        raise ValueError(f"asked for {wanted}, got {others.pop()}.")
    return {ours: answer[theirs] for ours, theirs in names.items()}


def _in_words(fault: str, kinds: list[str]) -> str:
    """What went wrong, for the exceptions AKShare lets through."""
    if "JSONDecodeError" in kinds:
        return "the answer is not JSON: the site is out of order, or turns this machine away."
    if "Timeout" in kinds:
        return f"the site does not answer in time ({fault.partition(':')[0]})."
    if "RequestException" in kinds or "OSError" in kinds:
        return f"the connection failed ({fault.partition(':')[0]})."
    return f"the answer can't be read ({fault}); usually the site has no data for the code."


def _line_within(pipe: IO[bytes] | None, seconds: float) -> bytes:
    """One whole line from an unbuffered pipe. Raises `TimeoutError`, `OSError` at its end."""
    assert pipe is not None
    deadline = time.monotonic() + seconds
    raw = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while not raw.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise TimeoutError
            piece = pipe.read(1 << 20)
            if not piece:
                raise BrokenPipeError
            raw += piece
    return raw
