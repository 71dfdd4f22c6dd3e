import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketdata_assets.instruments import identify
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.sources.history import History
from marketdata_assets.resources.sources.tushare_history import TushareHistory
from marketdata_assets_tests.resources.serving import client_of
from marketdata_assets_tests.small_market import SmallMarket
from marketdata_sandbox.columns import Columns
from marketdata_sandbox.protocol import Refusal, TushareProtocol
from marketdata_sandbox.server import TushareServer

FIRST, LAST = dt.date(2024, 1, 2), dt.date(2024, 12, 31)
# The day of a change, that before it, and the two contracts, as the simulated market has them.
BEFORE, CHANGE, OLD, NEW = dt.date(2024, 4, 26), dt.date(2024, 4, 29), "AU2405.SHF", "AU2409.SHF"


class Futures(TushareProtocol):
    """The simulated futures; `edits` are days of a code and what its rows say there instead."""

    def __init__(self) -> None:
        super().__init__(SmallMarket())
        self.asked: list[tuple[str, str]] = []
        self.refused = ""
        self.edits: dict[tuple[str, str], dict[str, dict[str, object]]] = {}

    def answer(self, body: bytes) -> bytes:
        request = json.loads(body)
        self.asked.append((request["api_name"], request["params"]["ts_code"]))
        return super().answer(body)

    def _columns(self, call: str, params: dict[str, str]) -> Columns:
        if call == self.refused:
            raise Refusal(40203, f"抱歉，您没有接口({call})访问权限")
        columns = super()._columns(call, params)
        for day, values in self.edits.get((call, params["ts_code"]), {}).items():
            for name, value in values.items():
                columns[name] = [
                    value if told == day else one
                    for told, one in zip(columns["trade_date"], columns[name], strict=True)
                ]
        return columns


@pytest.fixture
def vendor() -> Futures:
    return Futures()


@pytest.fixture
def tushare(vendor: Futures, tmp_path: Path) -> Iterator[TushareHistory]:
    with TushareServer(vendor).running() as server:
        own = Allowance(60_000, tmp_path / "allowance.sqlite")
        client = client_of(own, server.url, sleep=lambda seconds: None)
        yield TushareHistory(server.url, lambda: client)
        client.close()


def ask(tushare: TushareHistory, code: str = "AU.SHF") -> History:
    return tushare.history(identify(code), FIRST, LAST)


def told(history: History) -> dict[dt.date, tuple[str | None, float | None]]:
    """Main contract and factor of every day."""
    assert history.rolls is not None
    columns = [history.bars["date"], *history.rolls.columns]
    days, mains, factors = (column.to_pylist() for column in columns)
    return dict(zip(days, zip(mains, factors, strict=True), strict=True))


def close(history: History, day: dt.date) -> float:
    [bar] = [bar for bar in history.bars.to_pylist() if bar["date"] == day]
    return float(bar["close"])


def test_every_day_tells_its_main_contract_and_every_change_its_factor(
    tushare: TushareHistory,
) -> None:
    history = ask(tushare)
    rolls = told(history)
    assert history.untold == ""
    assert rolls[FIRST] == ("AU2405.SHF", None)
    assert rolls[BEFORE] == (OLD, 1.0)
    new = close(ask(tushare, NEW), BEFORE)
    assert new != close(history, BEFORE) == close(ask(tushare, OLD), BEFORE)
    assert rolls[CHANGE] == (NEW, close(history, BEFORE) / new)
    changed = [day for day, (_, factor) in rolls.items() if factor not in (None, 1.0)]
    assert changed == [CHANGE, dt.date(2024, 8, 27), dt.date(2024, 12, 30)]


def test_it_takes_a_call_a_stretch_of_one_contract_and_one_more_a_span(
    tushare: TushareHistory, vendor: Futures
) -> None:
    mains = {main for main, _ in told(ask(tushare)).values()}
    contracts = [("fut_daily", main) for main in sorted(map(str, mains))]
    assert vendor.asked == [("fut_daily", "AU.SHF"), ("fut_mapping", "AU.SHF"), *contracts]


@pytest.mark.parametrize("code", ["RB2501.SHF", "M2405.DCE"])
def test_a_single_contract_has_no_main_one(tushare: TushareHistory, code: str) -> None:
    assert ask(tushare, code).rolls is None


def test_prices_do_without_where_the_account_may_not_ask_for_contracts(
    tushare: TushareHistory, vendor: Futures
) -> None:
    whole = ask(tushare)
    vendor.refused = "fut_mapping"
    history = ask(tushare)
    assert history.bars.equals(whole.bars)
    assert history.rolls is None
    assert "points don't open this call" in history.untold


def test_a_contract_of_another_product_is_believed_on_no_day(
    tushare: TushareHistory, vendor: Futures
) -> None:
    vendor.edits["fut_mapping", "AU.SHF"] = {"20240301": {"mapping_ts_code": "AG2406.SHF"}}
    history = ask(tushare)
    assert history.rolls is None
    assert history.untold == "fut_mapping says that AU.SHF was AG2406.SHF."


def test_a_contract_with_another_close_is_not_believed_and_leaves_the_change_unknown(
    tushare: TushareHistory, vendor: Futures
) -> None:
    # The vendor is a day late with the change.
    vendor.edits["fut_mapping", "AU.SHF"] = {f"{CHANGE:%Y%m%d}": {"mapping_ts_code": OLD}}
    history = ask(tushare)
    rolls = told(history)
    after = next(day for day in rolls if day > CHANGE)
    assert rolls[BEFORE] == (OLD, 1.0)
    assert rolls[CHANGE] == (None, None)
    assert rolls[after] == (NEW, None)
    assert (
        history.untold
        == f"fut_mapping has no contract with its close on 1 day(s), {CHANGE} the first."
    )


def test_a_change_without_a_close_of_the_new_contract_before_has_no_factor(
    tushare: TushareHistory, vendor: Futures
) -> None:
    vendor.edits["fut_daily", NEW] = {f"{BEFORE:%Y%m%d}": {"close": None}}
    rolls = told(ask(tushare))
    assert rolls[CHANGE] == (NEW, None)
    assert [day for day, (_, factor) in rolls.items() if factor is None] == [FIRST, CHANGE]
