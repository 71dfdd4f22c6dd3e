import csv
import datetime as dt
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.instruments import Instrument, Kind, Unit, UnknownCode, identify
from marketdata_assets.instruments.code_changes import CODE_CHANGES, CodeChange
from marketdata_assets_tests.replay import REAL_DATA

CODES = [
    ("000300.SH", Kind.CHINA_INDEX, "SSE", "CNY"),
    ("000001.SH", Kind.CHINA_INDEX, "SSE", "CNY"),
    ("399006.SZ", Kind.CHINA_INDEX, "SZSE", "CNY"),
    ("899050.BJ", Kind.CHINA_INDEX, "BSE", "CNY"),
    ("H30269.CSI", Kind.CHINA_INDEX, "CSI", "CNY"),
    ("931865.CSI", Kind.CHINA_INDEX, "CSI", "CNY"),
    ("600000.SH", Kind.A_SHARE, "SSE", "CNY"),
    ("688981.SH", Kind.A_SHARE, "SSE", "CNY"),
    ("689009.SH", Kind.A_SHARE, "SSE", "CNY"),
    ("000001.SZ", Kind.A_SHARE, "SZSE", "CNY"),
    ("300750.SZ", Kind.A_SHARE, "SZSE", "CNY"),
    ("920002.BJ", Kind.A_SHARE, "BSE", "CNY"),
    ("900901.SH", Kind.B_SHARE, "SSE", "USD"),
    ("200002.SZ", Kind.B_SHARE, "SZSE", "HKD"),
    ("510300.SH", Kind.CHINA_ETF, "SSE", "CNY"),
    ("513100.SH", Kind.CHINA_ETF, "SSE", "CNY"),
    ("518880.SH", Kind.CHINA_ETF, "SSE", "CNY"),
    ("520990.SH", Kind.CHINA_ETF, "SSE", "CNY"),
    ("562500.SH", Kind.CHINA_ETF, "SSE", "CNY"),
    ("588000.SH", Kind.CHINA_ETF, "SSE", "CNY"),
    ("501018.SH", Kind.CHINA_ETF, "SSE", "CNY"),
    ("159915.SZ", Kind.CHINA_ETF, "SZSE", "CNY"),
    ("161725.SZ", Kind.CHINA_ETF, "SZSE", "CNY"),
    # A graded fund; they ended in 2020.
    ("150018.SZ", Kind.CHINA_ETF, "SZSE", "CNY"),
    ("HSI", Kind.HK_INDEX, "HKEX", "HKD"),
    ("HSCEI", Kind.HK_INDEX, "HKEX", "HKD"),
    ("HSTECH.HK", Kind.HK_INDEX, "HKEX", "HKD"),
    ("NDX", Kind.WORLD_INDEX, "US", "USD"),
    ("SPX", Kind.WORLD_INDEX, "US", "USD"),
    ("N225", Kind.WORLD_INDEX, "JPX", "JPY"),
    ("GDAXI", Kind.WORLD_INDEX, "XETRA", "EUR"),
    ("AU.SHF", Kind.FUTURES, "SHFE", "CNY"),
    ("CU.SHF", Kind.FUTURES, "SHFE", "CNY"),
    ("CL.NYM", Kind.FUTURES, "NYMEX", "USD"),
    ("BTC", Kind.CRYPTO, "crypto", "USD"),
    ("ETH", Kind.CRYPTO, "crypto", "USD"),
    # Shares of before: their digits were given away, or they moved.
    ("T00018.SH", Kind.A_SHARE, "SSE", "CNY"),
    ("T600018.SH", Kind.A_SHARE, "SSE", "CNY"),
    ("430047.BJ", Kind.A_SHARE, "BSE", "CNY"),
    ("830799.BJ", Kind.A_SHARE, "BSE", "CNY"),
    ("873169.BJ", Kind.A_SHARE, "BSE", "CNY"),
    ("000905.SH", Kind.CHINA_INDEX, "SSE", "CNY"),
    ("801010.SI", Kind.INDUSTRY_INDEX, "SWS", "CNY"),
    ("500038.SH", Kind.CLOSED_FUND, "SSE", "CNY"),
    ("505888.SH", Kind.CLOSED_FUND, "SSE", "CNY"),
    ("184692.SZ", Kind.CLOSED_FUND, "SZSE", "CNY"),
    ("508000.SH", Kind.REIT, "SSE", "CNY"),
    ("180101.SZ", Kind.REIT, "SZSE", "CNY"),
    # A number used twice.
    ("1500011.SZ", Kind.CHINA_ETF, "SZSE", "CNY"),
    ("5020561.SH", Kind.CHINA_ETF, "SSE", "CNY"),
    ("110059.SH", Kind.CONVERTIBLE_BOND, "SSE", "CNY"),
    ("111001.SH", Kind.CONVERTIBLE_BOND, "SSE", "CNY"),
    ("113050.SH", Kind.CONVERTIBLE_BOND, "SSE", "CNY"),
    ("118003.SH", Kind.CONVERTIBLE_BOND, "SSE", "CNY"),
    ("123001.SZ", Kind.CONVERTIBLE_BOND, "SZSE", "CNY"),
    ("127045.SZ", Kind.CONVERTIBLE_BOND, "SZSE", "CNY"),
    ("128013.SZ", Kind.CONVERTIBLE_BOND, "SZSE", "CNY"),
    ("019547.SH", Kind.BOND, "SSE", "CNY"),
    ("010107.SH", Kind.BOND, "SSE", "CNY"),
    ("122001.SH", Kind.BOND, "SSE", "CNY"),
    ("101917.SZ", Kind.BOND, "SZSE", "CNY"),
    ("112001.SZ", Kind.BOND, "SZSE", "CNY"),
    ("00700.HK", Kind.HK_SHARE, "HKEX", "HKD"),
    ("80700.HK", Kind.HK_SHARE, "HKEX", "CNY"),
    ("AAPL", Kind.US_SHARE, "US", "USD"),
    ("SPY", Kind.US_SHARE, "US", "USD"),
    ("BRK.B", Kind.US_SHARE, "US", "USD"),
    # Corn is C, indices and coins have tickers: the share says so.
    ("C.US", Kind.US_SHARE, "US", "USD"),
    ("DAX.US", Kind.US_SHARE, "US", "USD"),
    ("M.DCE", Kind.FUTURES, "DCE", "CNY"),
    ("TA.ZCE", Kind.FUTURES, "CZCE", "CNY"),
    ("IF.CFX", Kind.FUTURES, "CFFEX", "CNY"),
    ("SC.INE", Kind.FUTURES, "INE", "CNY"),
    ("SI.GFE", Kind.FUTURES, "GFEX", "CNY"),
    ("RB2501.SHF", Kind.FUTURES_CONTRACT, "SHFE", "CNY"),
    ("M2505.DCE", Kind.FUTURES_CONTRACT, "DCE", "CNY"),
    ("TA2501.ZCE", Kind.FUTURES_CONTRACT, "CZCE", "CNY"),
    ("IF2412.CFX", Kind.FUTURES_CONTRACT, "CFFEX", "CNY"),
    ("SC2501.INE", Kind.FUTURES_CONTRACT, "INE", "CNY"),
    ("SI2501.GFE", Kind.FUTURES_CONTRACT, "GFEX", "CNY"),
]


