"""A day that is refused is absent, said and asked for again; the others of its run go on."""

import datetime as dt
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from marketdata_assets.assets.fetching import FETCH_ALL
from marketdata_assets.checks.excuses import FILE, Excuse, as_csv
from marketdata_assets.resources.tushare import MOST_CALLS_IN_FLIGHT
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import (
    COVERAGE,
    DAILY_KLINE,
    DAILY_PRICES,
    FINDINGS,
    STORED_TABLES,
    SUSPENSIONS,
    Table,
)
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.trading_calendar import previous_session, sessions_between
from marketdata_assets_tests.conftest import (
    CHAIN,
    Platform,
    check_outcomes,
    failure_text,
    repeats,
)
from marketdata_assets_tests.edited_market import (
    Edit,
    EditedMarket,
    Row,
    changed,
    halted,
    platform_over,
    without,
)
from marketdata_assets_tests.published_folder import manifest
from marketdata_sandbox.columns import Columns

# The tables that are fetched by day.
FETCHED = [table.name for table in STORED_TABLES.values() if table.chain is Chain.STOCKS]

DAY, NEXT = dt.date(2024, 9, 26), dt.date(2024, 9, 27)
SH = "600000.SH"
SHARES = 3
AGREE = "indicators_agree"


def in_shares(rows: list[Row]) -> list[Row]:
    """Volumes a hundredfold, of every share."""
    return [row | {"vol": row["vol"] * 100} for row in rows]


class MovingMarket(EditedMarket):
    """Prices go up a cent a session: what is compared with the day before has something to say."""

    def edited(self, call: str, day: dt.date, columns: Columns) -> Columns:
        cents = day.toordinal() % 1_000
        before = previous_session(day).toordinal() % 1_000
        made = super().edited(call, day, columns)
        if call == "daily":
            closes = [10 + at + cents / 100 for at in range(len(made["close"]))]
            earlier = [10 + at + before / 100 for at in range(len(made["close"]))]
            change = [round(now - then, 2) for now, then in zip(closes, earlier, strict=True)]
            made |= dict.fromkeys(("open", "high", "low", "close"), closes)
            made |= {"pre_close": earlier, "change": change}
            made["pct_chg"] = [
                round(one / then * 100, 4) for one, then in zip(change, earlier, strict=True)
            ]
            vol = float(100 + day.toordinal() % 997)
            made["amount"] = [close * vol / 10 for close in closes]
        elif call == "daily_basic":
            made["close"] = [10 + at + cents / 100 for at in range(len(made["close"]))]
            made["total_mv"] = [close * 1000 for close in made["close"]]
            made["circ_mv"] = [close * 800 for close in made["close"]]
        elif call == "stk_limit":
            for name, sign in (("up_limit", 1), ("down_limit", -1)):
                made[name] = [
                    limit_of(code, 10 + at + before / 100, sign)
                    for at, code in enumerate(made["ts_code"])
                ]
        return made


def limit_of(code: str, pre_close: float, sign: int) -> float:
    cents, percent = round(pre_close * 100), 30 if code.endswith(".BJ") else 10
    if not code.endswith(".BJ"):
        return (cents * (100 + sign * percent) + 50) // 100 / 100
    return (cents * (100 + sign * percent) + (99 if sign < 0 else 0)) // 100 / 100


def recorded(platform: Platform, asset: str) -> set[dt.date]:
    keys = platform.instance.get_materialized_partitions(dg.AssetKey(asset))
    return {dt.date.fromisoformat(key) for key in keys}


def found(lake: Lake, day: dt.date) -> list[tuple[str, str, str, str]]:
    """Table, check, code and outcome of every finding of a day."""
    names = ("table_name", "check_name", "ts_code", "outcome")
    return [tuple(row[name] for name in names) for row in lake.read(FINDINGS, day).to_pylist()]


def state(platform: Platform, table: str, check: str, day: dt.date) -> bool:
    """The state of a check on a day, as Dagster tells it."""
    storage = platform.instance.event_log_storage
    history = storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(table), check), limit=100
    )
    states = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
    latest = next(one for one in history if one.partition == str(day) and one.status in states)
    return latest.status is AssetCheckExecutionRecordStatus.SUCCEEDED


