"""Prices in the tools that people have: qlib and vnpy read theirs, backtrader runs on a frame."""

import datetime as dt
import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from marketdata_assets.client import (
    BadQuestion,
    Incomplete,
    MarketData,
    connect,
    to_qlib,
    to_vnpy,
)
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import INSTRUMENT_HISTORY
from marketdata_assets_tests.api.stored_world import (
    DAYS,
    EX_DATE,
    SHARES,
    close_of,
    history_of,
    store_world,
)

CODE, INDEX = "600000.SH", "000300.SH"


def python_with(package: str, setting: str) -> str:
    """This Python where it has the package, or that of an environment which a setting names.

    Both packages want other versions than the platform.
    """
    return os.environ.get(setting) or (sys.executable if importlib.util.find_spec(package) else "")


QLIB_PYTHON = python_with("qlib", "QLIB_PYTHON")
VNPY_PYTHON = python_with("vnpy_sqlite", "VNPY_PYTHON")


@pytest.fixture(scope="module")
def md(tmp_path_factory: pytest.TempPathFactory) -> MarketData:
    root = tmp_path_factory.mktemp("tools")
    store_world(root)
    lake = Lake(root, "test: not a real market")
    lake.write(INSTRUMENT_HISTORY, INDEX, history_of(INDEX, DAYS))
    return connect(root)


