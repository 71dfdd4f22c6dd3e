"""What a user decides about findings, and what the commands say."""

import datetime as dt
import re
from pathlib import Path

import pyarrow as pa
import pytest

from marketdata_assets.checks.excuses import FILE, ExcusesUnreadable, excuse_list
from marketdata_assets.finding_commands import accept, excuse, show_findings
from marketdata_assets.instruments import UnknownCode
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import FINDINGS
from marketdata_assets.trading_calendar import sessions_between

DAYS = sessions_between(dt.date(2024, 9, 23), dt.date(2024, 9, 26))
SEEN = dt.datetime(2024, 9, 26, 13, 0, tzinfo=dt.UTC)


def finding(day: dt.date, code: str, check: str, outcome: str = "flagged") -> dict[str, object]:
    table, _, name = check.partition(".")
    row = {"trade_date": day, "table_name": table, "ts_code": code, "check_name": name}
    told = {"outcome": outcome, "seen": f"what {code} says", "expected": "otherwise"}
    return row | told | {"reason": None, "first_seen": SEEN}


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Four days: a share without factor on all of them, another on the last, one refused day."""
    monkeypatch.setenv("MARKETDATA_HOME", str(tmp_path))
    monkeypatch.delenv("TUSHARE_TOKEN", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    lake = Lake(tmp_path / "sandbox", "test")
    for day in DAYS:
        rows = [finding(day, "920008.BJ", "daily_prices.factor_missing")]
        if day == DAYS[2]:
            rows.append(finding(day, "", "daily_basic.not_zero_filled", "refused"))
        if day == DAYS[-1]:
            rows.append(finding(day, "600000.SH", "daily_kline.units", "held"))
            rows.append(finding(day, "600001.SH", "daily_kline.units", "excused"))
            rows.append(finding(day, "", "daily_kline.answer", "refused"))
        lake.write(FINDINGS, day, pa.Table.from_pylist(rows, schema=FINDINGS.schema))
    return lake


def test_the_list_tells_what_needs_somebody_first_and_since_when(lake: Lake, capsys) -> None:
    assert show_findings(None, None, "", with_excused=False) == 0
    lines = capsys.readouterr().out.splitlines()
    told = [line.split() for line in lines if line.startswith(("refused", "held", "flagged"))]
    assert told == [
        ["refused", "(answer)", "2024-09-26", "1", "daily_kline.answer"],
        ["held", "600000.SH", "2024-09-26", "1", "daily_kline.units"],
        ["flagged", "920008.BJ", "2024-09-23", "4", "daily_prices.factor_missing"],
    ]
    assert "what 920008.BJ says" in lines[lines.index(next(x for x in lines if "920008" in x)) + 1]
    assert "2024-09-26: 1 refused, 1 held, 1 flagged." in lines[-1]


def test_the_list_of_a_span_of_one_share_or_with_what_is_excused(lake: Lake, capsys) -> None:
    assert show_findings(None, DAYS[0], "", with_excused=True) == 0
    whole = capsys.readouterr().out
    assert "not_zero_filled" in whole
    assert "600001.SH" in whole
    assert show_findings(DAYS[0], None, "600000.SH", with_excused=False) == 0
    assert "Nothing is found on 2024-09-23." in capsys.readouterr().out


def test_nothing_found_of_what_is_no_code_says_so(lake: Lake) -> None:
    with pytest.raises(UnknownCode, match=r"Did you mean 600000\.SH"):
        show_findings(None, None, "600000", with_excused=False)
    with pytest.raises(UnknownCode, match=r"Did you mean 600000\.SH"):
        excuse("600000", "", None, None, "seen it")


def test_an_excuse_covers_what_was_found_or_what_is_told(lake: Lake, capsys) -> None:
    assert excuse("920008.BJ", "", None, dt.date(2026, 12, 31), "new share") == 0
    assert excuse("600000.SH", "daily_kline.units", None, None, "seen it") == 0
    first, second = excuse_list(lake.beside(FILE))
    assert first[:5] == (
        "daily_prices.factor_missing",
        "920008.BJ",
        DAYS[0],
        dt.date(2026, 12, 31),
        "new share",
    )
    assert second[:4] == ("daily_kline.units", "600000.SH", DAYS[-1], DAYS[-1])
    assert "2 line(s)" in capsys.readouterr().out
    # Said twice it stands once.
    assert excuse("sh600000", "daily_kline.units", None, None, "seen it") == 0
    assert len(excuse_list(lake.beside(FILE))) == 2


def test_who_has_no_name_on_this_machine_is_told_by_number(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 1_999_999_999)
    assert excuse("920008.BJ", "", None, None, "new share") == 0
    assert [one.who for one in excuse_list(lake.beside(FILE))] == ["1999999999"]


def test_a_refused_day_is_accepted_check_by_check(lake: Lake, capsys) -> None:
    assert accept("daily_basic", DAYS[2], "zeros, for once") == 0
    [line] = excuse_list(lake.beside(FILE))
    assert line[:4] == ("daily_basic.not_zero_filled", "*", DAYS[2], DAYS[2])
    assert "Materialize daily_basic and what follows for 2024-09-25" in capsys.readouterr().out


def test_what_can_not_be_decided_is_a_sentence(lake: Lake, capsys) -> None:
    for table, day, said in (
        ("daily_kline", DAYS[-1], "there is nothing to accept"),
        ("daily_kline", DAYS[0], "daily_kline 2024-09-23 is not refused"),
        ("nonsense", DAYS[0], "There is no table nonsense"),
    ):
        assert accept(table, day, "x") == 1
        assert said in capsys.readouterr().out.replace("\n", " ")
    assert excuse("000001.SZ", "", None, None, "x") == 1
    assert "Nothing is found of 000001.SZ" in capsys.readouterr().out
    assert not (lake.root / FILE).exists()


@pytest.mark.parametrize("reason", ["see [/notice] of it", "see [the notice], ratio 1:100:3"])
def test_what_is_written_is_shown_as_it_is(lake: Lake, capsys, reason: str) -> None:
    assert excuse("600000.SH", "", None, None, reason) == 0
    assert reason in capsys.readouterr().out
    assert [one.reason for one in excuse_list(lake.beside(FILE))] == [reason]
    assert accept(reason, DAYS[0], "x") == 1
    assert f"There is no table {reason};" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("first", "reason"), [(dt.date(2025, 1, 1), "after its last day"), (None, "  ")]
)
def test_what_no_run_could_read_is_not_written(
    lake: Lake, first: dt.date | None, reason: str
) -> None:
    assert excuse("920008.BJ", "", None, None, "new share") == 0
    before = lake.beside(FILE)
    with pytest.raises(ExcusesUnreadable, match="first must not be after last, and give a reason"):
        excuse("600000.SH", "", first, None, reason)
    assert lake.beside(FILE) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", "line 1: write the columns as check,code,first,last,reason,who"),
        ("check,code,first,last,reason,who\na.b,*,2024-09-23\n", "line 2: write 6 values"),
        ("check,code,first,last,reason,who\na.b,*,2024-09-24,2024-09-23,x,y\n", "line 2: first"),
        ("check,code,first,last,reason,who\nab,*,2024-09-23,2024-09-23,x,y\n", "line 2: write the"),
    ],
)
def test_a_broken_file_of_excuses_is_named_by_its_line_and_kept(
    lake: Lake, text: str, said: str
) -> None:
    (lake.root / FILE).write_text(text, "utf-8")
    with pytest.raises(ExcusesUnreadable, match=re.escape(said)):
        excuse("920008.BJ", "", None, None, "new share")
    assert (lake.root / FILE).read_text("utf-8") == text


def test_nothing_stored_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("MARKETDATA_HOME", str(tmp_path))
    assert show_findings(None, None, "", with_excused=False) == 1
    assert "marketdata demo" in capsys.readouterr().out
