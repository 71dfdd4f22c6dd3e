"""Taking over a dataset that has one CSV, unsorted and with repeated rows, and no manifest.

Of repeated rows the last in the file wins: it was appended by the latest update. The CSV is read
once, into raw parquet a year; the shards are then written from that like any others.
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from marketdata_assets.errors import MarketdataError
from marketdata_assets.publishing.shards import RowsBetween
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.fitting import with_all_columns
from marketdata_assets.storage.io_manager import conform
from marketdata_assets.storage.reading import literal_path, quoted
from marketdata_assets.tables import DAILY_PRICES

SQL_TYPES = {"string": "VARCHAR", "date32[day]": "DATE", "double": "DOUBLE", "bool": "VARCHAR"}
TRUTHS = [c.name for c in DAILY_PRICES.columns if str(c.type) == "bool"]
REQUIRED = [c.name for c in DAILY_PRICES.columns if not c.nullable]


class NotAdoptable(MarketdataError, is_final=True):
    """The published CSV is not of the form that can be taken over."""


@dataclass(frozen=True)
class Adopted:
    """What was taken over: rows in the CSV, and how many of them were left out and why.

    The `absent` columns are NULL.
    """

    rows_read: int
    repeated: int
    incomplete: int
    years: tuple[int, ...]
    days: frozenset[dt.date]
    absent: tuple[str, ...]

    @property
    def rows_kept(self) -> int:
        return self.rows_read - self.repeated - self.incomplete

    def in_words(self) -> str:
        absent = f"; NULL, as it lacks them: {', '.join(self.absent)}" if self.absent else ""
        return (
            f"adopted the CSV: {self.rows_read:,} rows read, {self.repeated:,} repeated and "
            f"{self.incomplete:,} incomplete ones left out, {self.rows_kept:,} kept, sorted{absent}"
        )


class Adoption:
    """The raw rows of a CSV, by year, while its shards are being written."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._absent: list[str] = []

    def read(self, csv: Path) -> Adopted:
        """Read the CSV into the folder. Raises `NotAdoptable`."""
        with csv.open("rb") as file:
            header = file.readline().decode("utf-8-sig").strip().split(",")
        self._absent = [name for name in DAILY_PRICES.column_names if name not in header]
        if missing := set(self._absent) & set(REQUIRED):
            raise NotAdoptable(
                f"the published CSV lacks {', '.join(sorted(missing))}: it can't be adopted. "
                "Publish to an empty dataset, or add the columns."
            )
        types = {c.name: SQL_TYPES[str(c.type)] for c in DAILY_PRICES.columns}
        columns = ", ".join(f"'{name}': '{types.get(name, 'VARCHAR')}'" for name in header)
        replaced = [_as_true_or_false(name) for name in TRUTHS if name in header]
        truths = f"REPLACE ({', '.join(replaced)})" if replaced else ""
        try:
            self._connection.execute(f"""
                COPY (
                    SELECT * {truths}, row_number() OVER () AS line, year(date) AS year
                    FROM read_csv({quoted(literal_path(csv))}, columns = {{{columns}}},
                        header = true, delim = ',', quote = '"', escape = '"', auto_detect = false)
                ) TO {quoted(str(self._folder))} (FORMAT parquet, PARTITION_BY (year), OVERWRITE)
            """)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise NotAdoptable(f"the published CSV can't be read: {reason}") from None
        return self._counted()

    def _counted(self) -> Adopted:
        complete = " AND ".join(f'"{name}" IS NOT NULL' for name in REQUIRED)
        files = quoted(f"{literal_path(self._folder)}/**/*.parquet")
        rows = f"read_parquet({files}, hive_partitioning = true)"
        [[read, whole]] = self._connection.execute(
            f"SELECT count(*), count(*) FILTER ({complete}) FROM {rows}"
        ).fetchall()
        per_day = self._connection.execute(
            f"SELECT date, count(DISTINCT code) FROM {rows} WHERE {complete} GROUP BY date"
        ).fetchall()
        days = frozenset(day for day, _ in per_day)
        kept = sum(count for _, count in per_day)
        years = tuple(sorted({day.year for day in days}))
        return Adopted(read, whole - kept, read - whole, years, days, tuple(self._absent))

    def rows(self, year: int) -> RowsBetween:
        """The rows of a year, each once."""
        complete = " AND ".join(f'"{name}" IS NOT NULL' for name in REQUIRED)
        there = [name for name in DAILY_PRICES.column_names if name not in self._absent]
        names = ", ".join(f'"{name}"' for name in there)
        files = quoted(f"{literal_path(self._folder)}/year={year}/*.parquet")

        def rows(start: dt.date, end: dt.date) -> pa.Table:
            found = self._connection.sql(
                f"""
                SELECT {names} FROM read_parquet({files}, hive_partitioning = false)
                WHERE date >= $start AND date < $end AND {complete}
                QUALIFY row_number() OVER (PARTITION BY code, date ORDER BY line DESC) = 1
                """,
                params={"start": start, "end": end},
            ).to_arrow_table()
            return conform(DAILY_PRICES, with_all_columns(DAILY_PRICES, found))

        return rows


def _as_true_or_false(name: str) -> str:
    """The SQL of a truth: True and False, or the 1.0 and 0.0 that pandas makes of 1, 0 and NaN."""
    word = f"CASE \"{name}\" WHEN '1.0' THEN 'true' WHEN '0.0' THEN 'false' ELSE \"{name}\" END"
    return f'CAST({word} AS BOOLEAN) AS "{name}"'


@contextmanager
def adopting(folder: Path) -> Iterator[Adoption]:
    with bounded_duckdb(folder / "spill") as connection:
        yield Adoption(connection, folder / "raw")
