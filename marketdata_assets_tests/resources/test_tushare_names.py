"""The names that shares have had, which are asked for by years of announcement."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from marketdata_assets.resources.tushare_errors import NoPermission, NotPublishedYet, Truncated
from marketdata_assets.tables import NAME_CHANGES
from marketdata_assets_tests.resources.serving import WakefulTushare, serving, tushare_at
from marketdata_assets_tests.resources.spoiling import column_set, data_of, params_of, spoil
from marketdata_assets_tests.small_market import SmallMarket
from marketdata_sandbox import faults
from marketdata_sandbox.columns import Columns


class NamedMarket(SmallMarket):
    """The small market, whose vendor tells so many names in each of some years."""

    def __init__(self, by_year: dict[int, int]) -> None:
        super().__init__()
        self.rows = [
            (f"{600_000 + n}.SH", f"名{year}", f"{year}0301", None, f"{year}0228", "改名")
            for year, count in by_year.items()
            for n in range(count)
        ]

    def namechange(self, today: dt.date) -> Columns:
        columns = zip(*self.rows, strict=True) if self.rows else [()] * 6
        return dict(zip(NAME_CHANGES.column_names, map(list, columns), strict=True))


def names_of(market: SmallMarket, state: Path, *spoilt: Any) -> tuple[list[Any], list[Any]]:
    """The rows as the client has them, and what the vendor was asked."""
    with serving(market) as server, tushare_at(server, state) as tushare:
        for fault in spoilt:
            spoil(server, "namechange", fault)
        changes = tushare.name_changes()
        assert changes.schema == NAME_CHANGES.schema
        return changes.to_pylist(), params_of(server, "namechange")


def test_names_that_fit_into_an_answer_take_one_call(state: Path) -> None:
    rows, asked = names_of(NamedMarket({1990: 1, 2007: 2, 2026: 1}), state)
    assert len(rows) == 4
    [params] = asked
    assert params["start_date"] == "19900101"


def test_rows_that_say_the_same_are_there_once(state: Path) -> None:
    market = NamedMarket({2007: 3})
    market.rows += market.rows[:2]
    rows, _ = names_of(market, state)
    assert sorted(row["ts_code"] for row in rows) == ["600000.SH", "600001.SH", "600002.SH"]


def test_a_cut_answer_is_asked_for_by_years_and_complete(state: Path) -> None:
    by_year = {1995: 3_000, 2006: 4_000, 2007: 5_000, 2020: 2_000}
    rows, asked = names_of(NamedMarket(by_year), state)
    assert len(rows) == sum(by_year.values())
    assert len(asked) < 10
    assert not any({"limit", "offset"} & params.keys() for params in asked)


def test_a_name_that_its_part_of_a_cut_answer_lacks_is_named(state: Path) -> None:
    """A share has several: of those that are left in the cut answer some may be missing."""

    def with_another(answer: dict[str, Any]) -> None:
        fields, items = data_of(answer)
        if answer["data"]["has_more"]:
            items[0] = ["689009.SH" if name == "ts_code" else None for name in fields]

    with pytest.raises(Truncated, match=r"1 code\(s\) got lost.*689009\.SH"):
        names_of(NamedMarket({1995: 6_000, 2020: 6_000}), state, faults.edited(with_another))


def test_a_year_that_is_cut_is_refused(state: Path) -> None:
    with pytest.raises(Truncated, match=r"end_date=20071231\): 10000 rows and more"):
        names_of(NamedMarket({2007: 10_000}), state)


def test_any_value_of_a_single_row_may_be_missing_or_unreadable(state: Path) -> None:
    market = NamedMarket({2007: 3})
    # The day of announcement is what it is asked for by.
    market.rows[0] = (None, None, None, None, "20070228", None)
    assert len(names_of(market, state)[0]) == 3
    unreadable = column_set("start_date", "20070231")
    starts = [row["start_date"] for row in names_of(NamedMarket({2007: 300}), state, unreadable)[0]]
    assert starts.count(None) == 1


def test_no_name_at_all_is_no_answer(state: Path) -> None:
    with pytest.raises(NotPublishedYet, match="no name"):
        names_of(NamedMarket({}), state)
    empty = faults.edited(lambda answer: data_of(answer)[1].clear())
    with pytest.raises(NotPublishedYet, match="no name"):
        names_of(NamedMarket({2007: 3}), state, empty)


def test_an_account_may_not_be_allowed_to_ask(tushare: WakefulTushare) -> None:
    with pytest.raises(NoPermission, match="namechange"):
        tushare.name_changes()
