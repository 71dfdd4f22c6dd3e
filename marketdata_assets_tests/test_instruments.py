import datetime as dt
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata_assets.instruments import Instrument, Kind, Unit, UnknownCode, identify

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
        ("900901.BJ", "Did you mean 900901.SH (B share, in US or Hong Kong dollars)?"),
        ("830799.BJ", "moved to codes 920xxx"),
        ("AU2512.SHF", "did you mean AU.SHF?"),
        ("au", "Did you mean the futures AU.SHF?"),
        ("CL", "Did you mean the futures CL.NYM?"),
    ],
)
def test_what_is_not_clear_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(UnknownCode) as refusal:
        identify(text)
    assert hint in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    ["", " ", "600000.HK", "519003.SH", "113050.SH", "AAPL", "BTCUSDT", "60000.SH", "../etc", "²"],
)
def test_anything_else_is_refused_with_a_list_of_what_is_understood(text: str) -> None:
    with pytest.raises(UnknownCode) as refusal:
        identify(text)
    for code, *_ in CODES[:1] + CODES[-1:]:
        assert code in str(refusal.value)
    assert repr(text) in str(refusal.value)


@given(st.text(alphabet=string.printable + "６００．ＳＨ一", max_size=12))
def test_any_text_is_an_instrument_whose_code_is_stable_or_is_refused(text: str) -> None:
    try:
        found = identify(text)
    except UnknownCode:
        return
    assert isinstance(found, Instrument)
    assert identify(found.code) == found
    assert set(found.code) <= set(string.ascii_uppercase + string.digits + ".")


def test_volume_is_in_shares_contracts_or_coins() -> None:
    units = {identify(code).unit for code, kind, *_ in CODES if kind is Kind.FUTURES}
    assert units == {Unit.CONTRACTS}
    assert identify("BTC").unit is Unit.COINS
    assert identify("513100.SH").unit is Unit.SHARES


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
