"""Taking over a dataset that has one CSV, unsorted and with repeated rows, and no manifest.

Of repeated rows the last in the file wins: it was appended by the latest update. A row whose share
or day can't be told is left out and counted; to mend it would be to guess. The CSV is read once,
into raw parquet a year; the shards are then written from that like any others.
"""

import datetime as dt
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import duckdb
import pyarrow as pa

from marketdata_assets.errors import MarketdataError
from marketdata_assets.publishing.making import RowsBetween
from marketdata_assets.publishing.manifest import Adopted
from marketdata_assets.storage.bounded_duckdb import bounded_duckdb
from marketdata_assets.storage.fitting import with_all_columns
from marketdata_assets.storage.io_manager import conform
from marketdata_assets.storage.reading import literal_path, quoted
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import (
    FIRST_SESSION,
    last_published_session,
    last_session_over,
    sessions_between,
)

SQL_TYPES = {"string": "VARCHAR", "date32[day]": "DATE", "double": "DOUBLE", "bool": "VARCHAR"}
TRUTHS = [c.name for c in DAILY_PRICES.columns if str(c.type) == "bool"]
REQUIRED = [c.name for c in DAILY_PRICES.columns if not c.nullable]


class LeftOut(StrEnum):
    """Why a row is not taken over; the values are read by people, after a number."""

    INCOMPLETE = "without code, date or close"
    NO_ZEROS = "of a code without its zeros"
    NO_SUFFIX = "of a code without its suffix"
    OTHER_FORM = "of a code in another form"
    OUTSIDE = "of a day outside the calendar"
    NOT_OVER = "of a day that is not over"
    NO_TRADING = "of a day without trading"
    REPEATED = "repeated"


IN_CHINESE: dict[str, str] = {
    LeftOut.INCOMPLETE: "缺代码、日期或收盘价",
    LeftOut.NO_ZEROS: "代码缺前导零",
    LeftOut.NO_SUFFIX: "代码缺后缀",
    LeftOut.OTHER_FORM: "代码格式不符",
    LeftOut.OUTSIDE: "日期超出交易日历",
    LeftOut.NOT_OVER: "当日尚未收盘",
    LeftOut.NO_TRADING: "非交易日",
    LeftOut.REPEATED: "重复",
}
# The first that holds is why; a former Shanghai code begins with T.
_REASONS = {
    LeftOut.INCOMPLETE: " OR ".join(f'"{name}" IS NULL' for name in REQUIRED),
    LeftOut.NO_ZEROS: r"regexp_full_match(code, '\d{1,5}(\.0)?(\.(SH|SZ|BJ))?')",
    LeftOut.NO_SUFFIX: r"regexp_full_match(code, '\d{6}(\.0)?')",
    LeftOut.OTHER_FORM: r"NOT regexp_full_match(code, '(T\d{5}|T?\d{6})\.(SH|SZ|BJ)')",
    LeftOut.OUTSIDE: "date < $first OR year(date) > year($last)",
    LeftOut.NOT_OVER: "date > $over",
    LeftOut.NO_TRADING: "date NOT IN (SELECT day FROM sessions)",
}


class NotAdoptable(MarketdataError, is_final=True):
    """The published CSV is not of the form that can be taken over."""


