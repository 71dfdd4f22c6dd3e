import datetime as dt
from collections.abc import Collection, Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.assets.refreshing import NoSource, Refreshed, refresh
from marketdata_assets.instruments import Instrument, identify
from marketdata_assets.resources.sources.history import ROLLS, History
from marketdata_assets.tables import INSTRUMENT_HISTORY
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.assets.scripted_source import FIRST, ScriptedSource, days

HSI = identify("HSI")
LAST = dt.date(2025, 12, 31)


def refreshed(stored: pa.Table | None, *sources: ScriptedSource) -> Refreshed:
    done = refresh(HSI, sources, stored, FIRST, LAST, lambda days: [])
    assert done.table.schema.equals(INSTRUMENT_HISTORY.schema)
    return done


def made_by(name: str, count: int) -> pa.Table:
    return refreshed(None, ScriptedSource(name, count)).table


def closes(done: Refreshed) -> list[float]:
    return done.table["close"].to_pylist()


def test_a_new_code_is_fetched_as_a_whole_with_its_source_unit_and_currency() -> None:
    source = ScriptedSource("A", 30)
    done = refreshed(None, source)
    assert source.asked == [(FIRST, LAST)]
    assert done.was_whole
    assert done.new_days == 30
    assert closes(done) == list(source.closes.values())
    [row] = done.table.slice(0, 1).to_pylist()
    assert (row["code"], row["source"], row["source_unit"]) == ("HSI", "A", "shares")
    assert (row["currency"], row["volume_unit"]) == ("HKD", "shares")


def test_what_is_new_is_fetched_with_an_overlap_and_added() -> None:
    source = ScriptedSource("A", 35)
    done = refreshed(made_by("A", 30), source)
    assert source.asked == [(days(30)[-10], LAST)]
    assert not done.was_whole
    assert done.new_days == 5
    assert closes(done) == list(source.closes.values())


def test_nothing_new_changes_nothing() -> None:
    stored = made_by("A", 30)
    done = refreshed(stored, ScriptedSource("A", 30))
    assert done.new_days == 0
    assert done.table.equals(stored)


@pytest.mark.parametrize("whole", [False, True])
def test_a_changed_past_is_told_and_leads_to_the_whole_history_again(whole: bool) -> None:
    source = ScriptedSource("A", 35, whole)
    changed, gone = days(30)[-3], days(30)[-5]
    source.closes[changed] = 99.0
    del source.closes[gone]
    done = refreshed(made_by("A", 30), source)
    assert done.was_whole
    assert source.asked[-1] == (FIRST, LAST)
    assert done.restatement is not None
    assert done.restatement[:3] == (1, 1, 0)
    assert f"{changed} open 37.0 → 99.0" in str(done.restatement)
    assert f"{gone} is gone" in str(done.restatement)
    assert closes(done) == [source.closes[day] for day in sorted(source.closes)]


def test_a_change_before_the_overlap_is_seen_where_the_whole_history_comes_anyway() -> None:
    source = ScriptedSource("A", 30, whole=True)
    source.closes[days(30)[2]] = 99.0
    restatement = refreshed(made_by("A", 30), source).restatement
    assert restatement is not None
    assert restatement[:3] == (1, 0, 0)


def test_a_failing_source_is_told_and_the_next_one_is_asked() -> None:
    first, second = ScriptedSource("A"), ScriptedSource("B", 30)
    first.fault = "out of order"
    done = refreshed(None, first, second)
    assert done.source is second
    assert [str(failure) for failure in done.failures] == ["A for HSI: out of order"]


def test_another_source_gives_the_whole_history_so_that_two_are_never_mixed() -> None:
    first, second = ScriptedSource("A"), ScriptedSource("B", 35)
    first.fault = "out of order"
    done = refreshed(made_by("A", 30), first, second)
    assert second.asked == [(FIRST, LAST)]
    assert set(done.table["source"].to_pylist()) == {"B"}
    assert done.restatement is None
    assert done.new_days == 5