@pytest.mark.parametrize(("code", "kind", "market", "currency"), CODES)
def test_a_code_tells_its_kind_its_market_and_its_currency(
    code: str, kind: Kind, market: str, currency: str
) -> None:
    found = identify(code)
    assert (found.code, found.kind, found.market.name, found.currency) == (
        code,
        kind,
        market,
        currency,
    )


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("sh600000", "600000.SH"),
        ("SZ000001", "000001.SZ"),
        ("bj920002", "920002.BJ"),
        ("sh.600000", "600000.SH"),
        ("600000.XSHG", "600000.SH"),
        ("000001.xshe", "000001.SZ"),
        ("513100.SS", "513100.SH"),
        (" 600000 . sh ", "600000.SH"),
        ("６０００００．ＳＨ", "600000.SH"),
        ("ｈｓｉ", "HSI"),
        ("hstech", "HSTECH.HK"),
        ("HSI.HK", "HSI"),
        ("^NDX", "NDX"),
        (".INX", "SPX"),
        ("^GSPC", "SPX"),
        ("btc-usd", "BTC"),
        ("h30269.csi", "H30269.CSI"),
        ("au.shf", "AU.SHF"),
        ("SHSE.600000", "600000.SH"),
        ("SZSE.000001", "000001.SZ"),
        ("600000SH", "600000.SH"),
        ("000001xshe", "000001.SZ"),
        ("1.600000", "600000.SH"),
        ("1.000001", "000001.SH"),
        ("0.000001", "000001.SZ"),
        ("0.920002", "920002.BJ"),
        ("159915.OF", "159915.SZ"),
        ("161725.OF", "161725.SZ"),
        ("510300.OF", "510300.SH"),
        ("180101.OF", "180101.SZ"),
        # The vendor's limits call B shares of Shanghai so.
        ("900934.BJ", "900934.SH"),
        ("000905.CSI", "000905.SH"),
        ("399550.CSI", "399550.SZ"),
        ("H30269", "H30269.CSI"),
        ("T00018.sh", "T00018.SH"),
        ("SI.801010", "801010.SI"),
        ("HSI.HI", "HSI"),
        ("SPX.GI", "SPX"),
        ("^HSCE", "HSCEI"),
        ("DAX", "GDAXI"),
        ("sp500", "SPX"),
        ("700.HK", "00700.HK"),
        ("0700.HK", "00700.HK"),
        ("hk00700", "00700.HK"),
        ("HK.00700", "00700.HK"),
        ("aapl", "AAPL"),
        ("AAPL.US", "AAPL"),
        ("US.AAPL", "AAPL"),
        ("brk-b", "BRK.B"),
        ("AU0", "AU.SHF"),
        ("RB0", "RB.SHF"),
        ("M0", "M.DCE"),
        ("RB9999.XSGE", "RB.SHF"),
        ("M9999.XDCE", "M.DCE"),
        ("TA9999.XZCE", "TA.ZCE"),
        ("IF9999.CCFX", "IF.CFX"),
        ("SC9999.XINE", "SC.INE"),
        ("SI9999.GFEX", "SI.GFE"),
        ("RB.SHFE", "RB.SHF"),
        ("TA.CZCE", "TA.ZCE"),
        ("IF.CFFEX", "IF.CFX"),
        ("SHFE.rb2501", "RB2501.SHF"),
        ("rb2501", "RB2501.SHF"),
        ("SH2501", "SH2501.ZCE"),
        ("CL=F", "CL.NYM"),
        ("BTCUSDT", "BTC"),
        ("BTC/USDT", "BTC"),
        ("eth/usd", "ETH"),
    ],
)
def test_what_people_write_is_normalised(written: str, code: str) -> None:
    assert identify(written).code == code