class Adoption:
    """The raw rows of a CSV, by year, while its shards are being written."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._there: list[str] = []

    def read(self, csv: Path) -> Adopted:
        """Read the CSV into the folder. Raises `NotAdoptable`."""
        with csv.open("rb") as file:
            line = file.readline().decode("utf-8-sig", "replace")
        header = line.strip().replace('"', "").split(",")
        self._there = [name for name in DAILY_PRICES.column_names if name in header]
        if missing := set(REQUIRED) - set(header):
            raise NotAdoptable(
                f"the published CSV lacks {', '.join(sorted(missing))}: it can't be adopted. "
                "Publish to an empty dataset, or add the columns."
            )
        types = {c.name: SQL_TYPES[str(c.type)] for c in DAILY_PRICES.columns}
        # Other columns may have any name, or none, as the one that pandas writes of an index.
        columns = ", ".join(
            f"'{name}': '{types[name]}'" if name in types else f"'other {number}': 'VARCHAR'"
            for number, name in enumerate(header)
        )
        taken = ", ".join(
            _as_true_or_false(name) if name in TRUTHS else f'"{name}"' for name in self._there
        )
        reasons = " ".join(f"WHEN {wrong} THEN '{reason}'" for reason, wrong in _REASONS.items())
        first, last = FIRST_SESSION, last_published_session()
        over = last_session_over(dt.datetime.now(dt.UTC))
        sessions = pa.table({"day": sessions_between(first, last)})
        self._connection.register("sessions", sessions)
        try:
            copied = self._connection.execute(
                f"""
                COPY (
                    SELECT *, CASE {reasons} END AS left_out FROM (
                        SELECT {taken}, row_number() OVER () AS line, year(date) AS year
                        FROM read_csv({quoted(literal_path(csv))}, columns = {{{columns}}},
                            header = true, delim = ',', quote = '"', escape = '"',
                            nullstr = ['', 'nan', 'NaN'], auto_detect = false)
                    )
                ) TO {quoted(str(self._folder))} (FORMAT parquet, PARTITION_BY (year), OVERWRITE)
                """,
                {"first": first, "last": last, "over": over},
            ).fetchall()
        except duckdb.IOException as refusal:
            raise OSError(errno.EIO, str(refusal)) from refusal
        except duckdb.Error as error:
            raise NotAdoptable(
                f"the published CSV can't be read: {_reason(error)}. Nothing was sent. Mend the "
                "line or remove it, or publish to an empty dataset."
            ) from None
        if copied == [(0,)]:
            return Adopted(0, {}, (), self._absent, frozenset())
        adopted = self._counted()
        if not adopted.days:
            raise NotAdoptable(
                f"of the published CSV no row can be taken over: {adopted.counted()}. Nothing was "
                "sent. Mend it, or publish to an empty dataset."
            )
        return adopted

    def _counted(self) -> Adopted:
        files = quoted(f"{literal_path(self._folder)}/**/*.parquet")
        rows = self._connection.sql(f"FROM read_parquet({files}, hive_partitioning = true)")
        counts = dict(rows.aggregate("left_out, count(*)").fetchall())
        kept = rows.filter("left_out IS NULL")
        per_day = dict(kept.aggregate("date, count(DISTINCT code)").fetchall())
        boards = kept.select("market").distinct().fetchall() if "market" in self._there else []
        left_out = {str(reason): counts.get(str(reason), 0) for reason in LeftOut}
        left_out[LeftOut.REPEATED] = counts.get(None, 0) - sum(per_day.values())
        return Adopted(
            rows_read=sum(counts.values()),
            left_out=left_out,
            boards=tuple(sorted(board for (board,) in boards if board)),
            absent=self._absent,
            days=frozenset(per_day),
        )

    @property
    def _absent(self) -> tuple[str, ...]:
        return tuple(name for name in DAILY_PRICES.column_names if name not in self._there)

    def rows(self, year: int) -> RowsBetween:
        """The rows of a year, each once."""
        names = ", ".join(f'"{name}"' for name in self._there)
        files = quoted(f"{literal_path(self._folder)}/year={year}/*.parquet")

        def rows(start: dt.date, end: dt.date) -> pa.Table:
            found = self._connection.sql(
                f"""
                SELECT {names} FROM read_parquet({files}, hive_partitioning = false)
                WHERE date >= $start AND date < $end AND left_out IS NULL
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


def _reason(error: duckdb.Error) -> str:
    """What DuckDB says of a line: its number, and what is wrong. The line itself may be long."""
    told = [one for one in str(error).splitlines() if one and not one.startswith("Original Line")]
    return "; ".join(told[:2]).rstrip(".")


@contextmanager
def adopting(folder: Path) -> Iterator[Adoption]:
    with bounded_duckdb(folder / "spill") as connection:
        yield Adoption(connection, folder / "raw")
