import datetime as dt
import json
import subprocess
import sys
import threading

import pytest

from marketdata_assets.instruments import identify
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.sources import akshare_worker
from marketdata_assets.resources.sources.akshare import (
    CSINDEX,
    EASTMONEY,
    SHENWAN,
    SINA,
    AkshareSource,
    AkshareWorker,
    Site,
)
from marketdata_assets.resources.sources.history import SourceFailed
from marketdata_assets_tests.resources.sources.china_sites import (
    DAYS,
    PRICES,
    ROWS,
    SHARES,
    YUAN,
    china_sites,
)
from marketdata_assets_tests.resources.web_server import Asked, Reply, WebServer

FIRST, LAST = dt.date(2015, 1, 1), dt.date(2025, 12, 31)
WITH_TURNOVER = [
    (EASTMONEY, "600000.SH"),
    (EASTMONEY, "000001.SZ"),
    (EASTMONEY, "920002.BJ"),
    (EASTMONEY, "688981.SH"),
    (EASTMONEY, "900901.SH"),
    (EASTMONEY, "200002.SZ"),
    (EASTMONEY, "510300.SH"),
    (EASTMONEY, "159915.SZ"),
    (EASTMONEY, "501018.SH"),
    (EASTMONEY, "000300.SH"),
    (EASTMONEY, "399006.SZ"),
    (EASTMONEY, "H30269.CSI"),
    (EASTMONEY, "508000.SH"),
    (EASTMONEY, "180101.SZ"),
    (EASTMONEY, "500038.SH"),
    (EASTMONEY, "184692.SZ"),
    (EASTMONEY, "00700.HK"),
]
WITHOUT_TURNOVER = [
    (EASTMONEY, "CL.NYM"),
    (SINA, "000300.SH"),
    (SINA, "399006.SZ"),
    (SINA, "510300.SH"),
    (SINA, "159915.SZ"),
    (SINA, "AU.SHF"),
    (SINA, "CU.SHF"),
    (SINA, "M.DCE"),
    (SINA, "TA.ZCE"),
    (SINA, "IF.CFX"),
    (SINA, "SC.INE"),
    (SINA, "SI.GFE"),
    (SINA, "RB2501.SHF"),
    (SINA, "TA2501.ZCE"),
    (SINA, "508000.SH"),
    (SINA, "184692.SZ"),
    (SINA, "CL.NYM"),
]
PRICES_ALONE = [
    (EASTMONEY, "HSI"),
    (EASTMONEY, "SPX"),
    (EASTMONEY, "N225"),
    (EASTMONEY, "GDAXI"),
    (SINA, "HSI"),
    (SINA, "HSTECH.HK"),
    (SINA, "NDX"),
    (SINA, "SPX"),
    (SINA, "N225"),
    (SINA, "GDAXI"),
    (SINA, "113050.SH"),
    (SINA, "127045.SZ"),
    (SHENWAN, "801010.SI"),
]


def bars_of(
    worker: AkshareWorker,
    allowance: Allowance,
    site: Site,
    code: str,
    first: dt.date = FIRST,
    last: dt.date = LAST,
) -> list[dict[str, object]]:
    source = AkshareSource(site, worker, allowance)
    return source.history(identify(code), first, last).bars.to_pylist()


def expected(with_volume: bool, with_turnover: bool) -> list[dict[str, object]]:
    return [
        {
            "date": day,
            "open": prices[0],
            "high": prices[1],
            "low": prices[2],
            "close": prices[3],
            "volume": shares if with_volume else None,
            "turnover": yuan if with_turnover else None,
        }
        for day, prices, shares, yuan in ROWS
    ]


def ids(cases: list[tuple[Site, str]]) -> list[str]:
    return [f"{site.name} {code}" for site, code in cases]


@pytest.mark.parametrize(("site", "code"), WITH_TURNOVER, ids=ids(WITH_TURNOVER))
def test_lots_become_shares_and_turnover_stays_money(worker, allowance, site, code) -> None:
    assert bars_of(worker, allowance, site, code) == expected(True, True)


@pytest.mark.parametrize(("site", "code"), WITHOUT_TURNOVER, ids=ids(WITHOUT_TURNOVER))
def test_shares_and_contracts_stay_what_they_are(worker, allowance, site, code) -> None:
    assert bars_of(worker, allowance, site, code) == expected(True, False)


@pytest.mark.parametrize(("site", "code"), PRICES_ALONE, ids=ids(PRICES_ALONE))
def test_a_volume_nobody_states_the_unit_of_is_left_out(worker, allowance, site, code) -> None:
    assert bars_of(worker, allowance, site, code) == expected(False, False)


def test_ten_thousand_lots_and_hundred_millions_of_the_index_company(worker, allowance) -> None:
    bars = bars_of(worker, allowance, CSINDEX, "H30269.CSI")
    assert [bar["volume"] for bar in bars] == SHARES
    assert [bar["turnover"] for bar in bars] == YUAN
    assert [bar["open"] for bar in bars] == [None, *(prices[0] for prices in PRICES[1:])]


@pytest.mark.parametrize("site", [EASTMONEY, SINA])
def test_only_the_days_that_were_asked_for_are_given(worker, allowance, site) -> None:
    bars = bars_of(worker, allowance, site, "000300.SH", DAYS[1], DAYS[1])
    assert [bar["date"] for bar in bars] == [DAYS[1]]


