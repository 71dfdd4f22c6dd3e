"""Who is asked first for every code, through the resource as the live market has it."""

from typing import Any

import dagster as dg
import pytest

from marketdata_assets.instruments import Kind, identify
from marketdata_assets.resources.sources.routing import LiveSources
from marketdata_assets.resources.tushare import TushareResource
from marketdata_assets_tests.test_instruments import CODES

FIRST = {
    "china_index": "Tushare",
    "a_share": "Tushare",
    "b_share": "Eastmoney",
    "china_etf": "Tushare",
    "hk_index": "Sina",
    "us_index": "Sina",
    "futures": "Tushare",
    "crypto": "Yahoo",
    "industry_index": "Tushare",
    "closed_fund": "Tushare",
    "reit": "Tushare",
    "convertible_bond": "Tushare",
    "hk_share": "Eastmoney",
    "us_share": "Yahoo",
    "futures_contract": "Tushare",
}


@pytest.fixture(scope="module")
def context() -> dg.InitResourceContext:
    return dg.build_init_resource_context()


@pytest.fixture
def live(context, state):
    folder = str(state)
    tushare = TushareResource(token="x", url="https://unused", state_folder=folder)
    resource = LiveSources(tushare=tushare, state_folder=folder)
    with resource.yield_for_execution(context) as live:
        yield live


def test_every_code_has_its_first_source_and_another_at_another_host(live: LiveSources) -> None:
    for code, kind, *_ in CODES:
        sources = live.for_instrument(identify(code))
        if kind is Kind.BOND:
            assert sources == []
            continue
        hosts = [source.host for source in sources]
        assert sources[0].name == ("Sina" if code == "CL.NYM" else FIRST[kind]), code
        assert len(set(hosts)) == len(hosts) >= 2, code


def test_nothing_is_started_or_connected_before_a_source_is_asked(live: LiveSources) -> None:
    first: Any
    [first, *_] = live.for_instrument(identify("HSI"))
    assert first.name == "Sina"
    assert not first._worker._process