@pytest.mark.slow
def test_one_day_refused_in_the_middle_of_a_range_costs_one_day(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    days = sessions_between(dt.date(2024, 6, 3), dt.date(2024, 8, 23))[: repeats(30, 60)]
    bad = days[len(days) // 2]
    everything = [*CHAIN, "hf_dataset"]
    market = MovingMarket({("daily", bad): in_shares})
    with platform_over(market, tmp_path, instance) as platform:
        assert platform.run(days[0], days[-1], assets=everything).success
        good = set(days) - {bad}
        for name in ("daily_kline", "coverage", "daily_prices", "hf_dataset"):
            assert recorded(platform, name) == good, name
        assert recorded(platform, "findings") == set(days)
        assert found(platform.lake, bad) == [("daily_kline", "units", "", "refused")]
        manifest = published(platform)
        assert manifest.missing_sessions == [bad]
        assert manifest.missing[bad] == "refused: daily_kline.units"
        assert manifest.last == days[-1]

    with platform_over(MovingMarket({}), tmp_path, instance) as platform:
        assert platform.run(bad, assets=everything).success
        assert recorded(platform, "daily_prices") == set(days)
        assert found(platform.lake, bad) == []
        assert published(platform).missing_sessions == []


def published(platform: Platform):
    return manifest(platform.lake.root)


def test_a_check_has_a_state_for_every_day_and_the_day_that_fails_is_seen_first(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    market = EditedMarket({("daily", DAY): changed(SH, low=10.6)})
    with platform_over(market, tmp_path, instance) as platform:
        assert platform.run(DAY, NEXT, assets=["daily_kline"]).success
        assert check_outcomes(platform, "daily_kline")["ohlc_order"] is False
        assert state(platform, "daily_kline", "ohlc_order", DAY) is False
        assert platform.run(NEXT, NEXT, assets=["daily_kline"]).success
        assert state(platform, "daily_kline", "ohlc_order", NEXT) is True
        assert state(platform, "daily_kline", "ohlc_order", DAY) is False
    with platform_over(EditedMarket({}), tmp_path, instance) as platform:
        assert platform.run(DAY, assets=["daily_kline"]).success
        assert state(platform, "daily_kline", "ohlc_order", DAY) is True


def test_a_run_whose_only_day_is_refused_fails_with_one_screen_that_says_what_to_do(
    tmp_path: Path,
) -> None:
    market = EditedMarket({("daily", DAY): in_shares})
    with platform_over(market, tmp_path) as platform:
        text = failure_text(platform.run(DAY), "daily_kline")
        assert "daily_kline: 1 day(s) refused, 0 stored." in text
        assert f"daily_kline {DAY}, units: 3 of 3 rows (000001.SZ low 11.5" in text
        assert f"marketdata accept daily_kline {DAY} --reason" in text
        assert len(text.splitlines()) < 20
        assert platform.lake.days(DAILY_KLINE) == []
        assert recorded(platform, "daily_kline") == set()
        # Though nothing downstream ran, the refusal is among the findings.
        assert found(platform.lake, DAY) == [("daily_kline", "units", "", "refused")]
        assert recorded(platform, "findings") == {DAY}
        assert state(platform, "daily_kline", "units", DAY) is False


def test_a_day_that_somebody_accepts_is_stored_as_it_is(tmp_path: Path) -> None:
    market = EditedMarket({("daily", DAY): in_shares})
    with platform_over(market, tmp_path) as platform:
        assert not platform.run(DAY).success
        excuse(tmp_path, Excuse("daily_kline.units", "*", DAY, DAY, "counted in shares", "me"))
        text = failure_text(platform.run(DAY), "daily_prices")
        assert f"{AGREE}: 3 of 3 rows" in text
        agree = Excuse(f"daily_prices.{AGREE}", "*", DAY, DAY, "counted in shares", "me")
        excuse(tmp_path, agree)
        assert platform.run(DAY).success
        assert platform.lake.read(DAILY_PRICES, DAY).num_rows == SHARES
        rows = platform.lake.read(FINDINGS, DAY).to_pylist()
        told = {(row["check_name"], row["ts_code"], row["outcome"], row["reason"]) for row in rows}
        excused = {(check, "", "excused", "counted in shares") for check in ("units", AGREE)}
        assert excused <= told


def test_an_excused_share_stays_listed_and_is_merged_again(tmp_path: Path) -> None:
    market = EditedMarket({("daily", DAY): changed(SH, low=10.6, high=10.6)})
    with platform_over(market, tmp_path) as platform:
        assert platform.run(DAY).success
        assert SH not in platform.lake.read(DAILY_PRICES, DAY)["code"].to_pylist()
        for check in ("ohlc_order", "units"):
            excuse(tmp_path, Excuse(f"daily_kline.{check}", SH, DAY, DAY, "so it was", "me"))
        derived = ["coverage", "daily_prices", "findings"]
        assert platform.run(DAY, assets=derived).success
        assert SH in platform.lake.read(DAILY_PRICES, DAY)["code"].to_pylist()
        rows = platform.lake.read(FINDINGS, DAY).to_pylist()
        assert {(row["outcome"], row["reason"]) for row in rows} == {("excused", "so it was")}


def excuse(root: Path, *excuses: Excuse) -> None:
    path = root / FILE
    known = path.read_text("utf-8") if path.exists() else as_csv([])
    path.write_text(known + as_csv(excuses).partition("\n")[2], "utf-8")


def test_an_unreadable_excuse_names_its_line(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("check,code,first,last,reason,who\nunits,*,a,b,c,d\n", "utf-8")
    with platform_over(EditedMarket({}), tmp_path) as platform:
        text = failure_text(platform.run(DAY), "daily_kline")
    assert f"{FILE}, line 2: write first and last as 2024-03-06" in text


LOSSES = [
    ("daily", DAILY_KLINE, without(SH), SH),
    ("suspend_d", SUSPENSIONS, without(SH), SH),
]


@pytest.mark.parametrize(("call", "table", "edit", "code"), LOSSES)
def test_what_was_whole_stays_whole_until_it_is_gone_on_another_day_too(
    call: str, table: Table, edit: Edit, code: str, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    again = [table.name, "findings"]
    with platform_over(EditedMarket({}), tmp_path, instance) as platform:
        assert platform.run(DAY, assets=again).success
        before = platform.lake.read(table, DAY)
    with platform_over(EditedMarket({(call, DAY): edit}), tmp_path, instance) as platform:
        lake = platform.lake
        for _ in range(2):
            assert platform.run(DAY, assets=again).success
            assert lake.read(table, DAY).equals(before)
            assert (table.name, "rows_kept", code, "refused") in found(lake, DAY)
        assert check_outcomes(platform, table.name)["rows_kept"] is False
        seen_before(lake, dt.timedelta(days=1))
        platform.run(DAY, assets=again)
        assert code not in lake.read(table, DAY)["ts_code"].to_pylist()
        assert "rows_kept" not in {check for _, check, _, _ in found(lake, DAY)}


def test_rows_that_come_back_end_the_refusal(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    for edits in ({}, {("daily", DAY): without(SH)}, {}):
        with platform_over(EditedMarket(edits), tmp_path, instance) as platform:
            assert platform.run(DAY, assets=["daily_kline", "findings"]).success
        assert bool(found(platform.lake, DAY)) == bool(edits)


def seen_before(lake: Lake, age: dt.timedelta) -> None:
    """Pretend that the findings of the day were seen first so much earlier."""
    rows = lake.read(FINDINGS, DAY)
    at = rows.column_names.index("first_seen")
    earlier = [moment - age for moment in rows["first_seen"].to_pylist()]
    field = FINDINGS.schema.field("first_seen")
    lake.write(FINDINGS, DAY, rows.set_column(at, field, pa.array(earlier, field.type)))


def test_a_finding_keeps_the_moment_it_was_seen_first(tmp_path: Path) -> None:
    with platform_over(EditedMarket({("suspend_d", None): halted(SH)}), tmp_path) as platform:
        assert platform.run(DAY).success
        [first] = platform.lake.read(FINDINGS, DAY)["first_seen"].to_pylist()
        assert platform.run(DAY, assets=["suspensions", "findings"]).success
        assert platform.lake.read(FINDINGS, DAY)["first_seen"].to_pylist() == [first]


def test_a_day_that_is_not_published_holds_no_other_up(tmp_path: Path) -> None:
    market = EditedMarket({("daily", DAY): lambda rows: []})
    with platform_over(market, tmp_path) as platform:
        assert platform.run(DAY, NEXT).success
        assert recorded(platform, "daily_prices") == {NEXT}
        assert recorded(platform, "stock_list") == {DAY, NEXT}
        assert platform.lake.days(COVERAGE) == [NEXT]


@pytest.mark.slow
def test_a_range_that_is_interrupted_again_and_again_fetches_each_day_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = sessions_between(dt.date(2024, 9, 2), dt.date(2024, 9, 13))
    asked_for = ["stock_list", *FETCHED]
    write, left, counts = Lake.write, [0], (3, 11, 7, 13, 2, 9, 4, 8)[: repeats(4, 8)]

    def until_killed(self: Lake, *arguments):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return write(self, *arguments)

    monkeypatch.setattr(Lake, "write", until_killed)
    with platform_over(EditedMarket({}), tmp_path) as platform:
        for count in counts:
            left[0] = count
            assert not platform.run(days[0], days[-1], assets=asked_for).success
        left[0] = 10_000
        assert platform.run(days[0], days[-1], assets=asked_for).success
        # A call a day and table, and four for the list of shares at every beginning that needs it.
        # What was under way when it was killed comes twice.
        most = len(FETCHED) * len(days) + len(counts) * (MOST_CALLS_IN_FLIGHT + 4)
        assert len(platform.requests) <= most

        platform.requests.clear()
        fresh = platform.run(days[0], days[-1], assets=asked_for, more_tags={FETCH_ALL: "true"})
        assert fresh.success
        # The first day of each table, and all others in one call.
        assert len(platform.requests) == len(FETCHED) * 2 + 4
