"""Daily bars in the SQLite database that vnpy reads.

Here belongs the format alone. Source: the tables of `vnpy_sqlite` 1.1, which vnpy has by default in
`~/.vntrader/database.db`: a bar a row under symbol, exchange, interval and moment, which is
midnight in Shanghai, and an overview a symbol.
"""

import datetime as dt
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from marketdata_assets.client.market_data import BadQuestion, MarketData, warn_incomplete

EXCHANGES = {"SH": "SSE", "SZ": "SZSE", "BJ": "BSE"}
DAILY = "d"
PRICES = ["open", "high", "low", "close"]
SCHEMA = """
CREATE TABLE IF NOT EXISTS dbbardata (
    id INTEGER NOT NULL PRIMARY KEY, symbol VARCHAR(255) NOT NULL, exchange VARCHAR(255) NOT NULL,
    datetime DATETIME NOT NULL, interval VARCHAR(255) NOT NULL, volume REAL NOT NULL,
    turnover REAL NOT NULL, open_interest REAL NOT NULL, open_price REAL NOT NULL,
    high_price REAL NOT NULL, low_price REAL NOT NULL, close_price REAL NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS dbbardata_symbol_exchange_interval_datetime
    ON dbbardata (symbol, exchange, interval, datetime);
CREATE TABLE IF NOT EXISTS dbbaroverview (
    id INTEGER NOT NULL PRIMARY KEY, symbol VARCHAR(255) NOT NULL, exchange VARCHAR(255) NOT NULL,
    interval VARCHAR(255) NOT NULL, count INTEGER NOT NULL, start DATETIME NOT NULL,
    end DATETIME NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS dbbaroverview_symbol_exchange_interval
    ON dbbaroverview (symbol, exchange, interval);
"""


def to_vnpy(
    md: MarketData,
    database: str | Path,
    codes: Sequence[str],
    start: str | dt.date | None = None,
    end: str | dt.date | None = None,
) -> int:
    """Write the bars of shares, funds and indices into a database of vnpy; the number of bars.

    Prices as they were traded, in yuan, volume in shares, turnover in yuan; vnpy has no NULL, and
    volume or turnover that nobody tells is 0 there. A bar that is there is replaced, whatever else
    is there stays; all bars are written or none. Raises `BadQuestion` for codes of other markets;
    warns `Incomplete` of days without all four prices, which are left out.
    """
    bars = md.get_price([*codes], start, end)
    parts = bars["code"].str.partition(".")
    if odd := sorted(set(bars["code"][~parts[2].isin(EXCHANGES)])):
        raise BadQuestion(f"{', '.join(odd[:5])}: of Shanghai, Shenzhen and Beijing alone.")
    bars = bars.assign(symbol=parts[0], exchange=parts[2].map(EXCHANGES))
    is_whole = bars[PRICES].notna().all(axis=1)
    if not is_whole.all():
        days = bars[~is_whole].groupby("code").size()
        lacking = {str(code): f"{count} day(s) without prices" for code, count in days.items()}
        warn_incomplete(lacking)
    bars = bars[is_whole].fillna({"volume": 0.0, "turnover": 0.0})
    columns = ["symbol", "exchange", "date", "volume", "turnover", *PRICES]
    written = bars[columns].assign(date=bars["date"].dt.strftime("%Y-%m-%d 00:00:00"))
    place = Path(database).expanduser()
    place.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.executescript(SCHEMA)
        connection.executemany(
            "INSERT OR REPLACE INTO dbbardata (symbol, exchange, datetime, interval, volume, "
            "turnover, open_interest, open_price, high_price, low_price, close_price) "
            f"VALUES (?, ?, ?, '{DAILY}', ?, ?, 0, ?, ?, ?, ?)",
            written.itertuples(index=False, name=None),
        )
        connection.execute(
            "INSERT OR REPLACE INTO dbbaroverview (symbol, exchange, interval, count, start, end) "
            "SELECT symbol, exchange, interval, count(*), min(datetime), max(datetime) "
            f"FROM dbbardata WHERE interval = '{DAILY}' GROUP BY symbol, exchange, interval"
        )
    return len(written)
