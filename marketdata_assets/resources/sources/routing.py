"""Who is asked for which kind of instrument, in which order; the sources of the live market.

Here belong the order and what the sources share: AKShare's process, the tunnel, the allowances.
Neighbours in an order sit at different hosts, so that one that is out of order or turns us away
leaves another.
"""

import functools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field, PrivateAttr

from marketdata_assets.allowance_counter import shared_path
from marketdata_assets.instruments import Instrument, Kind
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.sources.akshare import (
    CSINDEX,
    EASTMONEY,
    SHENWAN,
    SINA,
    AkshareSource,
    AkshareWorker,
    Site,
)
from marketdata_assets.resources.sources.coinbase import COINBASE, CoinbaseSource
from marketdata_assets.resources.sources.history import HistorySource
from marketdata_assets.resources.sources.tushare_history import TushareHistory
from marketdata_assets.resources.sources.yahoo import YAHOO, YahooSource
from marketdata_assets.resources.ssh_endpoint import Endpoint
from marketdata_assets.resources.ssh_tunnel import SshTunnel
from marketdata_assets.resources.tushare import TushareResource

if TYPE_CHECKING:
    from marketdata_assets.resources.tushare_client import TushareClient

ORDER: dict[Kind, tuple[str, ...]] = {
    Kind.CHINA_INDEX: ("Tushare", "CSIndex", "Sina", "Eastmoney"),
    Kind.INDUSTRY_INDEX: ("Tushare", "Shenwan"),
    Kind.A_SHARE: ("Tushare", "Eastmoney", "Yahoo"),
    Kind.B_SHARE: ("Eastmoney", "Yahoo"),
    Kind.CHINA_ETF: ("Tushare", "Eastmoney", "Sina"),
    Kind.CLOSED_FUND: ("Tushare", "Eastmoney", "Sina"),
    Kind.REIT: ("Tushare", "Eastmoney", "Sina"),
    Kind.CONVERTIBLE_BOND: ("Tushare", "Sina"),
    Kind.BOND: (),
    Kind.HK_SHARE: ("Eastmoney", "Tushare", "Yahoo"),
    Kind.US_SHARE: ("Yahoo", "Tushare"),
    Kind.HK_INDEX: ("Sina", "Eastmoney", "Tushare", "Yahoo"),
    Kind.WORLD_INDEX: ("Sina", "Eastmoney", "Tushare", "Yahoo"),
    Kind.FUTURES: ("Tushare", "Sina", "Eastmoney", "Yahoo"),
    Kind.FUTURES_CONTRACT: ("Tushare", "Sina"),
    Kind.CRYPTO: ("Yahoo", "Coinbase"),
}

# Far below what these sites turn away: they state no limit, and ban who is in a hurry.
CALLS_PER_MINUTE = {"Eastmoney": 10, "Sina": 20, "CSIndex": 20, "Shenwan": 20}
CALLS_PER_MINUTE |= {"Yahoo": 30, "Coinbase": 60}


class InstrumentSources(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The sources of one profile, where histories begin, and the codes that are always tracked."""

    first_day: str = "2015-01-01"
    tracked_codes: list[str] = Field(default=[])

    def for_instrument(self, instrument: Instrument) -> Sequence[HistorySource]:
        """Who to ask for the instrument, in order."""
        raise NotImplementedError


class LiveSources(InstrumentSources):
    """The real ones. Yahoo and Coinbase go through the tunnel where there is one; nobody else."""

    tushare: TushareResource
    tunnel: Endpoint = Endpoint()
    yahoo_url: str = YAHOO
    coinbase_url: str = COINBASE
    state_folder: str | None = None

    _open: ExitStack = PrivateAttr()
    _sources: dict[str, HistorySource] = PrivateAttr(default_factory=dict)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["LiveSources"]:
        with ExitStack() as self._open:
            self._sources = {}
            yield self

    def for_instrument(self, instrument: Instrument) -> Sequence[HistorySource]:
        sources = self._sources or self._make()
        wanted = [sources[name] for name in ORDER[instrument.kind]]
        return [source for source in wanted if source.serves(instrument)]

    def _make(self) -> dict[str, HistorySource]:
        tunnel = SshTunnel(self.tunnel) if self.tunnel.host else None
        if tunnel:
            self._open.callback(tunnel.close)
        worker = AkshareWorker()
        self._open.callback(worker.close)
        yahoo = YahooSource(self._allowance("Yahoo", self.yahoo_url), tunnel, self.yahoo_url)
        coinbase = CoinbaseSource(
            self._allowance("Coinbase", self.coinbase_url), tunnel, self.coinbase_url
        )
        self._open.callback(yahoo.close)
        self._open.callback(coinbase.close)

        def site(one: Site) -> AkshareSource:
            return AkshareSource(one, worker, self._allowance(one.name, one.host))

        made: list[HistorySource] = [
            TushareHistory(self.tushare.url, functools.cache(self._tushare_client)),
            *map(site, (EASTMONEY, SINA, CSINDEX, SHENWAN)),
            yahoo,
            coinbase,
        ]
        self._sources = {source.name: source for source in made}
        return self._sources

    def _tushare_client(self) -> "TushareClient":
        client = self.tushare.client()
        self._open.callback(client.close)
        return client

    def _allowance(self, name: str, host: str) -> Allowance:
        path = shared_path("", host, self.state_folder)
        allowance = Allowance(CALLS_PER_MINUTE[name], path)
        self._open.callback(allowance.close)
        return allowance
