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
from rich.measure import Measurement
from rich.table import Table as Grid

from marketdata_assets.command_texts import text
from marketdata_assets.profile import origin, profile_root
from marketdata_assets.serving.answers import Slice
from marketdata_assets.serving.ohlcv_view import OHLCV
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import RangeQuery
from marketdata_assets.settings import SettingError
from marketdata_assets.storage.durable_files import becoming
from marketdata_assets.trading_calendar import SHANGHAI

WIDEST = 10_000
DAYS_SHOWN = dt.timedelta(days=30)
WRITERS = {".csv": pyarrow.csv.write_csv, ".parquet": pyarrow.parquet.write_table}


def query(
    code: str, first: dt.date | None, last: dt.date | None, adjust: str, fields: str, out: str
) -> int:
    """Print the prices of a code, by default of the last 30 days, or write them to a file.

    1 where there are none. Raises `SettingError`, and what `PriceReader.ohlcv` raises.
    """
    file = Path(out) if out else None
    if file and file.suffix not in WRITERS:
        raise SettingError("--out", out, "write a file that ends with .csv or .parquet")
    start = first or (None if file else dt.datetime.now(SHANGHAI).date() - DAYS_SHOWN)
    columns = fields.replace(",", " ").split() or list(OHLCV)
    reader = PriceReader(profile_root())
    share = reader.instrument(code).code
    try:
        asked = RangeQuery(codes=[share], start=start, end=last, columns=columns, adjust=adjust)
    except ValidationError as error:
        how = error.errors()[0]["msg"].removeprefix("Value error, ")
        question = " ".join(str(one) for one in (code, first, last, fields, adjust) if one)
        raise SettingError("the question", question, how.rstrip(".")) from None
    found = reader.ohlcv(share, asked.start, asked.end, asked.columns, asked.adjust)
    console = Console(highlight=False, markup=False, soft_wrap=bool(file))
    if found.rows.num_rows == 0:
        span = " … ".join(map(str, found.available or ()))
        none = "{code} has no rows there; stored are {span}."
        console.print(text(none, code=found.code, span=span))
        return 1
    if file:
        try:
            with becoming(file) as unfinished:
                WRITERS[file.suffix](found.rows, unfinished)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
            how = "write a file in a folder that is there and yours to write in"
            raise SettingError("--out", out, how) from None
        written = "{count:,} rows of {code} are in {file}"
        console.print(text(written, count=found.rows.num_rows, code=found.code, file=file))
    else:
        grid = _grid(found.rows)
        # As wide as it is, whatever the terminal's width: nothing is cut.
        widest = Measurement.get(console, console.options.update(max_width=WIDEST), grid).maximum
        console.width = max(console.width, widest)
        console.print(grid)
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
    unit, currency = text(found.instrument.unit), found.instrument.currency
    what = "{code}: volume in {unit}, {currency}"
    lines = [text(what, code=found.code, unit=unit, currency=currency)]
    if found.missing:
        lines.append(text("{count} session(s) were never stored", count=len(found.missing)))
    lines.append(text(found.origin or origin()))
    return text("; ").join(lines)
