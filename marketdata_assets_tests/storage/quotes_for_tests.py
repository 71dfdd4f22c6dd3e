"""A narrow daily table with every kind of column, and what a series of it must answer."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import Table
from marketdata_assets.tables.declaration import YUAN, number, text
from marketdata_assets.tables.declaration import day as date

QUOTES = Table(
    name="quotes",
    doc="Quotes.",
    doc_zh="报价。",
    key=("day", "symbol"),
    columns=(
        number("price", YUAN, "price", "价格"),
        text("symbol", "code", "代码", False),
        date("day", "day", "日", False),
        text("name", "name", "名称"),
        date("listed", "first day", "上市"),
    ),
    date_column="day",
)
CODES = ("a", "b", "c", "d")
DAYS = [
    first + dt.timedelta(n)
    for first, count in ((dt.date(2022, 12, 20), 40), (dt.date(2024, 1, 1), 10))
    for n in range(count)
]
Row = tuple[float | None, str | None, dt.date | None]


def quotes(day: dt.date, rows: Mapping[str, Row]) -> pa.Table:
    """Rows of one day by code: price, name, first day."""
    return pa.table(
        {
            "price": pa.array([row[0] for row in rows.values()], pa.float64()),
            "symbol": pa.array(rows, pa.string()),
            "day": pa.array([day] * len(rows), pa.date32()),
            "name": pa.array([row[1] for row in rows.values()], pa.string()),
            "listed": pa.array([row[2] for row in rows.values()], pa.date32()),
        },
        schema=QUOTES.schema,
    )


def store(lake: Lake, days: Iterable[dt.date], price: float, codes: Sequence[str] = CODES) -> None:
    """Write days on which every code has the same price."""
    for day in days:
        lake.write(QUOTES, day, quotes(day, dict.fromkeys(codes, (price, "x", None))))


def whole(lake: Lake) -> pa.Table:
    """All rows of the lake by code and date, read without a series."""
    days = [lake.read(QUOTES, day) for day in lake.days(QUOTES)]
    return pa.concat_tables(days).sort_by([("symbol", "ascending"), ("day", "ascending")])


def plain_slice(
    rows: pa.Table, code: str, start: dt.date | None = None, end: dt.date | None = None
) -> pa.Table:
    kept = pc.equal(rows["symbol"], code)
    if start is not None:
        kept = pc.and_(kept, pc.greater_equal(rows["day"], pa.scalar(start)))
    if end is not None:
        kept = pc.and_(kept, pc.less_equal(rows["day"], pa.scalar(end)))
    return rows.filter(kept)
