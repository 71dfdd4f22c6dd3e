import datetime as dt
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from marketdata_assets.instruments import identify
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.sources.history import History, SourceFailed
from marketdata_assets.resources.sources.tushare_history import TushareHistory
from marketdata_assets_tests.resources.serving import client_of
from marketdata_assets_tests.small_market import SmallMarket
from marketdata_sandbox.protocol import Refusal, TushareProtocol
from marketdata_sandbox.server import TushareServer

FIRST, LAST = dt.date(2015, 1, 1), dt.date(2025, 12, 31)
DAYS = ["20250401", "20250402", "20250403"]
ROWS = [[10.0, 10.6, 9.9, 10.5, 5621204.03, 126000.5] for _ in DAYS]
CAPS = {"daily": 6_000, "fund_daily": 2_000, "index_daily": 8_000, "fut_daily": 2_000}
CAPS |= {"index_global": 4_000, "cb_daily": 2_000, "hk_daily": 5_000, "us_daily": 6_000}


class OneCode(TushareProtocol):
    """Answers every call for bars of one code with three days; notes what it was asked.

    Which contract was a main one it does not know.
    """

    def __init__(self) -> None:
        super().__init__(SmallMarket())
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.refusal: Refusal | None = None
        self.code: str | None = None
        self.has_more = False

    def answer(self, body: bytes) -> bytes:
        request = json.loads(body)
        call, params = request["api_name"], request["params"]
        if call == "fut_mapping":
            data = {"fields": request["fields"].split(","), "items": [], "has_more": False}
            return json.dumps({"code": 0, "msg": "", "data": data}).encode()
        self.asked.append((call, params))
        if self.refusal:
            reply = {"code": self.refusal.code, "msg": str(self.refusal), "data": None}
            return json.dumps(reply).encode()
        values = dict(zip(("open", "high", "low", "close", "vol", "amount"), ROWS[0], strict=True))
        fields = request["fields"].split(",")
        items = [
            [
                {"ts_code": self.code or params["ts_code"], "trade_date": day, **values}[name]
                for name in fields
            ]
            for day in DAYS[::-1]
            if params["start_date"] <= day <= params["end_date"]
        ]
        data = {"fields": fields, "items": items, "has_more": self.has_more}
        return json.dumps({"code": 0, "msg": "", "data": data}).encode()


@pytest.fixture
def vendor() -> OneCode:
    return OneCode()


@pytest.fixture
def tushare(vendor: OneCode, allowance: Allowance, tmp_path: Path) -> Iterator[TushareHistory]:
    with TushareServer(vendor).running() as server:
        own = Allowance(60_000, tmp_path / "allowance.sqlite")
        client = client_of(own, server.url, sleep=lambda seconds: None)
        yield TushareHistory(server.url, lambda: client)
        client.close()


def ask(tushare: TushareHistory, code: str) -> History:
    return tushare.history(identify(code), FIRST, LAST)


@pytest.mark.parametrize(
    ("code", "call", "volume", "turnover"),
    [
        ("600000.SH", "daily", 562120403.0, 126000500.0),
        ("000001.SZ", "daily", 562120403.0, 126000500.0),
        ("920002.BJ", "daily", 562120403.0, 126000500.0),
        ("513100.SH", "fund_daily", 562120403.0, 126000500.0),
        ("000300.SH", "index_daily", 562120403.0, 126000500.0),
        ("H30269.CSI", "index_daily", 562120403.0, 126000500.0),
        ("508000.SH", "fund_daily", 562120403.0, 126000500.0),
        ("184692.SZ", "fund_daily", 562120403.0, 126000500.0),
        ("AU.SHF", "fut_daily", 5621204.03, 1260005000.0),
        ("M.DCE", "fut_daily", 5621204.03, 1260005000.0),
        ("TA2501.ZCE", "fut_daily", 5621204.03, 1260005000.0),
        ("113050.SH", "cb_daily", None, 1260005000.0),
        ("801010.SI", "sw_daily", None, None),
        ("00700.HK", "hk_daily", 5621204.03, 126000.5),
        ("AAPL", "us_daily", None, None),
        ("SPX", "index_global", None, None),
    ],
)
def test_each_kind_has_its_call_and_its_units(
    tushare: TushareHistory,
    vendor: OneCode,
    code: str,
    call: str,
    volume: float | None,
    turnover: float | None,
) -> None:
    bars = ask(tushare, code).bars.to_pylist()
    assert [f"{bar['date']:%Y%m%d}" for bar in bars] == DAYS
    assert {(bar["volume"], bar["turnover"]) for bar in bars} == {(volume, turnover)}
    assert {(name, params["ts_code"]) for name, params in vendor.asked} == {(call, code)}


@pytest.mark.parametrize(("code", "theirs"), [("HSTECH.HK", "HKTECH"), ("C.US", "C")])
def test_the_vendors_name_is_used(
    tushare: TushareHistory, vendor: OneCode, code: str, theirs: str
) -> None:
    ask(tushare, code)
    assert {params["ts_code"] for _, params in vendor.asked} == {theirs}


@pytest.mark.parametrize(
    "code", ["600000.SH", "513100.SH", "000300.SH", "AU.SHF", "N225", "113050.SH", "AAPL"]
)
def test_a_stretch_stays_below_the_cap_of_rows_and_none_is_left_out(
    tushare: TushareHistory, vendor: OneCode, code: str
) -> None:
    ask(tushare, code)
    spans = sorted((params["start_date"], params["end_date"]) for _, params in vendor.asked)
    assert spans[0][0] == "20150101"
    assert spans[-1][1] == "20251231"
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert _day(end) + dt.timedelta(1) == _day(start)
    for start, end in spans:
        weekdays = (_day(end) - _day(start)).days * 5 / 7 + 5
        assert weekdays < CAPS[vendor.asked[0][0]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda vendor: setattr(vendor, "has_more", True), "index_daily is cut at"),
        (lambda vendor: setattr(vendor, "code", "000905.SH"), "got 000905.SH"),
        (
            lambda vendor: setattr(
                vendor, "refusal", Refusal(40203, "抱歉，您没有接口(index_daily)访问权限")
            ),
            "points don't open this call",
        ),
    ],
)
def test_a_call_that_is_cut_wrong_or_not_permitted_is_a_failure_of_this_source(
    tushare: TushareHistory, vendor: OneCode, change: Callable[[OneCode], None], said: str
) -> None:
    change(vendor)
    with pytest.raises(SourceFailed, match=said):
        ask(tushare, "000300.SH")


def _day(text: str) -> dt.date:
    return dt.datetime.strptime(text, "%Y%m%d").date()
