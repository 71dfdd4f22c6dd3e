"""A fund that is stored and in no series is answered all the same."""

from pathlib import Path

import pytest

from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import ETF_NAV, ETF_PREMIUM
from marketdata_assets_tests.api.serving import served
from marketdata_assets_tests.api.stored_world import DAYS, FUND, rows_of

NEW, UNTRADED = "588000.SH", "161725.SZ"
OF_DAY = DAYS[-3:]


@pytest.mark.parametrize("has_series", [True, False])
def test_what_is_stored_of_a_fund_is_answered(tmp_path: Path, has_series: bool) -> None:
    lake = Lake(tmp_path, "test")
    for number, day in enumerate(OF_DAY):
        codes = [FUND] if number < 2 else [FUND, NEW]
        if number == 2 and has_series:
            refresh(lake, ETF_PREMIUM)
        rows = rows_of(
            ETF_PREMIUM,
            len(codes),
            ts_code=codes,
            trade_date=[day] * len(codes),
            close=[2.0] * len(codes),
        )
        lake.write(ETF_PREMIUM, day, rows)
        lake.write(
            ETF_NAV,
            day,
            rows_of(
                ETF_NAV, 1, ts_code=[UNTRADED], trade_date=[day], nav_date=[day], unit_nav=[1.25]
            ),
        )
    with served(tmp_path, default_wait=0) as api:
        told = api.get("/api/v1/etf/nav", code=NEW, start=OF_DAY[0]).json()
        assert [row["date"] for row in told["price"]["data"]] == [str(OF_DAY[2])]
        assert (told["source"], told["price"]["data"][0]["close"]) == ("etf_premium", 2.0)
        told = api.get("/api/v1/etf/nav", code=UNTRADED, start=OF_DAY[0]).json()
        assert told["price"]["data"] == told["without_premium"] == []
        assert told["nav"]["data"] == [{"date": str(day), "nav": 1.25} for day in OF_DAY]
        assert told["source"] == "etf_nav"
        answer = api.get("/api/v1/etf/nav", code="510500.SH")
        assert answer.status_code == 404
        assert "etf_premium" in answer.json()["message"]
