"""The notebooks of `examples/` run from the top to the end, without a warning."""

import datetime as dt
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

import marketdata_assets
from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import refresh
from marketdata_assets.tables import (
    ADJ_FACTOR,
    COVERAGE,
    DAILY_PRICES,
    ETF_PREMIUM,
    FINDINGS,
    STOCK_LIST,
)
from marketdata_assets.trading_calendar import last_closed_sessions
from marketdata_assets_tests.api.stored_world import rows_of

EXAMPLES = Path(marketdata_assets.__file__).parents[1] / "examples"
NOTEBOOKS = sorted(path.name for path in EXAMPLES.glob("*.ipynb"))
DAYS = last_closed_sessions(30, dt.datetime.now(dt.UTC))
SHARES = [f"600{number:03}.SH" for number in range(60)]
FUNDS = [f"5103{number:02}.SH" for number in range(6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `data` has thirty days of a market that moves, and `examples` beside it."""
    folder = tmp_path_factory.mktemp("notebooks")
    root = folder / "data" / "sandbox"
    (folder / "examples").mkdir()
    lake, chance = Lake(root, "test: not a real market"), np.random.default_rng(1)
    closes = 10 * np.exp(np.cumsum(chance.normal(0, 0.02, (len(DAYS), len(SHARES))), axis=0))
    premiums = chance.normal(0.01, 0.02, (len(DAYS), len(FUNDS)))
    for number, day in enumerate(DAYS):
        prices = {name: closes[number].round(2) for name in ("open", "high", "low", "close")}
        factor = np.where(np.arange(len(SHARES)) == 0, 1 + (number > 20), 1.0)
        of_day: dict[str, Any] = {"date": [day] * len(SHARES), "trade_date": [day] * len(SHARES)}
        for table, columns in (
            (DAILY_PRICES, {"code": SHARES, "adj_factor": factor, "total_mv": closes[0], **prices}),
            (ADJ_FACTOR, {"ts_code": SHARES, "adj_factor": factor}),
            (COVERAGE, {"ts_code": SHARES, "reason": ["held"] * len(SHARES)}),
        ):
            lake.write(table, day, rows_of(table, len(SHARES), **columns, **of_day))
        known = [None if number == 29 and n == 0 else one for n, one in enumerate(premiums[number])]
        why = [None if one is not None else "nav not published" for one in known]
        funds: dict[str, Any] = {
            "ts_code": FUNDS,
            "trade_date": [day] * len(FUNDS),
            "premium": known,
        }
        funds |= {"no_premium": why, "name": [f"基金{code[:6]}" for code in FUNDS]}
        lake.write(ETF_PREMIUM, day, rows_of(ETF_PREMIUM, len(FUNDS), **funds))
        found: dict[str, Any] = {
            "trade_date": [day],
            "ts_code": [SHARES[0]],
            "outcome": ["flagged"],
        }
        found |= {"first_seen": [dt.datetime.now(dt.UTC)], "table_name": ["daily_prices"]}
        lake.write(FINDINGS, day, rows_of(FINDINGS, 1, **found))
    names: dict[str, Any] = {
        "trade_date": DAYS[-1:] * len(SHARES),
        "ts_code": SHARES,
        "name": [f"股份{code[:6]}" for code in SHARES],
        # Nothing lacks in their first week.
        "list_date": DAYS[:1] * len(SHARES),
    }
    lake.write(STOCK_LIST, DAYS[-1], rows_of(STOCK_LIST, len(SHARES), **names))
    for table in (DAILY_PRICES, ADJ_FACTOR, ETF_PREMIUM):
        refresh(lake, table)
    publish_catalog(root)
    return folder


def test_the_notebooks_run_to_their_ends(folder: Path) -> None:
    # One after the other in one kernel, whose start and imports take most of the time.
    together = nbformat.v4.new_notebook()
    for name in NOTEBOOKS:
        cells = nbformat.read(EXAMPLES / name, as_version=4).cells
        code = [cell for cell in cells if cell.cell_type == "code"]
        # What it printed is of whose data they were: none is kept.
        assert [cell.outputs for cell in code] == [[]] * len(code), name
        together.cells += [nbformat.v4.new_code_cell("%reset -f"), *code]
    where = {"metadata": {"path": str(folder / "examples")}}
    NotebookClient(together, timeout=120, startup_timeout=120, resources=where).execute()
    outputs = [one for cell in together.cells for one in cell.outputs]
    assert [one.text for one in outputs if one.get("name") == "stderr"] == []
    shown = [one.data for one in outputs if "data" in one]
    assert sum("text/html" in one for one in shown) >= 7
    assert sum("image/png" in one for one in shown) == 5


def test_there_are_four_notebooks() -> None:
    assert NOTEBOOKS == ["coverage.ipynb", "factor.ipynb", "premium.ipynb", "prices.ipynb"]
