"""Real years of the market as the six judged tables would be stored, some sessions at a time.

Here belongs how recorded bars become tables in the vendor's shape and units; no judgement of them.
The files lie next to the repository and are not part of it; tests that use them skip without.

The bars are as recorded, 600018.SH before its listing and without a factor among them. Beside them:

- Up to RECORDED_TO, names, factors (1 on the first day kept, held on days without a bar) and
  whole-day halts are those of the day. A listed share with neither bar nor halt stays unexplained.
- After that, names are those of NAMES_KNOWN_ON. Factors follow from pre_close and the close before.
  Every listed share without a bar is given a halt, or the ledger would call each of them
  unexplained: so the halts there prove nothing. Many are invented, as 2022H2 lacks the bars of a
  share before its last ex-date; for the same reason it has no ex-date at all.
- pct_chg is the vendor's own in 2022H2 and computed before.
- Limits are computed by the exchanges' rules, also for shares that do not trade, from the close
  before; there are none of Beijing shares. Two things are taken from the bars: a share that resumes
  beyond its limits had none, and a share that left the limits of its ST had that mark only later
  where its name is of a later day. Nothing in the files is in a delisting period.
- Indicators agree with the bars, and are made up: ten times a share's largest volume is its float.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa
import pytest

from marketdata_assets.checks.days import CHECKED_TOGETHER
from marketdata_assets.checks.sessions import calendar_around
from marketdata_assets.storage.io_manager import by_day
from marketdata_assets.tables import (
    ADJ_FACTOR,
    DAILY_BASIC,
    DAILY_KLINE,
    PRICE_LIMITS,
    STOCK_LIST,
    SUSPENSIONS,
)
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.replay import REAL_DATA

HISTORY = REAL_DATA / "history"

needs_real_history = pytest.mark.skipif(
    not HISTORY.exists(), reason=f"no real history at {HISTORY}"
)

# The stretches of sessions that are there, and the file of each.
SPANS = {
    "2005": "tushare_proved_2005.parquet",
    "2006": "tushare_proved_2006.parquet",
    "2015H1": "tushare_proved_2015H1.parquet",
    "2018H2": "tushare_proved_2018H2.parquet",
    "2022H2": "tushare_raw_2022H2.parquet",
}
RECORDED_TO = dt.date(2019, 4, 10)
NAMES_KNOWN_ON = dt.date(2023, 3, 16)

Tables = dict[str, pa.Table]

# SQL on a code `ts_code`.
_IS_STAR = "ts_code[1:3] IN ('688', '689')"
_IS_CHINEXT = "ts_code[1:3] IN ('300', '301', '302')"
_IS_BEIJING = "ts_code LIKE '%.BJ'"
# ST and *ST; S alone marks a share whose holders have not agreed on the reform of 2005.
_MARK = "ST|^(XD|XR|DR)?S[^A-Za-z]"

_BARS = """
    SELECT
        file.*,
        session.number > 0
            AND lag(session.number) OVER share IS DISTINCT FROM session.number - 1 AS resumed
    FROM file JOIN session USING (trade_date)
    WINDOW share AS (PARTITION BY ts_code ORDER BY trade_date)
