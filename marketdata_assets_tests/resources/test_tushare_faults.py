"""Every fault of the wire and of the vendor: which exception, asked how often, told how.

Here belong faults of one call. What an answer without fault may hold is `test_tushare_answers`.
"""

import functools
import json
import pickle
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from marketdata_assets.resources import tushare_errors as errors
from marketdata_assets.resources.tushare_client import ATTEMPTS, MINUTES_TO_WAIT_FOR_RATE
from marketdata_assets.resources.tushare_errors import TushareError
from marketdata_assets.tables import DAILY_KLINE
from marketdata_assets_tests.resources.serving import (
    DAY,
    TOKEN,
    WakefulTushare,
    serving,
    tushare_at,
)
from marketdata_assets_tests.small_market import CODES, SmallMarket
from marketdata_sandbox import faults
from marketdata_sandbox.faults import Fault
from marketdata_sandbox.server import TushareServer

ENOUGH = 50
READABLE_PART = 8

NEW_RATE = "抱歉，您访问接口(daily)频率超限(500次/分钟)"
OLD_RATE = "抱歉，您每分钟最多访问该接口500次，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。"
NO_PERMISSION = "抱歉，您没有接口(daily)访问权限，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。"


class Case(NamedTuple):
    """A fault and what it must become."""

    fault: Fault
    error: type[TushareError]
    bound: float = 30.0


def _null_data() -> Fault:
    return faults.edited(lambda answer: answer.update(data=None))


def _slow_drip_without_a_length(handler: Any, answer: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    for byte in answer:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.05)


TRANSIENT = {
    "500": Case(faults.status(500, "oops", "text/plain"), errors.Unavailable),
    "503": Case(faults.status(503, '{"code": 503, "msg": "busy"}'), errors.Unavailable),
    "429": Case(faults.status(429, '{"detail": "slow down"}'), errors.Unavailable),
    "html": Case(faults.html(), errors.UnreadableAnswer),
    "truncated json": Case(faults.truncated(), errors.UnreadableAnswer),
    "empty body": Case(faults.status(200, ""), errors.UnreadableAnswer),
    "no code": Case(faults.status(200, '{"detail": "hello"}'), errors.UnreadableAnswer),
    "a list": Case(faults.status(200, "[]"), errors.UnreadableAnswer),
    "lists in lists": Case(faults.status(200, "[" * 100_000), errors.UnreadableAnswer),
    "reset": Case(faults.reset(), errors.Unavailable, bound=0.4),
    "body cut short": Case(faults.cut(), errors.Unavailable),
    "slow drip": Case(faults.slow_drip(), errors.CallTimedOut, bound=0.2),
    "no length": Case(_slow_drip_without_a_length, errors.CallTimedOut, bound=0.2),
    "null data": Case(_null_data(), errors.UnreadableAnswer),
    "vendor's own trouble": Case(faults.refusal(50000, "系统内部错误"), errors.Unavailable),
}
RATE = {
    "new rate": Case(faults.refusal(40203, NEW_RATE), errors.RateLimited),
    "new rate as message": Case(faults.refusal(40203, NEW_RATE, "message"), errors.RateLimited),
    "old rate": Case(faults.refusal(-2002, OLD_RATE), errors.RateLimited),
    "old rate as message": Case(faults.refusal(40203, OLD_RATE, "message"), errors.RateLimited),
}
REFUSED = {
    "404 with json": Case(faults.status(404, '{"code": 404, "msg": "no"}'), errors.HttpRefused),
    "403 page": Case(faults.status(403, "<html>no</html>", "text/html"), errors.HttpRefused),
    "bad token": Case(faults.refusal(40101, "您的token不对，请确认。"), errors.BadToken),
    "bad key": Case(faults.refusal(40001, "invalid api key"), errors.BadToken),
    "bad token, no text": Case(faults.refusal(40101, ""), errors.BadToken),
    "permission": Case(faults.refusal(40203, NO_PERMISSION), errors.NoPermission),
    "permission as message": Case(
        faults.refusal(40203, NO_PERMISSION, "message"), errors.NoPermission
    ),
    "daily quota": Case(
        faults.refusal(40203, "抱歉，您每天最多访问该接口5次"), errors.QuotaExhausted
    ),
    "daily quota by code": Case(faults.refusal(40201, "no more"), errors.QuotaExhausted),
    # Both seen in 2026 on accounts of few points. A refused call counts against the day's quota.
    "daily quota told as rate": Case(
        faults.refusal(40203, "抱歉，您访问接口(daily)频率超限(5次/天)"),
        errors.QuotaExhausted,
    ),
    "hourly quota told as rate": Case(
        faults.refusal(40203, "抱歉，您访问接口(daily)频率超限(1次/小时)"),
        errors.QuotaExhausted,
    ),
    "too many addresses": Case(
        faults.refusal(40204, "您的IP数量超限，最大数量为2个！"), errors.TooManyAddresses
    ),
    "missing parameter": Case(faults.refusal(50101, "必填参数, ts_code"), errors.BadRequest),
    "unknown code": Case(faults.refusal(12345, "新的错误"), errors.BadRequest),
}
EVERY_CASE = {**TRANSIENT, **RATE, **REFUSED}