@pytest.fixture(scope="module")
def files(md: MarketData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_qlib(md, tmp_path_factory.mktemp("qlib") / "cn", [*SHARES, INDEX], DAYS[5])


def values(files: Path, name: str, field: str) -> tuple[int, list[float]]:
    first, *rest = np.fromfile(files / "features" / name / f"{field}.day.bin", "<f4")
    return int(first), [float(one) for one in rest]


def test_the_files_are_a_calendar_the_instruments_and_a_file_a_field(files: Path) -> None:
    calendar = (files / "calendars" / "day.txt").read_text("utf-8").split()
    assert calendar == [str(day) for day in DAYS[5:]]
    lines = (files / "instruments" / "all.txt").read_text("utf-8").splitlines()
    assert f"SH600000\t{DAYS[5]}\t{DAYS[-1]}" in lines
    assert {line[:8] for line in lines} == {"SH000300", "SZ000001", "SZ300750", "SH600000"}
    first, close = values(files, "sh600000", "close")
    _, factor = values(files, "sh600000", "factor")
    assert (first, len(close)) == (0, len(DAYS) - 5)
    assert factor == [2.0 if day >= EX_DATE else 1.0 for day in DAYS[5:]]
    traded = [one / by for one, by in zip(close, factor, strict=True)]
    assert traded == pytest.approx([close_of(CODE, day) for day in DAYS[5:]])
    assert set(values(files, "sh000300", "factor")[1]) == {1.0}


def test_a_folder_with_something_in_it_is_left_alone(md: MarketData, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(BadQuestion, match="is not empty"):
        to_qlib(md, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_without_codes_it_is_all_shares(md: MarketData, tmp_path: Path) -> None:
    made = to_qlib(md, tmp_path / "all", start=DAYS[-3])
    assert sorted(path.name for path in (made / "features").iterdir()) == [
        "sh600000",
        "sz000001",
        "sz300750",
    ]
    # Nothing else is left beside it.
    assert [path.name for path in tmp_path.iterdir()] == ["all"]


def test_what_can_not_be_adjusted_is_left_out_and_named(md: MarketData, tmp_path: Path) -> None:
    with pytest.warns(Incomplete, match="159915.SZ"):
        made = to_qlib(md, tmp_path / "some", [CODE, "159915.SZ"], DAYS[-3])
    assert [path.name for path in (made / "features").iterdir()] == ["sh600000"]


def test_codes_without_a_row_cost_the_others_nothing(md: MarketData, tmp_path: Path) -> None:
    # As many as are asked for at once.
    unknown = [f"{300_200 + number}.SZ" for number in range(500)]
    with pytest.warns(Incomplete) as told:
        made = to_qlib(md, tmp_path / "some", [*unknown, INDEX, "159915.SZ"], DAYS[-3])
    assert [set(one.message.missing) for one in told] == [{"159915.SZ"}, {*unknown}]
    assert {one.filename for one in told} == {__file__}
    assert [path.name for path in (made / "features").iterdir()] == ["sh000300"]


def test_a_folder_without_shares_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    with pytest.raises(BadQuestion, match="None of the codes"):
        to_qlib(connect(tmp_path), tmp_path / "all")


@pytest.mark.skipif(
    not QLIB_PYTHON,
    reason="pyqlib is not installed: QLIB_PYTHON names a Python that has it",
)
def test_qlib_reads_what_was_written(files: Path, md: MarketData) -> None:
    code = f"""
import json, logging, qlib
from qlib.data import D
qlib.init(provider_uri={str(files)!r}, region="cn", kernels=1, logging_level=logging.ERROR)
fields = ["$close/$factor", "$close", "$volume*$factor", "Ref($close, 1)/$close-1"]
rows = D.features(["SH600000"], fields, freq="day")
names = sorted(D.list_instruments(D.instruments("all"), as_list=True))
days = [str(day)[:10] for day in D.calendar()]
print(json.dumps([rows.values.tolist(), names, days]))
"""
    run = subprocess.run([QLIB_PYTHON, "-c", code], capture_output=True, text=True, check=True)
    rows, names, days = json.loads(run.stdout.splitlines()[-1])
    assert names == ["SH000300", "SH600000", "SZ000001", "SZ300750"]
    assert days == [str(day) for day in DAYS[5:]]
    traded, adjusted, volumes, _ = zip(*rows, strict=True)
    plain, hfq = (md.get_price(CODE, DAYS[5], adjust=how) for how in ("none", "hfq"))
    assert list(traded) == pytest.approx(list(plain["close"]), rel=1e-6)
    assert list(adjusted) == pytest.approx(list(hfq["close"]), rel=1e-6)
    assert list(volumes) == pytest.approx(list(plain["volume"]), rel=1e-6)


def test_a_database_of_vnpy_keeps_what_it_had(md: MarketData, tmp_path: Path) -> None:
    # As `~/.vntrader` is before vnpy has run once.
    database = tmp_path / ".vntrader" / "database.db"
    assert to_vnpy(md, database, [CODE, INDEX], DAYS[-9], DAYS[-5]) == 10
    assert to_vnpy(md, database, [CODE], DAYS[-6]) == 6
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT symbol, exchange, count, start, end FROM dbbaroverview ORDER BY symbol"
        ).fetchall()
    assert rows == [
        ("000300", "SSE", 5, f"{DAYS[-9]} 00:00:00", f"{DAYS[-5]} 00:00:00"),
        ("600000", "SSE", 9, f"{DAYS[-9]} 00:00:00", f"{DAYS[-1]} 00:00:00"),
    ]
    with pytest.raises(BadQuestion, match="HSI"):
        to_vnpy(md, database, ["HSI"])


@pytest.mark.skipif(
    not VNPY_PYTHON,
    reason="vnpy_sqlite is not installed: VNPY_PYTHON names a Python that has it",
)
def test_vnpy_reads_what_was_written(md: MarketData, tmp_path: Path) -> None:
    (tmp_path / ".vntrader").mkdir()
    to_vnpy(md, tmp_path / ".vntrader" / "database.db", [CODE], DAYS[-9])
    code = """
import datetime, json
from vnpy.trader.constant import Exchange, Interval
from vnpy.trader.database import get_database
found = get_database()
since, until = datetime.datetime(2000, 1, 1), datetime.datetime(2100, 1, 1)
bars = found.load_bar_data("600000", Exchange.SSE, Interval.DAILY, since, until)
[seen] = found.get_bar_overview()
rows = [[str(bar.datetime.date()), bar.close_price, bar.volume, bar.turnover] for bar in bars]
print(json.dumps([rows, seen.symbol, seen.count]))
"""
    environment = {**os.environ, "HOME": str(tmp_path), "TZ": "Asia/Shanghai"}
    run = subprocess.run(
        [VNPY_PYTHON, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment,
    )
    rows, symbol, count = json.loads(run.stdout.splitlines()[-1])
    prices = md.get_price(CODE, DAYS[-9])
    assert (symbol, count) == ("600000", 9)
    assert [row[0] for row in rows] == [str(day) for day in DAYS[-9:]]
    for number, name in enumerate(("close", "volume", "turnover"), 1):
        assert [row[number] for row in rows] == list(prices[name])


def test_backtrader_runs_on_a_frame_as_it_is(md: MarketData) -> None:
    prices = md.get_price(CODE, DAYS[0], adjust="qfq")
    seen: list[tuple[dt.date, float]] = []
    with warnings.catch_warnings():
        # It is older than the Python and the pandas here.
        warnings.simplefilter("ignore")
        import backtrader

        class Noting(backtrader.Strategy):  # type: ignore[misc]
            def next(self) -> None:
                seen.append((self.data.datetime.date(), self.data.close[0]))

        cerebro = backtrader.Cerebro()
        cerebro.adddata(backtrader.feeds.PandasData(dataname=prices))
        cerebro.addstrategy(Noting)
        cerebro.run()
    assert [day for day, _ in seen] == DAYS
    assert [close for _, close in seen] == list(prices["close"])
