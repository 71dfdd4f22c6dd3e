"""What users load the dataset with reads what was published, on the Hub and in a folder."""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketdata_assets.assets.hf_dataset import publish_days
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets_tests.hub_emulator.server import HubServer
from marketdata_assets_tests.hubs import REPO, TOKEN, hub_at
from marketdata_assets_tests.published_folder import dataset_folder
from marketdata_assets_tests.publishing.prices import SHARES, store, suspend
from marketdata_assets_tests.resources.hub_publishing import ORIGIN, hub_resource, publish

DAYS = [dt.date(2023, 12, 29), dt.date(2024, 1, 2)]
ROWS = len(DAYS) * len(SHARES)
REASONS = ["suspended", "part", "of", "the", "day", "suspended", "unexplained"]
LOAD_DATASET = f"""
from datasets import load_dataset
print(*load_dataset("{REPO}", "suspended", split="train")["reason"])
rows = load_dataset("{REPO}", split="train")
print(len(rows), ",".join(rows.column_names), rows[0]["date"], rows[0]["code"])
"""
LOAD_FOLDER = """
from datasets import load_dataset
print(*load_dataset("../dataset", "suspended", split="train")["reason"])
rows = load_dataset("../dataset", split="train")
print(len(rows), ",".join(rows.column_names), rows[0]["date"], rows[0]["code"])
"""
PANDAS_FOLDER = """
import pandas as pd
told = pd.concat(pd.read_parquet(f"data/suspended-{year}.parquet") for year in YEARS)
print(*told["reason"])
rows = pd.concat(pd.read_parquet(f"data/prices-{year}.parquet") for year in YEARS)
print(len(rows), ",".join(rows.columns), rows.iloc[0]["date"], rows.iloc[0]["code"])
"""
DUCKDB_FOLDER = """
import duckdb
told = duckdb.sql("SELECT reason FROM 'data/suspended-*.parquet' ORDER BY trade_date, ts_code")
print(*(reason for (reason,) in told.fetchall()))
rows = duckdb.sql("SELECT * FROM 'data/prices-*.parquet' ORDER BY date, code")
found = rows.fetchall()
print(len(found), ",".join(rows.columns), found[0][1], found[0][0])
"""
PANDAS = f"""
import pandas as pd
data = "hf://datasets/{REPO}/data"
told = pd.concat(pd.read_parquet(f"{{data}}/suspended-{{year}}.parquet") for year in YEARS)
print(*told["reason"])
rows = pd.concat(pd.read_parquet(f"{{data}}/prices-{{year}}.parquet") for year in YEARS)
print(len(rows), ",".join(rows.columns), rows.iloc[0]["date"], rows.iloc[0]["code"])
"""
DUCKDB = f"""
import duckdb
from huggingface_hub import HfFileSystem
connection = duckdb.connect()
connection.register_filesystem(HfFileSystem())
data = "hf://datasets/{REPO}/data"
told = f"SELECT reason FROM '{{data}}/suspended-*.parquet' ORDER BY trade_date, ts_code"
print(*(reason for (reason,) in connection.sql(told).fetchall()))
rows = connection.sql(f"SELECT * FROM '{{data}}/prices-*.parquet' ORDER BY date, code")
found = rows.fetchall()
print(len(found), ",".join(rows.columns), found[0][1], found[0][0])
"""


def lake_at(root: Path) -> Lake:
    """On the second day a share was halted for hours, one all day, and of one nobody knows."""
    lake = Lake(root, ORIGIN)
    store(lake, DAYS)
    suspend(lake, DAYS[0], ("600009.SH", True, "suspended", None))
    suspend(
        lake,
        DAYS[1],
        ("600000.SH", False, "part of the day", "09:30-10:00"),
        ("600009.SH", True, "suspended", None),
        ("600010.SH", None, "unexplained", None),
    )
    return lake


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    root = tmp_path_factory.mktemp("readers")
    lake = lake_at(root)
    with hub_at(root / "hub") as server:
        publish(hub_resource(server, root / "work"), lake, DAYS)
        yield server