"""

# The last day on which five percent did not hold: a share with a mark got it later.
_UNMARKED = """
    SELECT ts_code, max(trade_date) AS last_day
    FROM bar JOIN share USING (ts_code)
    WHERE NOT resumed AND trade_date > list_date
        AND (high_cents > (pre_close_cents * 105 + 50) // 100
            OR low_cents < (pre_close_cents * 95 + 50) // 100)
    GROUP BY ts_code
"""

_RECORDED_FACTORS = """
    SELECT
        ts_code,
        first_bar AS first_day,
        coalesce(lead(first_bar) OVER share - 1, last_bar) AS last_day,
        qfq_ratio / first_value(qfq_ratio) OVER share AS adj_factor
    FROM segment
    WINDOW share AS (PARTITION BY ts_code ORDER BY first_bar)
"""
_CHAINED_FACTORS = """
    WITH followed AS (
        SELECT
            ts_code,
            trade_date,
            row_number() OVER share = 1 AS is_first,
            coalesce(lag(close_cents) OVER share / pre_close_cents, 1) AS ratio
        FROM bar
        WINDOW share AS (PARTITION BY ts_code ORDER BY trade_date)
    )
    SELECT
        ts_code,
        trade_date AS first_day,
        coalesce(lead(trade_date) OVER share - 1, (SELECT max(trade_date) FROM bar)) AS last_day,
        product(ratio) OVER share AS adj_factor
    FROM followed
    WHERE is_first OR ratio <> 1
    WINDOW share AS (PARTITION BY ts_code ORDER BY trade_date)
"""

_LISTED = f"""
    SELECT
        trade_date,
        share.ts_code,
        split_part(share.ts_code, '.', 1) AS symbol,
        if(of_day.last_day >= trade_date, of_day.name, share.name) AS name,
        NULL AS area,
        NULL AS industry,
        CASE WHEN {_IS_BEIJING.replace("ts_code", "share.ts_code")} THEN '北交所'
            WHEN share.ts_code LIKE '689%' THEN 'CDR'
            WHEN {_IS_STAR.replace("ts_code", "share.ts_code")} THEN '科创板'
            WHEN {_IS_CHINEXT.replace("ts_code", "share.ts_code")} THEN '创业板'
            ELSE '主板' END AS market,
        CASE right(share.ts_code, 2) WHEN 'SH' THEN 'SSE' WHEN 'SZ' THEN 'SZSE' ELSE 'BSE' END
            AS exchange,
        list_date,
        if(of_day.last_day >= trade_date, trade_date, DATE '{NAMES_KNOWN_ON}') AS names_as_of,
        NULL AS name_since
    FROM day
    JOIN share ON list_date <= trade_date
    ASOF LEFT JOIN of_day ON share.ts_code = of_day.ts_code AND trade_date >= of_day.first_day
"""

# In floating point, ties to even: so rounded, all of 2022H2 comes out as the vendor has it.
_FOUR_DECIMALS = (
    "round_even((close_cents / 100 - pre_close_cents / 100) / (pre_close_cents / 100) * 100 "
    "* 10000, 0) / 10000"
)
# Before 2018-07-20 the four decimals were rounded once more.
_TWO_DECIMALS = f"round_even({_FOUR_DECIMALS} * 100, 0) / 100"
_PCT_CHG = f"if(trade_date < DATE '2018-07-20', {_TWO_DECIMALS}, {_FOUR_DECIMALS})"

_KLINE = f"""
    SELECT
        ts_code,
        trade_date,
        open_cents / 100 AS open,
        high_cents / 100 AS high,
        low_cents / 100 AS low,
        close_cents / 100 AS close,
        pre_close_cents / 100 AS pre_close,
        (close_cents - pre_close_cents) / 100 AS change,
        coalesce(pct_chg, {_PCT_CHG}) AS pct_chg,
        vol_shares / 100 AS vol,
        amount_yuan / 1000 AS amount
    FROM bar JOIN day USING (trade_date)
"""

_LIMITS = f"""
    WITH priced AS (
        SELECT
            listed.*,
            fifth_session_back,
            coalesce(bar.pre_close_cents, earlier.close_cents, later.pre_close_cents) AS cents,
            high_cents,
            low_cents,
            resumed,
            CASE WHEN {_IS_STAR} THEN DATE '2019-07-22'
                WHEN {_IS_CHINEXT} THEN DATE '2020-08-24'
                ELSE DATE '2023-04-10' END AS reformed,
            regexp_matches(name, '{_MARK}') AND (names_as_of = listed.trade_date
                OR unmarked.last_day IS NULL OR unmarked.last_day < listed.trade_date) AS marked
        FROM listed
        JOIN day USING (trade_date)
        LEFT JOIN bar USING (ts_code, trade_date)
        LEFT JOIN unmarked USING (ts_code)
        ASOF LEFT JOIN (
            SELECT ts_code AS code, trade_date AS traded, close_cents FROM bar
        ) AS earlier ON listed.ts_code = earlier.code AND listed.trade_date > traded
        ASOF LEFT JOIN (
            SELECT ts_code AS code, trade_date AS trades, pre_close_cents FROM bar
        ) AS later ON listed.ts_code = later.code AND listed.trade_date < trades
        WHERE listed.trade_date >= DATE '{PRICE_LIMITS.first_date}' AND NOT {_IS_BEIJING}
    ),
    rated AS (
        SELECT
            *,
            list_date = trade_date AND list_date >= DATE '2014-01-01' AS capped,
            list_date >= reformed AND list_date >= fifth_session_back AS is_new,
            CASE WHEN {_IS_STAR} OR ({_IS_CHINEXT} AND trade_date >= reformed) THEN 20
                WHEN marked THEN 5 ELSE 10 END AS rate
        FROM priced
        WHERE cents IS NOT NULL
    ),
    bounded AS (
        SELECT
            *,
            greatest((cents * (100 + if(capped, 44, rate)) + 50) // 100, cents + 1) AS up,
            least((cents * (100 - if(capped, 36, rate)) + 50) // 100, cents - 1) AS down
        FROM rated
    ),
    freed AS (
        SELECT
            *,
            is_new OR (coalesce(resumed, false) AND (high_cents > up OR low_cents < down)) AS free
        FROM bounded
    )
    SELECT
        trade_date,
        ts_code,
        if(free, if(exchange = 'SSE', 99999.999, 999999.999), up / 100) AS up_limit,
        if(free, 0.01, down / 100) AS down_limit
    FROM freed
"""

_BASIC = f"""
    WITH sized AS (
        SELECT
            ts_code,
            trade_date,
            close_cents / 100 AS close,
            vol_shares / 100 AS vol,
            float_share,
            round(2 * float_share, 4) AS total_share,
            round(float_share / 2, 4) AS free_share
        FROM bar JOIN day USING (trade_date) JOIN size USING (ts_code)
        WHERE NOT {_IS_BEIJING}
    )
    SELECT
        {", ".join(f"NULL AS {name}" for name in DAILY_BASIC.column_names[5:13])},
        * EXCLUDE (vol),
        round(vol / float_share, 4) AS turnover_rate,
        round(vol / free_share, 4) AS turnover_rate_f,
        round(close * total_share, 4) AS total_mv,
        round(close * float_share, 4) AS circ_mv
    FROM sized
"""
_SIZES = "SELECT ts_code, round(max(vol_shares) / 1000, 4) AS float_share FROM bar GROUP BY ts_code"

_FACTORS = """
    SELECT ts_code, trade_date, adj_factor
    FROM factor JOIN day ON trade_date BETWEEN first_day AND last_day
"""

_RECORDED_HALTS = """
    SELECT ts_code, trade_date FROM halt JOIN day ON trade_date BETWEEN first_day AND last_day
"""
_INVENTED_HALTS = "FROM listed ANTI JOIN bar USING (ts_code, trade_date)"


def days(
    span: str, first: dt.date = dt.date.min, last: dt.date = dt.date.max
) -> Iterator[tuple[dt.date, Tables]]:
    """The sessions of a span from `first` to `last`, each with its tables by name."""
    for chunk in chunks(span, first, last):
        yield from chunk.items()


def chunks(
    span: str, first: dt.date = dt.date.min, last: dt.date = dt.date.max, sessions: int = 20
) -> Iterator[dict[dt.date, Tables]]:
    """The same, `sessions` of them at a time. No more than these and the span's bars is held."""
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        recorded = _open(connection, SPANS[span])
        wanted = [day for day in _sessions(connection) if first <= day <= last]
        for start in range(0, len(wanted), sessions):
            yield _tables(connection, wanted[start : start + sessions], recorded)


def _open(connection: duckdb.DuckDBPyConnection, file: str) -> bool:
    """Load a span. Returns whether names, factors and halts were recorded in it."""
    for name, path in {
        "segment": "factor_segments_2005_2019.parquet",
        "of_day": "names_of_the_day_1990_2019.parquet",
        "halt": "suspended_2005_2019.parquet",
    }.items():
        _create(connection, name, f"FROM {_literal(path)}")
    _create(
        connection,
        "share",
        "SELECT ts_code, name, CAST(strptime(CAST(list_date AS VARCHAR), '%Y%m%d') AS DATE) "
        f"AS list_date FROM {_literal('stock_basic_L_20230316.csv')}",
    )
    _create(
        connection,
        "file",
        f"FROM {_literal(file)} "
        "UNION ALL BY NAME SELECT CAST(NULL AS DOUBLE) AS pct_chg WHERE false",
    )
    days = _sessions(connection)
    numbers = pa.table({"trade_date": days, "number": list(range(len(days)))})
    connection.from_arrow(numbers).create("session")
    recorded = days[-1] <= RECORDED_TO
    _create(connection, "bar", _BARS)
    _create(connection, "size", _SIZES)
    _create(connection, "unmarked", _UNMARKED)
    _create(connection, "factor", _RECORDED_FACTORS if recorded else _CHAINED_FACTORS)
    return recorded


def _sessions(connection: duckdb.DuckDBPyConnection) -> list[dt.date]:
    ((first, last),) = connection.sql(
        "SELECT min(trade_date), max(trade_date) FROM file"
    ).fetchall()
    return sessions_between(first, last)


def _tables(
    connection: duckdb.DuckDBPyConnection, days: Sequence[dt.date], recorded: bool
) -> dict[dt.date, Tables]:
    connection.execute("DROP TABLE IF EXISTS day")
    connection.from_arrow(calendar_around(days)).create("day")
    _create(connection, "listed", _LISTED)
    halts = _RECORDED_HALTS if recorded else _INVENTED_HALTS
    queries = {
        STOCK_LIST: "FROM listed",
        DAILY_KLINE: _KLINE,
        PRICE_LIMITS: _LIMITS,
        DAILY_BASIC: _BASIC,
        ADJ_FACTOR: _FACTORS,
        SUSPENSIONS: "SELECT ts_code, trade_date, NULL AS suspend_timing, 'S' AS suspend_type "
        f"FROM ({halts})",
    }
    found = {
        table.name: dict(by_day(table, connection.sql(query))) for table, query in queries.items()
    }
    return {
        day: {
            table.name: found[table.name].get(day, table.schema.empty_table())
            for table in CHECKED_TOGETHER
        }
        for day in days
    }


def _create(connection: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    connection.execute(f"CREATE OR REPLACE TABLE {name} AS {query}")


def _literal(file: str) -> str:
    return "'" + str(HISTORY / file).replace("'", "''") + "'"
