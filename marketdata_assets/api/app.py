"""The assembly of the API: endpoints, error handlers, and what surrounds them.

Here belongs the order of things. `create_app` is the seam: the command and the tests hand in a
price reader, a queue and settings.
"""

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from marketdata_assets.api.app_state import AppState
from marketdata_assets.api.docs_page import add_examples, docs_page
from marketdata_assets.api.errors import Unexpected, add_error_handlers
from marketdata_assets.api.guarding import Guard
from marketdata_assets.api.measuring import Measured
from marketdata_assets.api.middleware import Compressed, Heads, Labelled, Prefixed
from marketdata_assets.api.page_files import page_file_routes
from marketdata_assets.api.routes_batch import batch_routes
from marketdata_assets.api.routes_exports import export_routes
from marketdata_assets.api.routes_market import market_routes
from marketdata_assets.api.routes_prices import price_routes
from marketdata_assets.api.routes_service import VERSION, service_routes
from marketdata_assets.api.routes_tables import table_routes
from marketdata_assets.api.waiting import Turns

DESCRIPTION = (
    "Daily prices of Chinese shares, funds and indices, of world indices, futures and coins, from "
    "finished copies. Errors are JSON with a text under `error`; every GET answers HEAD too. · "
    "日线行情接口，数据来自已落库副本。"
)

# What a browser shows to a page of another site only if it is told to.
TOLD_IN_HEADERS = (
    "X-Code",
    "X-Renamed-From",
    "X-Asset-Type",
    "X-Available-Start",
    "X-Available-End",
    "X-Cached",
    "X-Data-Origin",
    "X-Missing-Codes",
    "X-Missing-Sessions",
    "X-Stale",
    "X-Unfinished",
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Length",
    "Content-Range",
    "ETag",
    "Location",
    "Retry-After",
)


def create_app(state: AppState) -> FastAPI:
    """The application over a state. Serving it, and closing the queue, is up to the caller."""
    settings = state.settings
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["Authorization", "Content-Type", "Range", "If-Range", "If-None-Match"],
        expose_headers=TOLD_IN_HEADERS,
    )
    app = FastAPI(
        title="marketdata-assets",
        version=VERSION,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        middleware=[
            Middleware(Prefixed, prefix=settings.root_path),
            # Counted as the GET that it is but for the body.
            Middleware(Heads),
            Middleware(Measured, metrics=state.metrics),
            *([cors] if settings.cors_origins else []),
            Middleware(Compressed),
            Middleware(Unexpected),
            Middleware(Guard, settings=settings),
            Middleware(Labelled, origin=settings.origin),
        ],
    )
    add_error_handlers(app, state)
    limits = settings.limits
    reading_the_past = Turns(limits.as_of_at_once, limits.as_of_waiting, "the past (as_of)")
    for router in (
        # Looked through in this order.
        price_routes(state, reading_the_past),
        batch_routes(state, reading_the_past),
        market_routes(state),
        service_routes(state),
        table_routes(state),
        export_routes(state),
        page_file_routes(state),
    ):
        app.include_router(router)

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        state.metrics.note(state.root, state.reader, state.requests)
        return Response(state.metrics.as_text(), media_type=CONTENT_TYPE_LATEST)

    documented = app.openapi
    app.openapi = lambda: add_examples(documented())  # type: ignore[method-assign]

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()))

    return app
