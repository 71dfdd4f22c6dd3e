"""The client: prices and tables in a notebook, out of a folder here or a server elsewhere.

    from marketdata_assets.client import connect

    md = connect("data")                     # or connect("http://server:5000", token="…")
    md.get_price("600000.SH", "2024-01-01", adjust="qfq")
    md.get_price(["600000.SH", "000001.SZ"], fields="close", wide=True).plot()
    to_qlib(md, "qlib_data")                 # for qlib.init(provider_uri="qlib_data")
    to_vnpy(md, "~/.vntrader/database.db", ["600000.SH"])
    backtrader.feeds.PandasData(dataname=md.get_price("600000.SH", adjust="qfq"))

Here belongs `connect`. The calls are `market_data`, the same for both; where their rows come from
is `folder` and `over_http`. Importing it imports pandas, pyarrow and requests: no Dagster, and what
reads a folder is imported when one is opened.
"""

from pathlib import Path

from marketdata_assets.client.market_data import (
    BadQuestion,
    Incomplete,
    MarketData,
    NoRows,
    NotInstalled,
)
from marketdata_assets.client.over_http import AnsweredWithError, OverHttp, Unreachable
from marketdata_assets.client.qlib_files import to_qlib
from marketdata_assets.client.vnpy_database import to_vnpy

__all__ = [
    "AnsweredWithError",
    "BadQuestion",
    "Incomplete",
    "MarketData",
    "NoRows",
    "NotInstalled",
    "Unreachable",
    "connect",
    "to_qlib",
    "to_vnpy",
]


def connect(folder_or_url: str | Path, token: str = "") -> MarketData:
    """The market data of a folder, or of a server where an address is given.

    The folder is that of a profile, like `data/live`, or `data` where it has one profile alone;
    nothing is ever written to it. `token` is the API_TOKEN of a server. Raises `BadQuestion` where
    the folder holds no data, or those of several profiles, which are never mixed.
    """
    text = str(folder_or_url)
    if text.startswith(("http://", "https://")):
        return MarketData(OverHttp(text, token))
    if token:
        raise BadQuestion("A token is for a server; a folder is opened without one.")
    from marketdata_assets.client.folder import Folder, folder_of_profile

    return MarketData(Folder(folder_of_profile(Path(text).expanduser())))
