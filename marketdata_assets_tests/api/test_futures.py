"""Main continuous contracts of futures: which contract it was, and prices without its changes."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import INSTRUMENT_HISTORY
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.api.serving import Client, served

DAYS = sessions_between(dt.date(2024, 4, 24), dt.date(2024, 5, 10))
OLD, NEW, NEXT = "AU2405.SHF", "AU2409.SHF", "AU2501.SHF"
# The new one costs a fifth less on the day before the change, and half on that before the second.
FIRST_CHANGE, SECOND_CHANGE = DAYS[3], DAYS[6]
CLOSES = [100.0, 110.0, 125.0, 101.0, 103.0, 104.0, 52.5, 53.0, 54.0, 55.0]
FACTORS = [None, 1.0, 1.0, 1.25, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0]
MAINS = [OLD] * 3 + [NEW] * 3 + [NEXT] * 4


def history(code: str, mains: list[Any] = MAINS, factors: list[Any] = FACTORS) -> pa.Table:
    rows = [
        {
            **dict.fromkeys(("open", "high", "low", "close"), close),
            **{"code": code, "date": day, "volume": 7.0, "turnover": 8.0, "currency": "CNY"},
            **{"volume_unit": "contracts", "source": "Tushare", "source_unit": "手"},
            **{"main_contract": main, "roll_factor": factor},
        }
        for day, close, main, factor in zip(DAYS, CLOSES, mains, factors, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=INSTRUMENT_HISTORY.schema)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = tmp_path_factory.mktemp("futures")
    lake = Lake(root, "test: not a real market")
    assert len(DAYS) == len(CLOSES)
    lake.write(INSTRUMENT_HISTORY, "AU.SHF", history("AU.SHF"))
    # Of one the second change is not known, of another nothing.
    factors = [*FACTORS[:6], None, *FACTORS[7:]]
    lake.write(INSTRUMENT_HISTORY, "M.DCE", history("M.DCE", factors=factors))
    nothing = [None] * len(DAYS)
    lake.write(INSTRUMENT_HISTORY, "TA.ZCE", history("TA.ZCE", nothing, nothing))
    lake.write(INSTRUMENT_HISTORY, "AU2409.SHF", history("AU2409.SHF", nothing, nothing))
    with served(root, default_wait=0) as client:
        yield client


def ask(api: Client, code: str = "AU.SHF", **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = api.get("/api/v1/ohlcv", code=code, start=DAYS[0], **more).json()
    return told


def closes(api: Client, **more: Any) -> list[float]:
    return [row["close"] for row in ask(api, **more)["data"]]


def refused(api: Client, code: str, status: int, **more: Any) -> str:
    answer = api.get("/api/v1/ohlcv", code=code, **{"start": DAYS[0], **more})
    assert answer.status_code == status
    return str(answer.json()["error"])


def test_which_contract_was_the_main_one_is_a_column(api: Client) -> None:
    rows = ask(api, fields="date,close,main_contract")["data"]
    assert [row["main_contract"] for row in rows] == MAINS
    assert [row["close"] for row in rows] == CLOSES


def test_forward_adjusted_prices_keep_the_newest_and_backward_ones_the_oldest(api: Client) -> None:
    hfq = [*CLOSES[:3], *(close * 1.25 for close in CLOSES[3:6]), *(c * 2.5 for c in CLOSES[6:])]
    assert closes(api, adjust="hfq") == hfq
    assert closes(api, adjust="qfq") == pytest.approx([close / 2.5 for close in hfq])
    assert closes(api, adjust="qfq")[6:] == CLOSES[6:]
    assert closes(api, adjust="qfq", anchor=DAYS[4])[3:6] == CLOSES[3:6]


def test_volume_turnover_and_unadjusted_prices_stay_as_they_are(api: Client) -> None:
    plain, told = ask(api)["data"], ask(api, adjust="hfq")["data"]
    assert closes(api) == CLOSES
    for name in ("date", "volume", "turnover"):
        assert [row[name] for row in told] == [row[name] for row in plain]
    assert all(row["open"] == row["high"] == row["close"] for row in told)


def test_a_change_that_is_not_known_is_refused_by_its_day(api: Client) -> None:
    for adjust in ("qfq", "hfq"):
        said = refused(api, "M.DCE", 409, adjust=adjust)
        assert f"M.DCE has no factor on {SECOND_CHANGE}: it changed from {NEW} to {NEXT}" in said
        assert f"no close of {DAYS[5]}" in said
    # What lies on one side of it is known.
    assert closes(api, code="M.DCE", end=DAYS[5], adjust="hfq")[3:] == [
        close * 1.25 for close in CLOSES[3:6]
    ]
    assert closes(api, code="M.DCE", end=DAYS[5], adjust="qfq", anchor=DAYS[5])[3:] == CLOSES[3:6]


def test_a_history_whose_source_does_not_tell_the_contract_is_refused(api: Client) -> None:
    said = refused(api, "TA.ZCE", 409, adjust="qfq")
    assert f"TA.ZCE has no factor on {DAYS[1]}: which contract was the main one" in said
    assert "It is the first of 9 such days." in said
    # Its last day alone needs nothing.
    assert len(api.get("/api/v1/ohlcv", code="TA.ZCE", start=DAYS[-1], adjust="qfq").json()["data"])


def test_an_anchor_outside_the_history_and_a_single_contract_are_refused(api: Client) -> None:
    said = refused(api, "AU.SHF", 409, adjust="qfq", anchor="2024-05-13")
    assert f"AU.SHF from {DAYS[0]} to {DAYS[-1]}, and the anchor is 2024-05-13" in said
    said = refused(api, "AU2409.SHF", 400, adjust="qfq")
    assert "A-shares, funds and main contracts of futures alone" in said
    # A weekend has the money of the session before it.
    assert closes(api, adjust="qfq", anchor="2024-05-12")[-1] == CLOSES[-1]


def test_a_former_moment_is_adjusted_by_what_was_known_then(tmp_path: Path) -> None:
    lake = Lake(tmp_path, "test: not a real market")
    lake.write(INSTRUMENT_HISTORY, "AU.SHF", history("AU.SHF"))
    then = dt.datetime.now(dt.UTC).isoformat()
    lake.write(INSTRUMENT_HISTORY, "AU.SHF", history("AU.SHF", factors=[None, *[1.0] * 9]))
    with served(tmp_path, default_wait=0) as client:
        assert closes(client, adjust="hfq") == CLOSES
        assert closes(client, adjust="hfq", as_of=then)[-1] == CLOSES[-1] * 2.5