# Answers that show the token: a server may echo the request, whole or up to where it is cut.
ECHOES = {
    "404 echo": faults.status(404, f'{{"token": "{TOKEN}"}}'),
    "404 echo at the excerpt's end": faults.status(404, "x" * 140 + TOKEN),
    "html echo": faults.status(200, f"<html>{TOKEN}</html>", "text/html"),
    "html echo at the excerpt's end": faults.status(200, "x" * 120 + TOKEN, "text/html"),
    "code echo": faults.refusal(40101, f"您的token({TOKEN})不对"),
    "message echo": faults.refusal(12345, f"unknown {TOKEN} {TOKEN}", "message"),
}


EVERY_FAULT = {
    **EVERY_CASE,
    **{name: Case(fault, TushareError) for name, fault in ECHOES.items()},
}


class Outcome(NamedTuple):
    """What became of a day whose calls all met the same fault."""

    error: TushareError
    printed: str
    requests: int
    naps: list[float]


@pytest.fixture(scope="module")
def outcome_of(state: Path) -> Callable[[str], Outcome]:
    """The outcome of a fault by its name; each is met once for all tests that look at it."""

    @functools.cache
    def outcome_of(name: str) -> Outcome:
        fault, _, bound = EVERY_FAULT[name]
        with serving(SmallMarket()) as server, tushare_at(server, state, 600, bound) as tushare:
            _always(server, fault)
            try:
                tushare.day(DAILY_KLINE, DAY)
            except TushareError as error:
                printed = traceback.format_exc()
                return Outcome(error, printed, len(server.requests), tushare.naps)
        raise AssertionError(f"{name} was not noticed")

    return outcome_of


