"""The command `query`: the prices of one code in the terminal, or as a file.

Here belongs how they are shown. Where they are read from is `serving.price_reader`, as the API's.
"""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table as Grid

from marketdata_assets.profile import origin, profile_root
from marketdata_assets.serving.answers import Slice
from marketdata_assets.serving.ohlcv_view import OHLCV
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import RangeQuery
from marketdata_assets.settings import SettingError
from marketdata_assets.storage.durable_files import becoming
from marketdata_assets.trading_calendar import SHANGHAI

DAYS_SHOWN = dt.timedelta(days=30)
WRITERS = {".csv": pyarrow.csv.write_csv, ".parquet": pyarrow.parquet.write_table}


def query(
    code: str, start: dt.date | None, end: dt.date | None, adjust: str, fields: str, out: str
) -> int:
    """Print the prices of a code, by default of the last 30 days, or write them to a file.

    1 where there are none. Raises `SettingError`, and what `PriceReader.ohlcv` raises.
    """
    file = Path(out) if out else None
    if file and file.suffix not in WRITERS:
        raise SettingError("--out", out, f"write a file that ends with {' or '.join(WRITERS)}")
    first = start or (None if file else dt.datetime.now(SHANGHAI).date() - DAYS_SHOWN)
    columns = [name for name in fields.split(",") if name] or list(OHLCV)
    reader = PriceReader(profile_root())
    share = reader.instrument(code).code
    try:
        asked = RangeQuery(codes=[share], start=first, end=end, columns=columns, adjust=adjust)
    except ValidationError as error:
        how = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SettingError("the question", f"{code} {fields} {adjust}", how.rstrip(".")) from None
    found = reader.ohlcv(share, asked.start, asked.end, asked.columns, asked.adjust)
    console = Console(highlight=False, soft_wrap=bool(file))
    if found.rows.num_rows == 0:
        span = " … ".join(map(str, found.available or ()))
        console.print(f"{found.code} has no rows there; stored are {span}.")
        return 1
    if file:
        with becoming(file) as unfinished:
            WRITERS[file.suffix](found.rows, unfinished)
        console.print(f"{found.rows.num_rows:,} rows of {found.code} are in {file}")
    else:
        console.print(_grid(found.rows))
    console.print(_about(found), style="dim")
    return 0


def _grid(rows: pa.Table) -> Grid:
    grid = Grid(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for field in rows.schema:
        is_number = pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
        grid.add_column(field.name, justify="right" if is_number else "left", no_wrap=True)
    for row in rows.to_pylist():
        grid.add_row(*map(_shown, row.values()))
    return grid


def _shown(value: object) -> str:
    if value is None:
        return "–"
    # As many decimals as the number has: nothing is rounded.
    return f"{value:,}" if isinstance(value, float) else str(value)


def _about(found: Slice) -> str:
    lines = [f"{found.code}: volume in {found.instrument.unit}, {found.instrument.currency}"]
    if found.missing:
        lines.append(f"{len(found.missing)} session(s) were never stored")
    lines.append(found.origin or origin())
    return "; ".join(lines)
