"""The Chinese sites behind AKShare, as an answer to what its functions ask them.

The shapes are what AKShare's own code takes apart; the bars are three days of one instrument.
"""

import datetime as dt
import json
from collections.abc import Callable

from marketdata_assets_tests.resources.sources.sina_encoding import SinaBar, encoded
from marketdata_assets_tests.resources.web_server import Asked, Reply

HOSTS = (
    "push2his.eastmoney.com",
    "33.push2his.eastmoney.com",
    "finance.sina.com.cn",
    "stock2.finance.sina.com.cn",
    "gi.finance.sina.com.cn",
    "www.csindex.com.cn",
    "www.swsresearch.com",
)
DAYS = [dt.date(2025, 4, 1), dt.date(2025, 4, 2), dt.date(2025, 4, 3)]
# Open, high, low, close.
PRICES = [(10.0, 10.6, 9.9, 10.5), (10.5, 10.5, 10.1, 10.2), (10.2, 11.0, 10.2, 10.98)]
SHARES = [12_345_600, 9_876_500, 23_000_000]
YUAN = [126_000_000.0, 101_000_000.5, 245_000_000.0]
ROWS = list(zip(DAYS, PRICES, SHARES, YUAN, strict=True))

# What 东方财富 knows, by market and code, with the names it answers.
SECIDS = {"1": "600000 688981 510300 501018 000300 900901 508000 500038", "2": "H30269"}
SECIDS |= {"0": "000001 920002 159915 399006 200002 180101 184692", "102": "CL00Y"}
SECIDS |= {"100": "N225 GDAXI SPX HSI", "116": "00700"}


def china_sites(asked: Asked) -> Reply:
    """What the real sites answer, in shape."""
    known: dict[str, Callable[[Asked], str]] = {
        "push2his.eastmoney.com": _eastmoney,
        "33.push2his.eastmoney.com": _eastmoney,
        "finance.sina.com.cn": _sina_compressed,
        "stock2.finance.sina.com.cn": _sina_futures,
        "gi.finance.sina.com.cn": _sina_world,
        "www.csindex.com.cn": _csindex,
        "www.swsresearch.com": _shenwan,
    }
    return Reply(known[asked.host](asked).encode())


def _eastmoney(asked: Asked) -> str:
    market, _, code = asked.params["secid"].partition(".")
    if code not in SECIDS.get(market, "").split():
        return json.dumps({"rc": 0, "data": None})
    count = len([name for name in asked.params["fields2"].split(",") if name != "f116"])
    begin = asked.params.get("beg", "0")
    klines = []
    for day, (opened, high, low, close), shares, yuan in ROWS:
        if f"{day:%Y%m%d}" >= begin:
            volume = shares if market in ("102", "116") else shares // 100
            kline = [str(day), opened, close, high, low, volume, yuan, *range(7)]
            klines.append(",".join(map(str, kline[:count])))
    return json.dumps({"rc": 0, "data": {"code": code, "name": "x", "klines": klines}})


def _sina_compressed(asked: Asked) -> str:
    bars = [
        SinaBar._make([day, *(round(price * 100) for price in prices), shares])
        for day, prices, shares, _ in ROWS
    ]
    return f'var KLC_KL_x="{encoded(bars)}";'


def _sina_futures(asked: Asked) -> str:
    if "GlobalFutures" in asked.path:
        rows = [
            {
                **_named(("open", "high", "low", "close"), prices),
                "date": str(day),
                "volume": str(shares),
                "position": "0",
                "s": "0",
            }
            for day, prices, shares, _ in ROWS
        ]
        return f"/*<script>*/\nvar _S2025=({json.dumps(rows)});"
    domestic = [
        {
            "d": str(day),
            **_named(("o", "h", "l", "c"), prices),
            "v": str(shares),
            "p": "1000",
            "s": "10.1",
        }
        for day, prices, shares, _ in ROWS
    ]
    return f"/*<script>*/\nvar _AU02021_08_17=({json.dumps(domestic)});"


def _sina_world(asked: Asked) -> str:
    rows = [
        {"d": str(day), **_named(("o", "h", "l", "c"), prices), "v": str(shares)}
        for day, prices, shares, _ in ROWS
    ]
    return json.dumps({"result": {"status": {"code": 0}, "data": rows}})


def _csindex(asked: Asked) -> str:
    rows = [
        {
            "tradeDate": f"{day:%Y%m%d}",
            "indexCode": asked.params["indexCode"],
            "indexNameCnAll": "中证红利低波动指数",
            "indexNameCn": "红利低波",
            "indexNameEnAll": "x",
            "indexNameEn": "x",
            # The site has the close alone of many indices' early years.
            "open": opened if position else None,
            "high": high if position else None,
            "low": low if position else None,
            "close": close,
            "change": 0.1,
            "changePct": 0.1,
            "tradingVol": shares / 1_000_000,
            "tradingValue": yuan / 100_000_000,
            "consNumber": 50,
            "peg": None,
        }
        for position, (day, (opened, high, low, close), shares, yuan) in enumerate(ROWS)
    ]
    return json.dumps({"code": "200", "msg": "Success", "data": rows, "success": True})


def _shenwan(asked: Asked) -> str:
    rows = [
        {
            "swindexcode": asked.params["swindexcode"],
            "bargaindate": str(day),
            "openindex": opened,
            "maxindex": high,
            "minindex": low,
            "closeindex": close,
            "hike": 0.1,
            "markup": 0.1,
            "bargainamount": shares,
            "bargainsum": yuan,
        }
        for day, (opened, high, low, close), shares, yuan in ROWS
    ]
    return json.dumps({"code": "200", "message": "OK", "data": rows})


def _named(names: tuple[str, ...], prices: tuple[float, ...]) -> dict[str, str]:
    return {name: str(price) for name, price in zip(names, prices, strict=True)}