def test_another_source_that_lacks_stored_days_is_not_taken() -> None:
    first, second = ScriptedSource("A"), ScriptedSource("B", 35)
    first.fault = "out of order"
    del second.closes[days(35)[4]]
    with pytest.raises(NoSource) as nobody:
        refreshed(made_by("A", 30), first, second)
    assert "A for HSI: out of order" in str(nobody.value)
    assert "lacks 1 day(s) that are stored from A, 2025-01-08 … 2025-01-08" in str(nobody.value)


def test_a_history_that_suddenly_lacks_a_stretch_is_cut_and_not_taken() -> None:
    source = ScriptedSource("A", 35)
    for day in days(35)[:20]:
        del source.closes[day]
    source.closes[days(35)[-8]] = 99.0
    with pytest.raises(NoSource, match=r"lacks 20 day\(s\)"):
        refreshed(made_by("A", 30), source)


def test_another_unit_of_the_same_source_leads_to_the_whole_history_again() -> None:
    source = ScriptedSource("A", 30)
    source.unit = "lots"
    done = refreshed(made_by("A", 30), source)
    assert done.was_whole
    assert set(done.table["source_unit"].to_pylist()) == {"lots"}


def whole_until(last: dt.date, name: str) -> ScriptedSource:
    source = ScriptedSource(name)
    source.closes = {day: 10.0 + n for n, day in enumerate(sessions_between(FIRST, last))}
    return source


def judged(
    code: str, *sources: ScriptedSource, explained: Collection[dt.date] = (), first: dt.date = FIRST
) -> Refreshed:
    instrument = identify(code)
    return refresh(instrument, sources, None, first, LAST, lambda asked: explained)


def test_a_whole_history_is_taken_and_nobody_else_is_asked() -> None:
    first, second = whole_until(LAST, "A"), whole_until(LAST, "B")
    assert judged("000300.SH", first, second).source is first
    assert second.asked == []


@pytest.mark.parametrize("code", ["000300.SH", "600000.SH"])
def test_one_that_lacks_sessions_or_ends_early_is_a_failed_source(code: str) -> None:
    frozen, holed = whole_until(dt.date(2025, 9, 30), "A"), whole_until(LAST, "B")
    del holed.closes[dt.date(2025, 5, 8)]
    whole = whole_until(LAST, "C")
    done = judged(code, frozen, holed, whole)
    assert done.source is whole
    assert done.faults == []
    said = [str(failure) for failure in done.failures]
    assert said[0].startswith(f"A for {code}: 60 session(s) after its last bar, 2025-10-09")
    assert said[1] == (
        f"B for {code}: 1 session(s) without a bar that nothing explains, 2025-05-08."
    )


def test_where_none_is_whole_the_one_with_the_fewest_wrong_days_is_taken() -> None:
    frozen, holed = whole_until(dt.date(2025, 9, 30), "A"), whole_until(LAST, "B")
    del holed.closes[dt.date(2025, 5, 8)]
    done = judged("000300.SH", frozen, holed)
    assert done.source is holed
    assert [fault.days for fault in done.faults] == [(dt.date(2025, 5, 8),)]
    assert [failure.source for failure in done.failures] == ["A"]


def test_a_late_beginning_is_compared_with_one_other_source() -> None:
    late, whole, more = whole_until(LAST, "A"), whole_until(LAST, "B"), whole_until(LAST, "C")
    late.closes = {day: close for day, close in late.closes.items() if day.month > 3}
    done = judged("000300.SH", late, whole, more)
    assert done.source is whole
    assert "before its first bar that another source has" in str(done.failures[0])
    # Both begin then: so does the instrument.
    assert judged("000300.SH", late, late, more).faults == []
    assert more.asked == []
    # Nobody else answers: it may well begin then.
    assert judged("000300.SH", late, ScriptedSource("B")).faults == []


def test_a_halt_that_two_sources_know_or_the_ledger_explains_is_none_of_the_faults() -> None:
    halted, alike = whole_until(LAST, "A"), whole_until(LAST, "B")
    halt = sessions_between(dt.date(2025, 3, 3), dt.date(2025, 8, 29))
    for day in halt:
        del halted.closes[day], alike.closes[day]
    done = judged("600000.SH", halted, alike)
    assert (done.source, done.faults, set(done.alike)) == (halted, [], set(halt))
    alone = judged("600000.SH", halted, explained=halt)
    assert (alone.source, alone.faults, alone.alike) == (halted, [], set())
    # Nobody to compare with: stored, and told.
    assert [len(fault.days) for fault in judged("600000.SH", halted).faults] == [len(halt)]
    # An index is never halted, whoever lacks what.
    assert judged("000300.SH", halted, alike).faults