@pytest.mark.parametrize(
    "program", [LOAD_DATASET, PANDAS, DUCKDB], ids=["datasets", "pandas", "duckdb"]
)
def test_the_published_dataset_is_read_by(program: str, server: HubServer, tmp_path: Path) -> None:
    env = {
        **os.environ,
        "HF_ENDPOINT": server.url,
        "HF_TOKEN": TOKEN,
        "HF_HOME": str(tmp_path),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0",
    }
    run = subprocess.run(
        [sys.executable, "-c", f"YEARS = (2023, 2024)\n{program}"],
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert_read(run)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("folder")
    lake = lake_at(root)
    publish_days(dataset_folder(root), lake, DAYS)
    return root / "dataset"


@pytest.mark.parametrize(
    "program",
    [LOAD_FOLDER, PANDAS_FOLDER, DUCKDB_FOLDER],
    ids=["datasets", "pandas", "duckdb"],
)
def test_the_published_folder_is_read_as_its_card_says_by(
    program: str, folder: Path, tmp_path: Path
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", f"YEARS = (2023, 2024)\n{program}"],
        cwd=folder,
        env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert_read(run)


def test_the_lines_of_the_folder_s_card_read_it(folder: Path, tmp_path: Path) -> None:
    card = (folder / "README.md").read_text("utf-8")
    blocks = [block.split("```")[0] for block in card.split("```python\n")[1:]]
    program = "\nprint(len(prices))\n".join([*blocks[:2], ""])
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(ROWS), str(len(SHARES))]
    assert "revisions" not in card


ADJUSTED = """
import duckdb
import pandas as pd
from marketdata_assets_tests.publishing.test_readers import blocks_of
prices = pd.concat(pd.read_parquet(f"data/prices-{year}.parquet") for year in (2023, 2024))
prices = prices.reset_index(drop=True)
(in_pandas,) = [block for block in blocks_of("python") if "close_qfq" in block]
exec(in_pandas)
(in_sql,) = [block for block in blocks_of("sql") if "close_qfq" in block]
found = duckdb.sql(in_sql).df().sort_values(["date", "code"], ignore_index=True)
expected = prices.sort_values(["date", "code"], ignore_index=True)
for name in ("code", "close", "close_hfq", "close_qfq"):
    pd.testing.assert_series_equal(found[name], expected[name], check_dtype=False)
rows = expected[expected["close_qfq"].notna()]
print(len(found), len(rows), (rows["close_hfq"] == rows["close"] * rows["adj_factor"]).all())
"""


def blocks_of(language: str) -> list[str]:
    """The programs of the card in the working folder."""
    card = Path("README.md").read_text("utf-8")
    return [block.split("```")[0] for block in card.split(f"```{language}\n")[1:]]


def test_the_card_adjusts_alike_in_pandas_and_in_sql(folder: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", ADJUSTED],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stderr
    count, adjusted, is_right = run.stdout.split()
    assert (int(count), is_right) == (ROWS, "True")
    assert 0 < int(adjusted) <= ROWS


PAUSED = """
import warnings
import duckdb
import pandas as pd
from marketdata_assets_tests.publishing.test_readers import blocks_of
warnings.simplefilter("error")
prices = pd.read_parquet("data/prices-2024.parquet")
(in_pandas,) = [block for block in blocks_of("python") if "is_paused" in block]
exec(in_pandas)
(in_sql,) = [block for block in blocks_of("sql") if "is_paused" in block]
for code in ("000001.SZ", "600000.SH", "600009.SH", "600010.SH"):
    [paused] = whole[whole["code"] == code]["is_paused"]
    [(in_sql_too,)] = duckdb.sql(
        f"SELECT is_paused FROM ({in_sql}) WHERE code = '{code}' AND year(date) = 2024"
    ).fetchall()
    assert paused == in_sql_too
    print(paused, whole["close"][whole["code"] == code].notna().sum())
print(len(whole), len(duckdb.sql(in_sql).fetchall()))
"""


def test_the_card_tells_alike_in_pandas_and_in_sql_who_was_paused(folder: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PAUSED],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stderr
    *shares, counts = run.stdout.splitlines()
    # Traded, halted for hours, halted all day, not known.
    assert shares == ["False 1", "False 1", "True 0", "None 0"]
    assert counts == f"{len(SHARES) + 2} {ROWS + 3}"


def assert_read(run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode == 0, run.stderr
    *reasons, count, columns, date, code = run.stdout.split()
    assert reasons == REASONS
    assert int(count) == ROWS
    assert columns.split(",") == DAILY_PRICES.column_names
    assert date.startswith("2023-12-29")
    assert code in SHARES