def test_the_same_digits_are_an_index_in_shanghai_and_a_share_in_shenzhen() -> None:
    assert identify("000001.SH").kind is Kind.CHINA_INDEX
    assert identify("000001.SZ").kind is Kind.A_SHARE
    assert identify("sh000001").kind is Kind.CHINA_INDEX
    assert identify("sz000001").kind is Kind.A_SHARE


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "000001",
            "Did you mean 000001.SH (index of mainland China) or 000001.SZ (A-share)?",
        ),
        ("600000", "Did you mean 600000.SH (A-share)?"),
        ("159915", "Did you mean 159915.SZ (ETF or LOF listed in mainland China)?"),
        ("600000.SZ", "Did you mean 600000.SH (A-share)?"),
        ("600000.HK", "Did you mean 600000.SH (A-share)?"),
        (
            "113050",
            "Did you mean 113050.SH (convertible bond) or 113050.SZ (exchange-traded bond)?",
        ),
        ("801010", "Did you mean 801010.SI (industry index of Shenwan)?"),
        ("930955", "Did you mean 930955.CSI (index of mainland China)?"),
        ("00700", "Did you mean 00700.HK (share or ETF listed in Hong Kong)?"),
        ("519003.SH", "Of open-end funds those alone are known that trade on an exchange."),
        ("000001.OF", "Of open-end funds those alone are known that trade on an exchange."),
        (
            "au",
            "Did you mean AU.SHF (futures, the continuous main contract) or AU.US (share or ETF "
            "listed in the US)?",
        ),
        ("CL", "Did you mean CL.NYM (futures, the continuous main contract) or CL.US (share"),
        ("NASDAQ", "Did you mean IXIC (index of the US or another foreign market) or NDX (index"),
        ("SOL", "Did you mean SOL.US (share or ETF listed in the US)?"),
        ("TA501", "Did you mean TA1501.ZCE (futures, one contract) or TA2501.ZCE (futures, one"),
        ("TA501.CZCE", "Did you mean TA1501.ZCE (futures, one contract) or TA2501.ZCE (futures"),
        ("RB8888.XSGE", "Did you mean RB.SHF (futures, the continuous main contract)?"),
        ("RB2513.SHF", "Did you mean RB.SHF (futures, the continuous main contract)?"),
        ("RB.DCE", "Did you mean RB.SHF (futures, the continuous main contract)?"),
    ],
)
def test_what_is_not_clear_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(UnknownCode) as refusal:
        identify(text)
    assert hint in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "^",
        "204001.SH",
        "13579.HK",
        "^AAPL",
        "NASDAQS",
        "60000.SH",
        "000.CSI",
        "15.OF",
        "../etc",
        "²",
    ],
)
def test_anything_else_is_refused_with_a_list_of_what_is_understood(text: str) -> None:
    with pytest.raises(UnknownCode) as refusal:
        identify(text)
    for code, *_ in [CODES[0], ("ETH",)]:
        assert code in str(refusal.value)
    assert repr(text) in str(refusal.value)