def test_what_is_stored_with_holes_is_asked_for_as_a_whole_and_of_the_others_too() -> None:
    holed, whole = whole_until(LAST, "A"), whole_until(LAST, "B")
    del holed.closes[dt.date(2025, 5, 8)]
    stored = judged("000300.SH", holed).table
    done = refresh(identify("000300.SH"), [holed, whole], stored, FIRST, LAST, lambda asked: ())
    assert holed.asked[-1] == (FIRST, LAST)
    assert done.source is whole


def test_a_bar_of_a_closed_day_that_is_stored_is_not_lost() -> None:
    odd, whole = whole_until(LAST, "A"), whole_until(LAST, "B")
    odd.closes[dt.date(2025, 3, 8)] = 10.0
    stored = judged("000300.SH", odd).table
    done = refresh(identify("000300.SH"), [odd, whole], stored, FIRST, LAST, lambda asked: ())
    assert done.source is whole


@given(st.integers(1, 40), st.integers(0, 10), st.sets(st.integers(0, 49), max_size=3))
def test_a_refreshed_history_is_always_what_the_source_has_now(
    stored: int, new: int, restated: set[int]
) -> None:
    """But for changes older than the overlap, which a source that sends ranges does not show."""
    source = ScriptedSource("A", stored + new)
    for position in restated & set(range(max(stored - 10, 0), stored + new)):
        source.closes[days(stored + new)[position]] += 0.5
    done = refreshed(made_by("A", stored), source)
    assert closes(done) == list(source.closes.values())
    was_restated = bool(restated & set(range(max(stored - 10, 0), stored)))
    assert (done.restatement is not None) == was_restated


class MainSource(ScriptedSource):
    """A main contract that is `mains`, and its factors 1 wherever it is known with that before."""

    def __init__(self, count: int, mains: Sequence[str | None]) -> None:
        super().__init__("A", count)
        self.mains = dict(zip(days(count), mains, strict=True))

    def history(self, instrument: Instrument, first: dt.date, last: dt.date) -> History:
        history = super().history(instrument, first, last)
        told = [self.mains[day] for day in history.bars["date"].to_pylist()]
        factors = [
            1.0 if before and main else None
            for before, main in zip([None, *told[:-1]], told, strict=True)
        ]
        return history._replace(rolls=pa.table([told, factors], schema=ROLLS))


def rolls(done: Refreshed) -> list[tuple[str | None, float | None]]:
    return list(zip(*(done.table[name].to_pylist() for name in ROLLS.names), strict=True))


def test_what_is_known_of_main_contracts_stays_and_what_is_new_is_added() -> None:
    before = refreshed(None, MainSource(30, ["M"] * 30))
    done = refreshed(before.table, MainSource(33, ["M"] * 33))
    assert not done.was_whole
    assert rolls(done) == [("M", None), *[("M", 1.0)] * 32]
    # Whoever can't say it this time takes nothing back.
    silent = refreshed(done.table, MainSource(34, [None] * 34))
    assert not silent.was_whole
    assert rolls(silent) == [*rolls(done), (None, None)]
    late = refreshed(silent.table, MainSource(35, ["M"] * 35))
    assert not late.was_whole
    assert rolls(late) == [("M", None), *[("M", 1.0)] * 34]


@pytest.mark.parametrize("known", [None, "N"])
def test_main_contracts_that_were_not_known_or_are_others_now_are_fetched_as_a_whole(
    known: str | None,
) -> None:
    before = refreshed(None, MainSource(30, [known] * 30))
    done = refreshed(before.table, MainSource(30, ["M"] * 30))
    assert done.was_whole
    assert done.restatement is None
    assert rolls(done) == [("M", None), *[("M", 1.0)] * 29]
