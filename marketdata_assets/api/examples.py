"""An answer of each endpoint as an example, for the OpenAPI document and /docs.

Here belong the examples alone; their shape is `answers`, which a test holds them to.
"""

from typing import Any

_BAR = {
    "date": "2024-09-30",
    "open": 10.02,
    "high": 10.51,
    "low": 9.98,
    "close": 10.5,
    "volume": 152345600.0,
    "turnover": 1562345678.9,
}
_RANGE = {"start": "2024-09-30", "end": "2024-09-30"}
_ROWS = {"data": [_BAR], "count": 1, "columns": list(_BAR), "date_range": _RANGE}
_STORED: dict[str, Any] = {"missing_sessions": [], "stale": None}
_PRICES = {
    **_ROWS,
    "code": "600000.SH",
    "renamed_from": None,
    "asset_type": "a_share",
    "requested_range": _RANGE,
    "available_range": {"start": "2005-01-04", "end": "2024-10-15"},
    "cached": True,
    "adjust": "none",
    "frequency": "D",
    "unfinished": None,
    "currency": "CNY",
    "volume_unit": "shares",
    "source": "daily_prices",
    "stored_at": "2024-10-15T12:40:00Z",
    **_STORED,
    "note": None,
}
_UNKNOWN = "'600000' is no code that is understood. Did you mean 600000.SH (A-share)?"
_FAILED = {"error": _UNKNOWN, "code": "600000", "asset_type": "unknown", "data": [], "count": 0}
_VALUE = {"date": "2024-09-30", "nav": 1.4321}
EXAMPLE_ANSWERS: dict[str, dict[str, Any]] = {
    "/api/v1/ohlcv": _PRICES,
    "/api/v1/ohlcv/batch": {
        "results": {"600000.SH": _PRICES, "600000": _FAILED},
        "success_count": 1,
        "failed_count": 1,
        "total": 2,
        **_RANGE,
    },
    "/api/v1/etf/nav": {
        "code": "513100.SH",
        "source": "etf_premium",
        "available_range": {"start": "2013-05-15", "end": "2024-10-15"},
        **_STORED,
        "price": _ROWS,
        "nav": {**_ROWS, "data": [_VALUE], "columns": list(_VALUE)},
        "without_premium": [{"date": "2024-10-08", "reason": "nav not published"}],
        "premium_series": [{"date": "2024-09-30", "premium": 0.0285}],
        "latest_premium": 0.0285,
        "premium_date": "2024-09-30",
        "premium_stats": dict.fromkeys(("mean", "std", "min", "max", "median"), 0.0285),
    },
    "/api/v1/cross-section": {
        "date": "2024-09-30",
        "kind": "a_share",
        "data": [{"code": "600000.SH", **_BAR}],
        "count": 1,
        "columns": ["code", *_BAR],
        "source": "daily_prices",
        "stored_at": "2024-10-15T12:40:00Z",
    },
    "/api/v1/findings": {
        "date": "2024-09-30",
        "findings": [
            {
                "table": "daily_prices",
                "check": "factor_missing",
                "code": "600000.SH",
                "outcome": "flagged",
                "since": "2024-09-27",
                "last": "2024-09-30",
                "days": 2,
                "seen": "adj_factor NULL",
                "expected": "a factor",
                "reason": None,
            }
        ],
        "count": 1,
    },
    "/api/v1/instruments": {
        "instruments": [
            {
                "code": "600000.SH",
                "name": "浦发银行",
                "asset_type": "a_share",
                "stored_in": "daily_prices",
            }
        ],
        "count": 1,
    },
}


def add_examples(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the examples in it."""
    for path, answer in EXAMPLE_ANSWERS.items():
        for operation in document["paths"][path].values():
            operation["responses"]["200"]["content"]["application/json"]["example"] = answer
    return document
