"""Prices as the files that qlib reads: calendar, instruments, a binary file a field and code.

Here belongs the format alone. Source: qlib's own `scripts/dump_bin.py`: a file holds little-endian
float32, first the number in the calendar of its first day, then a value a session. Prices are
adjusted backward, so that a day that is added changes none before; `factor` is adjusted over
traded price, and volume is divided by it, as qlib expects.
"""

import datetime as dt
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from marketdata_assets.client.market_data import (
    BadQuestion,
    Incomplete,
    MarketData,
    NoRows,
    warn_incomplete,
)
from marketdata_assets.instruments import FUND_KINDS, Kind, identify

CODES_AT_ONCE = 500
ADJUSTED = FUND_KINDS | {Kind.A_SHARE}
PRICES = ["open", "high", "low", "close"]


def to_qlib(
    md: MarketData,
    folder: str | Path,
    codes: Sequence[str] = (),
    start: str | dt.date | None = None,
    end: str | dt.date | None = None,
) -> Path:
    """Write the prices of `codes`, by default of all A-shares, to a new folder for qlib.

    `qlib.init(provider_uri=folder, region="cn")` opens it; codes are written SH600000. Fields are
    open, high, low, close, vwap (yuan times factor), volume (shares over factor), factor and
    change, the return of the day; a session without a bar is NaN. Indices have the factor 1.

    Raises `BadQuestion` where the folder is not empty, or a code has days on which the exchanges of
    mainland China don't trade; warns `Incomplete` of codes that can't be adjusted and are left out.
    """
    place = Path(folder).expanduser().resolve()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise BadQuestion(f"{place} is not empty: name a new folder.")
    wanted = list(codes)
    if not wanted:
        listed = md.instruments(limit=20_000)
        is_share = (listed["asset_type"] == "a_share") & listed["stored_in"].notna()
        wanted = sorted(listed["code"][is_share])
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".qlib-") as unfinished:
        _write(md, Path(unfinished), wanted, start, end)
        # Whole or not at all; the folder that is left is empty.
        (Path(unfinished) / "made").replace(place)
    return place


def _write(
    md: MarketData,
    unfinished: Path,
    codes: Sequence[str],
    start: str | dt.date | None,
    end: str | dt.date | None,
) -> None:
    parts: list[pd.DataFrame] = [pd.DataFrame()]
    missing: dict[str, str] = {}
    for first in range(0, len(codes), CODES_AT_ONCE):
        try:
            parts.append(_adjusted(md, codes[first : first + CODES_AT_ONCE], start, end))
        except NoRows as none:
            missing |= none.missing
    bars = pd.concat(parts)
    if missing and bars.empty:
        raise NoRows(missing)
    warn_incomplete(missing)
    if bars.empty:
        raise BadQuestion("None of the codes has a row that could be written.")
    calendar = md.trading_days(bars["date"].min().date(), bars["date"].max().date())
    if odd := sorted(set(bars["code"][~bars["date"].isin(calendar)])):
        raise BadQuestion(
            f"{', '.join(odd[:5])} trade on other days than the exchanges of mainland China, whose "
            "calendar is qlib's: leave them out."
        )
    made = unfinished / "made"
    for name in ("calendars", "instruments", "features"):
        (made / name).mkdir(parents=True)
    _write_lines(made / "calendars" / "day.txt", calendar.strftime("%Y-%m-%d"))
    lines = []
    for code, rows in bars.groupby("code", sort=True):
        name, days = _name(str(code)), rows["date"]
        lines.append(f"{name}\t{days.iloc[0].date()}\t{days.iloc[-1].date()}")
        _write_fields(made / "features" / name.lower(), rows, calendar)
    _write_lines(made / "instruments" / "all.txt", lines)


def _adjusted(
    md: MarketData, codes: Sequence[str], start: str | dt.date | None, end: str | dt.date | None
) -> pd.DataFrame:
    """Bars with their factor; of what is never adjusted it is 1."""
    plain: pd.DataFrame = md.get_price([*codes], start, end)
    adjustable = [code for code in plain["code"].unique() if identify(code).kind in ADJUSTED]
    plain["factor"] = 1.0
    if adjustable:
        with warnings.catch_warnings():
            # What lacks of the prices has been told; who has no factor is told below.
            warnings.simplefilter("ignore", Incomplete)
            try:
                hfq = md.get_price(adjustable, start, end, fields="close", adjust="hfq")
            except NoRows as none:
                hfq = plain[:0]
                hfq.attrs["missing"] = none.missing
        keys = ["code", "date"]
        known = hfq[[*keys, "close"]].merge(plain[[*keys, "close"]], on=keys, suffixes=("_hfq", ""))
        factor = known.assign(factor=known["close_hfq"] / known["close"]).set_index(keys)["factor"]
        places = pd.MultiIndex.from_frame(plain[keys])
        is_adjustable = plain["code"].isin(adjustable)
        plain["factor"] = np.where(is_adjustable, factor.reindex(places), 1.0)
        if without := sorted(set(plain["code"][plain["factor"].isna()])):
            why = hfq.attrs["missing"]
            missing = {code: why.get(code, "no factor on some day") for code in without}
            warn_incomplete(missing)
            plain = plain[~plain["code"].isin(without)]
    return plain


def _write_fields(folder: Path, rows: pd.DataFrame, calendar: pd.DatetimeIndex) -> None:
    folder.mkdir()
    days = calendar[(calendar >= rows["date"].iloc[0]) & (calendar <= rows["date"].iloc[-1])]
    bars = rows.set_index("date").reindex(days)
    factor = bars["factor"]
    fields = {name: bars[name] * factor for name in PRICES}
    fields |= {"volume": bars["volume"] / factor, "factor": factor}
    fields["vwap"] = bars["turnover"] / bars["volume"].where(bars["volume"] > 0) * factor
    fields["change"] = fields["close"] / fields["close"].ffill().shift() - 1
    first = float(calendar.searchsorted(days[0]))
    for name, values in fields.items():
        written = np.concatenate(([first], values.to_numpy())).astype("<f4")
        written.tofile(folder / f"{name}.day.bin")


def _write_lines(path: Path, lines: Sequence[str] | pd.Index) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _name(code: str) -> str:
    """SH600000 of 600000.SH."""
    symbol, _, ending = code.partition(".")
    return f"{ending}{symbol}"