def test_the_nasdaq_100_is_asked_from_the_site_that_has_it(
    worker, allowance, sites_proxy: WebServer
) -> None:
    assert not AkshareSource(EASTMONEY, worker, allowance).serves(identify("NDX"))
    bars_of(worker, allowance, SINA, "NDX")
    assert [asked.path for asked in sites_proxy.asked] == ["/staticdata/us/.NDX"]


def refused(worker, allowance, code: str, site: Site = EASTMONEY) -> str:
    with pytest.raises(SourceFailed) as failure:
        bars_of(worker, allowance, site, code)
    return str(failure.value)


@pytest.mark.parametrize(
    ("site", "code"),
    [(EASTMONEY, "600000.SH"), (EASTMONEY, "000300.SH"), (CSINDEX, "H30269.CSI"), (SINA, "N225")],
)
@pytest.mark.parametrize("body", [b"<html>busy</html>", b"", b'{"data": {"kli'])
def test_an_answer_that_is_no_json_is_told(
    worker, allowance, sites_proxy, site, code, body
) -> None:
    sites_proxy.replies.append(Reply(body, status=500))
    assert "is not JSON" in refused(worker, allowance, code, site)


def test_a_code_the_site_does_not_know_is_told(worker, allowance) -> None:
    assert "does not know the code" in refused(worker, allowance, "600001.SH")
    assert "does not know the code" in refused(worker, allowance, "510310.SH")
    assert "usually the site has no data" in refused(worker, allowance, "000016.SH")


def test_a_compressed_text_that_is_an_error_page_is_told(worker, allowance, sites_proxy) -> None:
    for page in (b"<html>404</html>", b'var x="";'):
        sites_proxy.replies.append(Reply(page, status=404))
        assert "can't be read" in refused(worker, allowance, "000300.SH", SINA)


def test_another_instrument_than_asked_for_is_told(worker, allowance, sites_proxy) -> None:
    answer = json.loads(china_sites(_asked("100.N225", 14)).body)
    answer["data"]["code"] = "NDX"
    sites_proxy.replies.append(Reply(json.dumps(answer).encode()))
    assert "asked for N225, got NDX" in refused(worker, allowance, "N225")


def test_a_day_twice_a_day_that_is_none_and_impossible_prices_are_told(
    worker, allowance, sites_proxy
) -> None:
    for line, said in [
        ("2025-04-01,1,1,1,1,1,1,1,1,1,1", "2025-04-01 occurs more than once"),
        ("soon,1,1,1,1,1,1,1,1,1,1", "is no day"),
        ("2025-04-07,10,10,9,9,1,1,1,1,1,1", "high of 2025-04-07, 9.0, is below"),
        ("2025-04-07,10,,11,9,1,1,1,1,1,1", "2025-04-07 has prices but no close"),
    ]:
        answer = json.loads(china_sites(_asked("1.600000", 11)).body)
        answer["data"]["klines"].append(line)
        sites_proxy.replies.append(Reply(json.dumps(answer).encode()))
        assert said in refused(worker, allowance, "600000.SH")


def test_another_count_of_columns_is_told(worker, allowance, sites_proxy) -> None:
    sites_proxy.replies.append(china_sites(_asked("1.600000", 9)))
    assert "can't be read (ValueError" in refused(worker, allowance, "600000.SH")


def test_no_bar_in_the_range_is_told(worker, allowance) -> None:
    source = AkshareSource(SINA, worker, allowance)
    with pytest.raises(SourceFailed, match="no bar from 2026-01-01"):
        source.history(identify("HSI"), dt.date(2026, 1, 1), dt.date(2026, 1, 31))


def test_a_site_that_never_ends_is_given_up_and_the_next_call_works(
    sites_proxy: WebServer, allowance: Allowance
) -> None:
    worker = AkshareWorker(call_seconds=5)
    try:
        sites_proxy.replies.append(Reply(b"x" * 1000, drip_seconds=0.05))
        assert "no answer within 5 s" in refused(worker, allowance, "000300.SH")
        sites_proxy.replies.clear()
        assert bars_of(worker, allowance, EASTMONEY, "000300.SH") == expected(True, True)
    finally:
        worker.close()


def test_a_process_that_dies_is_told_and_started_again(
    sites_proxy: WebServer, worker: AkshareWorker, allowance: Allowance
) -> None:
    bars_of(worker, allowance, SINA, "HSI")
    assert worker._process is not None
    worker._process.kill()
    worker._process.wait()
    assert bars_of(worker, allowance, SINA, "HSI") == expected(False, False)


def test_a_process_whose_owner_is_gone_ends_whatever_it_waits_for(
    sites_proxy: WebServer, worker: AkshareWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_asked = threading.Event()

    def dripping(asked: Asked) -> Reply:
        is_asked.set()
        return Reply(b"x" * 1000, drip_seconds=0.1)

    monkeypatch.setattr(sites_proxy, "answer", dripping)
    with subprocess.Popen(
        [sys.executable, "-m", akshare_worker.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        call = {"function": "stock_zh_index_daily", "arguments": {"symbol": "sh000300"}}
        print(json.dumps(call), file=process.stdin, flush=True)
        assert is_asked.wait(60)
        # As the end of the owner closes it, however that comes.
        process.stdin.close()
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()


def _asked(secid: str, fields: int) -> Asked:
    names = ",".join(f"f{number}" for number in range(51, 51 + fields))
    return Asked("push2his.eastmoney.com", "/", {"secid": secid, "fields2": names})
