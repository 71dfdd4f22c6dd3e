"""Prices of a code from the shell: shown, or written to a file."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from marketdata_assets.instruments import UnknownCode
from marketdata_assets.query_command import query
from marketdata_assets.settings import SettingError
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets_tests.serving.stored import SESSIONS, store_shares

CODE = "600000.SH"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.delenv("TUSHARE_TOKEN", raising=False)
    monkeypatch.setenv("MARKETDATA_HOME", str(tmp_path))
    lake = Lake(tmp_path / "sandbox", "sandbox")
    store_shares(lake, SESSIONS)
    refresh(lake, DAILY_PRICES)
    return lake


def test_prices_are_shown_with_every_decimal_and_what_they_are(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert query("sh600000", SESSIONS[0], SESSIONS[2], "none", "date,close", "") == 0
    header, *rows, about = capsys.readouterr().out.splitlines()
    assert header.split() == ["date", "close"]
    stored = lake.read(DAILY_PRICES, SESSIONS[0])
    assert stored is not None
    [close] = [row["close"] for row in stored.to_pylist() if row["code"] == CODE]
    assert rows[0].split() == [str(SESSIONS[0]), f"{close:,}"]
    assert len(rows) == 3
    assert about.startswith(f"{CODE}: volume in shares, CNY; sandbox")


def test_in_chinese_it_says_in_chinese_that_prices_are_simulated(
    lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert query(CODE, SESSIONS[0], SESSIONS[2], "none", "", "") == 0
    assert "沙盒：模拟数据，并非真实行情" in " ".join(capsys.readouterr().out.split())


def test_no_column_is_cut_however_many_there_are(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    names = "date,open,high,low,close,volume,turnover,prev_close,high_limit,low_limit,quote_rate"
    fields = f"{names},total_mv,circ_mv,industry,name"
    assert query(CODE, SESSIONS[0], SESSIONS[2], "none", fields, "") == 0
    header, *rows, _ = capsys.readouterr().out.splitlines()
    assert header.split() == fields.split(",")
    assert [row.split()[0] for row in rows] == [str(day) for day in SESSIONS[:3]]
    assert "…" not in "".join(rows)


def test_a_file_holds_all_days_where_none_are_named(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("out.csv", "out.parquet"):
        assert query(CODE, None, None, "none", "", str(tmp_path / name)) == 0
    assert pq.read_table(tmp_path / "out.parquet")["date"].to_pylist() == SESSIONS
    lines = (tmp_path / "out.csv").read_text("utf-8").splitlines()
    assert len(lines) == len(SESSIONS) + 1
    assert f"{len(SESSIONS)} rows of {CODE}" in capsys.readouterr().out


def test_what_has_no_answer_says_so(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert query(CODE, None, None, "none", "", "") == 1
    assert f"{SESSIONS[0]} … {SESSIONS[-1]}" in capsys.readouterr().out
    with pytest.raises(UnknownCode, match=r"600000\.SH"):
        query("600000", None, None, "none", "", "")
    with pytest.raises(SettingError, match="no prices have a column clsoe"):
        query(CODE, None, None, "none", "clsoe", "")
    with pytest.raises(SettingError, match=r"\.csv or \.parquet"):
        query(CODE, None, None, "none", "", str(tmp_path / "out.xls"))
    with pytest.raises(SettingError, match="in a folder that is there"):
        query(CODE, None, None, "none", "", str(tmp_path / "nowhere" / "out.csv"))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SettingError, match="in a folder that is there"):
        query(CODE, None, None, "none", "", str(tmp_path / "folder.csv"))