@pytest.mark.parametrize("change", CODE_CHANGES, ids=lambda change: change.old)
def test_a_former_code_is_the_share_under_its_present_one(change: CodeChange) -> None:
    found = identify(change.old)
    assert found == identify(change.new)
    assert (found.code, found.renamed_from) == (change.new, change.old)
    assert identify(change.new).renamed_from == ""
    assert change.evidence


@given(st.text(alphabet=string.printable + "６００．ＳＨ一", max_size=12))
def test_any_text_is_an_instrument_whose_code_is_stable_or_is_refused(text: str) -> None:
    try:
        found = identify(text)
    except UnknownCode:
        return
    assert isinstance(found, Instrument)
    assert identify(found.code) == found
    assert set(found.code) <= set(string.ascii_uppercase + string.digits + ".")


def test_volume_is_in_shares_bonds_contracts_or_coins() -> None:
    contracts = (Kind.FUTURES, Kind.FUTURES_CONTRACT)
    units = {identify(code).unit for code, kind, *_ in CODES if kind in contracts}
    assert units == {Unit.CONTRACTS}
    assert identify("BTC").unit is Unit.COINS
    assert identify("513100.SH").unit is Unit.SHARES
    assert identify("113050.SH").unit is Unit.BONDS


# What the first digits of real lists are, by exchange.
REAL = {
    "SH": {r"60|68|T": "a_share", r"900": "b_share", r"000": "china_index"},
    "SZ": {r"00|30": "a_share", r"20": "b_share", r"399": "china_index"},
    "BJ": {r"43|8|92": "a_share", r"900": "b_share"},
}
REAL["SH"] |= {r"50[05]": "closed_fund", r"508": "reit", r"50[126]|5[1-9]": "china_etf"}
REAL["SZ"] |= {r"184": "closed_fund", r"180": "reit", r"15|16": "china_etf"}


@pytest.mark.parametrize(
    "file",
    [
        "tushare_2025-04-03/stock_basic.csv",
        "tushare_2025-04-03/daily.csv",
        "tushare_2025-04-03/daily_basic.csv",
        "tushare_2025-04-03/stk_limit.csv",
        "history/stock_basic_L_20230316.csv",
        "history/600018_before_list_date.csv",
        "funds/codes.csv",
        "funds/gfafa_fund_basic_share_20240115.csv",
        "funds/seven_digit_codes_20250420.csv",
    ],
)
def test_every_code_of_a_real_list_is_of_its_class(file: str) -> None:
    path = REAL_DATA / file
    if not path.exists():
        pytest.skip("the real lists are not here")
    with path.open(encoding="utf-8-sig", newline="") as lines:
        codes = {row["ts_code"] for row in csv.DictReader(lines)}
    wrong = {code: found for code in codes if (found := _class_of(code)) != _real_class(code)}
    assert codes
    assert wrong == {}


def _class_of(code: str) -> str:
    try:
        return identify(code).kind.value
    except UnknownCode:
        return "refused"


def _real_class(code: str) -> str:
    digits, _, exchange = code.partition(".")
    return next(kind for start, kind in REAL[exchange].items() if re.match(start, digits))


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_described_in_both_languages(kind: Kind) -> None:
    assert kind.doc.isascii()
    assert any("一" <= sign <= "鿿" for sign in kind.doc_zh)


@pytest.mark.parametrize(
    ("code", "now", "last"),
    [
        ("600000.SH", "2025-04-03T07:59+00:00", dt.date(2025, 4, 2)),
        ("600000.SH", "2025-04-03T08:00+00:00", dt.date(2025, 4, 3)),
        # New York is still in the evening before when Shanghai has a new day.
        ("NDX", "2025-04-03T11:00+00:00", dt.date(2025, 4, 2)),
        ("NDX", "2025-04-03T22:00+00:00", dt.date(2025, 4, 3)),
        ("BTC", "2025-04-03T23:59+00:00", dt.date(2025, 4, 2)),
        ("BTC", "2025-04-04T00:00+00:00", dt.date(2025, 4, 3)),
    ],
)
def test_the_running_day_of_a_market_is_not_final(code: str, now: str, last: dt.date) -> None:
    assert identify(code).market.last_final_day(dt.datetime.fromisoformat(now)) == last
