"""What a code is: the kind of instrument, its market, its currency, the unit of its volume.

Here belongs the reading of codes, without asking anybody: a code that is well formed need not
exist. Who has the history of a kind of instrument is `resources.sources`.

Canonical codes are digits and exchange (`600000.SH`, `00700.HK`), product or contract and exchange
(`AU.SHF`, `RB2501.SHF`), or a bare name (`HSI`, `AAPL`, `BTC`).
"""

from marketdata_assets.instruments.kinds import FUND_KINDS, Instrument, Kind, Market, Unit
from marketdata_assets.instruments.reading import UnknownCode, identify

__all__ = ["FUND_KINDS", "Instrument", "Kind", "Market", "Unit", "UnknownCode", "identify"]