def _cases(cases: dict[str, Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


def _always(server: TushareServer, fault: Fault) -> None:
    server.faults["daily"] = deque([fault] * ENOUGH)


def _failure(tushare: WakefulTushare) -> TushareError:
    with pytest.raises(TushareError) as raised:
        tushare.day(DAILY_KLINE, DAY)
    return raised.value


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


OutcomeOf = Callable[[str], Outcome]


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_transient_fault_that_stays_is_tried_several_times_and_named(
    outcome_of: OutcomeOf, name: str
) -> None:
    outcome = outcome_of(name)
    assert type(outcome.error) is TRANSIENT[name].error
    assert outcome.requests == ATTEMPTS
    assert len(outcome.naps) == ATTEMPTS - 1
    assert all(nap > 0 for nap in outcome.naps)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_named_and_asked_once(outcome_of: OutcomeOf, name: str) -> None:
    outcome = outcome_of(name)
    assert type(outcome.error) is REFUSED[name].error
    assert outcome.requests == 1
    assert outcome.naps == []


@pytest.mark.parametrize("name", RATE)
def test_a_rate_limit_that_stays_is_waited_out_for_minutes_and_named(
    outcome_of: OutcomeOf, name: str
) -> None:
    outcome = outcome_of(name)
    assert type(outcome.error) is RATE[name].error
    assert outcome.requests == MINUTES_TO_WAIT_FOR_RATE


@pytest.mark.parametrize("name", EVERY_CASE)
def test_the_text_names_call_parameters_and_a_cure(outcome_of: OutcomeOf, name: str) -> None:
    error = outcome_of(name).error
    assert "daily(" in str(error)
    assert "trade_date=20250403" in str(error)
    assert type(error).cure
    assert type(error).cure in str(error)


@pytest.mark.parametrize("name", EVERY_FAULT)
def test_no_part_of_the_token_is_shown(outcome_of: OutcomeOf, name: str) -> None:
    outcome = outcome_of(name)
    texts = [outcome.printed, pickle.dumps(outcome.error).decode("latin-1")]
    for link in _chain(outcome.error):
        texts += [str(link), repr(link), repr(link.args), repr(vars(link))]
    parts = [TOKEN[n : n + READABLE_PART] for n in range(len(TOKEN) - READABLE_PART + 1)]
    assert [part for part in parts for text in texts if part in text] == []


@pytest.mark.parametrize("name", EVERY_FAULT)
def test_no_exception_of_the_chain_carries_the_request(outcome_of: OutcomeOf, name: str) -> None:
    carried = [getattr(link, "request", None) for link in _chain(outcome_of(name).error)]
    assert [request for request in carried if request is not None] == []


@pytest.mark.parametrize("name", EVERY_CASE)
def test_an_error_survives_the_way_to_another_process(outcome_of: OutcomeOf, name: str) -> None:
    error = outcome_of(name).error
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.call, arrived.what) == (str(error), error.call, error.what)


@_cases(TRANSIENT | RATE)
def test_one_transient_fault_goes_unnoticed(server: TushareServer, state: Path, case: Case) -> None:
    server.faults["daily"] = deque([case.fault])
    # A bound that the good answer keeps on a busy machine too.
    with tushare_at(server, state, call_bound_seconds=min(case.bound * 4, 30)) as tushare:
        assert tushare.day(DAILY_KLINE, DAY)["ts_code"].to_pylist() == list(CODES)
        assert len(server.requests) == 2
        assert len(tushare.naps) == 1


@_cases(RATE)
def test_after_a_rate_limit_the_client_sleeps_into_the_next_minute(
    server: TushareServer, tushare: WakefulTushare, case: Case
) -> None:
    server.faults["daily"] = deque([case.fault])
    before = time.time()
    tushare.day(DAILY_KLINE, DAY)
    after = time.time()
    (nap,) = tushare.naps
    assert (after + nap) // 60 > before // 60
    assert nap <= 61


def test_a_transient_fault_after_rate_limits_is_still_tried_again(
    server: TushareServer, tushare: WakefulTushare
) -> None:
    limited = [RATE["new rate"].fault] * (ATTEMPTS - 1)
    server.faults["daily"] = deque([*limited, TRANSIENT["503"].fault])
    assert tushare.day(DAILY_KLINE, DAY).num_rows == len(CODES)


def test_headers_that_drip_are_given_up_as_well(server: TushareServer, state: Path) -> None:
    client_hung_up = threading.Event()

    def drip_headers(handler: Any, answer: bytes) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        try:
            for _ in range(40):
                handler.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            client_hung_up.set()
            raise
        handler.wfile.write(b"\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)

    server.faults["daily"] = deque([drip_headers])
    with tushare_at(server, state, call_bound_seconds=1) as tushare:
        tushare.day(DAILY_KLINE, DAY)
    assert client_hung_up.wait(10)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_does_not_carry_the_token_to_another_host(
    server: TushareServer, tushare: WakefulTushare, status: int
) -> None:
    with serving(SmallMarket()) as other:

        def redirect(handler: Any, answer: bytes) -> None:
            handler.send_response(status)
            handler.send_header("Location", f"{other.url}/daily")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        _always(server, redirect)
        _failure(tushare)
        assert other.requests == []


@pytest.mark.parametrize("data", [{}, {"items": []}, {"fields": None, "items": []}, {"fields": []}])
def test_an_answer_without_fields_or_items_is_unreadable(
    server: TushareServer, tushare: WakefulTushare, data: dict[str, Any]
) -> None:
    _always(server, faults.status(200, json.dumps({"code": 0, "msg": "", "data": data})))
    assert type(_failure(tushare)) is errors.UnreadableAnswer
