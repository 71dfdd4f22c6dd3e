"""The service itself: what it is, whether it lives, how the platform is, what is in memory.

Here belongs what tells of the service and of no price.
"""

import datetime as dt
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from marketdata_assets.api.answers import (
    CacheAnswer,
    ClearedAnswer,
    HealthAnswer,
    IndexAnswer,
    LruAnswer,
    ReadyAnswer,
    ServedTable,
)
from marketdata_assets.api.app_state import AppState, may_answer
from marketdata_assets.api.asking import nothing_asked
from marketdata_assets.api.encoding import json_response
from marketdata_assets.api.errors import ApiError
from marketdata_assets.api.page_files import front_page, prefers_html
from marketdata_assets.serving.status import Status, status
from marketdata_assets.tables import DAILY_PRICES, ETF_PREMIUM

VERSION = version("marketdata-assets")
# It reads the size of every file.
STATUS_LASTS = dt.timedelta(seconds=30)
ENDPOINTS = {
    "info": "/",
    "health": "/health",
    "ready": "/ready",
    "docs": "/docs",
    "metrics": "/metrics",
    "asset_type": "/api/v1/asset-type?code={code}",
    "ohlcv": "/api/v1/ohlcv?code={code}&start={YYYY-MM-DD}&end={YYYY-MM-DD}",
    "ohlcv_nocache": "/api/v1/ohlcv?code={code}&nocache=true",
    "batch": "POST /api/v1/ohlcv/batch",
    "etf_nav": "/api/v1/etf/nav?code={code}",
    "cross_section": "/api/v1/cross-section?date={YYYY-MM-DD}",
    "findings": "/api/v1/findings?date={YYYY-MM-DD}",
    "market": "/api/v1/market?date={YYYY-MM-DD}",
    "coverage": "/api/v1/coverage?table={name}&date={YYYY-MM-DD}",
    "marks": "/api/v1/marks?code={code}",
    "status": "/api/v1/status",
    "instruments": "/api/v1/instruments?q={part of code or name}",
    "tables": "/api/v1/tables",
    "table_rows": "/api/v1/tables/{name}/rows?date={YYYY-MM-DD}",
    "export": "POST /api/v1/exports",
    "export_status": "/api/v1/exports/{id}",
    "export_file": "/api/v1/exports/{id}/file",
    "request_status": "/api/v1/requests/{id}",
    "cache_clear": "POST /api/v1/cache/clear",
    "cache_stats": "/api/v1/cache/stats",
}
SUPPORTED = {
    "china_index": ["000300.SH", "399006.SZ", "H30269.CSI"],
    "industry_index": ["801010.SI"],
    "a_share": ["600000.SH", "000001.SZ", "920002.BJ"],
    "b_share": ["900901.SH", "200002.SZ"],
    "china_etf": ["159915.SZ", "513100.SH", "518880.SH"],
    "closed_fund": ["500038.SH", "184692.SZ"],
    "reit": ["508000.SH", "180101.SZ"],
    "convertible_bond": ["113050.SH", "127045.SZ"],
    "hk_index": ["HSI", "HSTECH.HK"],
    "hk_share": ["00700.HK"],
    "us_index": ["NDX", "SPX", "N225", "GDAXI"],
    "us_share": ["AAPL", "SPY"],
    "futures": ["AU.SHF", "M.DCE", "TA.ZCE", "IF.CFX", "SC.INE", "SI.GFE", "CL.NYM"],
    "futures_contract": ["RB2501.SHF", "M2505.DCE"],
    "crypto": ["BTC", "ETH"],
}


def service_routes(state: AppState) -> APIRouter:
    router = APIRouter(responses=may_answer())
    ssh_enabled = state.settings.ssh_enabled
    known: list[Status] = []

    @router.get("/", response_model=IndexAnswer)
    def index(request: Request) -> Response:
        """What this service is and what it answers; the web page for who prefers HTML."""
        if prefers_html(request.headers.get("accept", "")):
            return front_page(state)
        return json_response(
            {
                "name": "marketdata-assets",
                "version": VERSION,
                "description": "统一数据获取服务 · daily prices from finished copies",
                "architecture": "finished copies, read in place; what is missing is requested",
                "features": [
                    "one code, many codes or one day, as JSON, CSV, Arrow or Parquet",
                    "adjusted prices, and prices as they were known at a moment",
                    "what is not stored yet is fetched while the call waits",
                ],
                "origin": state.settings.origin,
                "endpoints": {
                    name: what.replace("/", state.place("/"), 1) for name, what in ENDPOINTS.items()
                },
                "supported_assets": SUPPORTED,
                "cache_config": cache_of(state),
                "ssh_status": "enabled" if ssh_enabled else "disabled",
            }
        )

    @router.get("/health", response_model=HealthAnswer)
    def health() -> Response:
        """Whether the service answers; open without a token."""
        now = dt.datetime.now(dt.UTC)
        return json_response({"status": "healthy", "timestamp": now, "ssh_configured": ssh_enabled})

    @router.get("/ready", response_model=ReadyAnswer, responses=may_answer(503))
    def ready() -> Response:
        """Whether it can answer, by the newest generation of what is stored; open without a token.

        The tables are those that were made so far: none in a folder that is new.
        """
        try:
            # What a disk that is gone refuses is no empty lake.
            with suppress(FileNotFoundError):
                next((state.root / "lake").iterdir(), None)
        except OSError as error:
            raise ApiError(503, f"The lake can't be read: {error.strerror}") from error
        state.prove_shared()
        copies = {table.name: state.reader.series(table) for table in (DAILY_PRICES, ETF_PREMIUM)}
        tables = {
            name: ServedTable(generation=copy.generation, last_day=copy.days[-1])
            for name, copy in copies.items()
            if copy
        }
        return json_response(ReadyAnswer(status="ready", tables=tables).model_dump())

    strict: Any = {"responses": may_answer(400), "dependencies": [Depends(nothing_asked)]}

    @router.get("/api/v1/status", response_model=Status, **strict)
    def how_it_is() -> Response:
        """The last evening, what is late, what runs next, the allowance and the disk.

        As it was at `now`, up to half a minute ago.
        """
        now = dt.datetime.now(dt.UTC)
        if not known or abs(now - known[0].now) > STATUS_LASTS:
            known[:] = [status(state.env, now)]
        return json_response(known[0])

    @router.get("/api/v1/cache/stats", response_model=CacheAnswer, **strict)
    def cache_stats() -> Response:
        """The histories by code that are kept in memory."""
        return json_response(cache_of(state))

    @router.post("/api/v1/cache/clear", response_model=ClearedAnswer, **strict)
    def cache_clear() -> Response:
        """Drop the histories that are kept in memory; they are read again when asked for."""
        before = cache_of(state)
        state.reader.histories.forget()
        message = "Cache cleared successfully"
        return json_response({"message": message, "before": before, "after": cache_of(state)})

    return router


def cache_of(state: AppState) -> dict[str, object]:
    kept = state.reader.histories.remembered()
    return CacheAnswer(
        lru_cache=LruAnswer(
            hits=kept.hits, misses=kept.misses, maxsize=kept.most_codes, currsize=kept.codes
        ),
        ttl_cache_size=kept.codes,
        # Nothing goes by the clock: a history is good until its file is written anew.
        ttl_seconds=None,
        default_start_date=state.settings.history_start,
        cache_strategy="history_by_code_and_file",
        bytes=kept.bytes,
        max_bytes=kept.most_bytes,
    ).model_dump()
