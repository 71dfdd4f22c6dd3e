"""What every source gives: bars in canonical units, or an error that says why there are none.

Here belongs the interface and the one reading of answers into bars. What a source is asked, and
how its units translate, is its own file.
"""

import datetime as dt
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa

from marketdata_assets.errors import MarketdataError
from marketdata_assets.instruments import Instrument

NUMBERS = ("open", "high", "low", "close", "volume", "turnover")

# Volume in shares, contracts or coins, turnover in the instrument's currency. Whatever a source
# lacks, or gives in a unit nobody states, is NULL.
BARS = pa.schema(
    [
        pa.field("date", pa.date32(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=name != "close") for name in NUMBERS),
    ]
)
# What the bars of a main continuous contract may have besides: see INSTRUMENT_HISTORY.
ROLLS = pa.schema([("main_contract", pa.string()), ("roll_factor", pa.float64())])


class SourceFailed(MarketdataError):
    """A source has no usable history of an instrument; another source may."""

    def __init__(self, source: str, code: str, what: str) -> None:
        self.source, self.what = source, what
        super().__init__(f"{source} for {code}: {what}")


class History(NamedTuple):
    """The bars of one instrument from one source; `source_unit` is how the source counts.

    `rolls` are those of the bars of a main continuous contract, in ROLLS, where the source has any;
    `untold` says why it has none where it should.
    """

    bars: pa.Table
    source: str
    source_unit: str
    rolls: pa.Table | None = None
    untold: str = ""


class Scale(NamedTuple):
    """What one of a source's units of volume and of turnover is in canonical units.

    None leaves the column out: the source has none, or does not say in what it counts.
    """

    volume: Decimal | None = None
    turnover: Decimal | None = None


class Answered(NamedTuple):
    """The columns of an answer by our names, how to count them, and that in words."""

    columns: Mapping[str, Sequence[object]]
    scale: Scale
    unit: str


class HistorySource:
    """Somebody who has daily histories: what he answers is read here.

    `host` is where the answers come from. A source with `whole_only` transfers the whole history
    whatever range it is asked for.
    """

    name: str
    host: str

    def serves(self, instrument: Instrument) -> bool:
        raise NotImplementedError

    def whole_only(self, instrument: Instrument) -> bool:
        return False

    def name_for(self, instrument: Instrument) -> str:
        """Its name where it has failed."""
        return self.name

    def answer(self, instrument: Instrument, first: dt.date, last: dt.date) -> Answered:
        """Raises `MarketdataError` or `ValueError`, which say what went wrong."""
        raise NotImplementedError

    def history(self, instrument: Instrument, first: dt.date, last: dt.date) -> History:
        """The bars from `first` to `last`, both included. Raises `SourceFailed`."""
        try:
            answered = self.answer(instrument, first, last)
            bars = read_bars(answered.columns, answered.scale, first, last)
            if bars.num_rows == 0:
                raise ValueError(f"no bar from {first} to {last}.")
        except (MarketdataError, ValueError) as error:
            name = self.name_for(instrument)
            raise SourceFailed(name, instrument.code, str(error)) from None
        except (TypeError, AttributeError, LookupError, ArithmeticError) as error:
            # Others can still be asked; where it is our own fault, the cause says where.
            what = f"the answer can't be read ({type(error).__name__}: {error})."
            raise SourceFailed(self.name_for(instrument), instrument.code, what) from error
        return History(bars, self.name, answered.unit)


def day_at(moment: object, zone: dt.tzinfo) -> dt.date:
    """The day of `zone` that a moment, in seconds since 1970, lies on. Raises `ValueError`."""
    try:
        return dt.datetime.fromtimestamp(moment, zone).date()  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        raise ValueError(f"{moment!r} is no moment.") from None


def read_bars(
    columns: Mapping[str, Sequence[object]], scale: Scale, first: dt.date, last: dt.date
) -> pa.Table:
    """The columns `date`, `open` … as BARS within the range, sorted by day, every day once.

    A row without any price is no bar. An open, high or low of 0 is how vendors write a missing
    one and becomes NULL. The last day may come twice, as it grew: the later row counts. Raises
    `ValueError` saying what can't be a history.
    """
    bars = sorted(
        (bar for bar in _bars(columns, scale) if first <= bar.date <= last and any(bar[1:5])),
        key=lambda bar: bar.date,
    )
    while len(bars) > 1 and bars[-2].date == bars[-1].date:
        del bars[-2]
    for bar, following in itertools.pairwise(bars):
        if bar.date == following.date:
            raise ValueError(f"{bar.date} occurs more than once.")
    for bar in bars:
        _refuse_impossible(bar)
    return pa.Table.from_pylist([bar._asdict() for bar in bars], schema=BARS)


class _Bar(NamedTuple):
    date: dt.date
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    turnover: float | None


def _bars(columns: Mapping[str, Sequence[object]], scale: Scale) -> Iterator[_Bar]:
    days = [_day(written) for written in columns["date"]]
    absent = [None] * len(days)
    numbers = {
        name: [_number(name, written) for written in columns.get(name, absent)] for name in NUMBERS
    }
    for name in ("open", "high", "low"):
        numbers[name] = [value or None for value in numbers[name]]
    numbers["volume"] = _scaled(numbers["volume"], scale.volume)
    numbers["turnover"] = _scaled(numbers["turnover"], scale.turnover)
    for row in zip(days, *(numbers[name] for name in NUMBERS), strict=True):
        yield _Bar(*row)


def _scaled(values: list[float | None], factor: Decimal | None) -> list[float | None]:
    if factor is None:
        return [None] * len(values)
    # Decimal, so that 5621204.03 lots are 562120403 shares and not a hair more.
    return [None if value is None else float(Decimal(repr(value)) * factor) for value in values]


def _number(name: str, written: object) -> float | None:
    if written is None or written == "":
        return None
    try:
        value = float(written)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"{name} holds {written!r}, which is no number.") from None
    if math.isinf(value):
        raise ValueError(f"{name} holds an infinite number.")
    return None if math.isnan(value) else value


def _day(written: object) -> dt.date:
    if isinstance(written, dt.datetime):
        return written.date()
    if isinstance(written, dt.date):
        return written
    text = str(written)
    try:
        # 20240102, 2024-01-02, and a moment of that day.
        return dt.date.fromisoformat(text[:8] if text[:8].isdigit() else text[:10])
    except ValueError:
        raise ValueError(f"{text!r} is no day.") from None


def _refuse_impossible(bar: _Bar) -> None:
    if not bar.close:
        raise ValueError(f"{bar.date} has prices but no close.")
    within = [price for price in (bar.open, bar.close) if price is not None]
    if bar.high is not None and bar.high < max(within):
        raise ValueError(f"the high of {bar.date}, {bar.high}, is below another price of the day.")
    if bar.low is not None and bar.low > min(within):
        raise ValueError(f"the low of {bar.date}, {bar.low}, is above another price of the day.")
    for name, value in (("volume", bar.volume), ("turnover", bar.turnover)):
        if value is not None and value < 0:
            raise ValueError(f"the {name} of {bar.date} is negative.")
