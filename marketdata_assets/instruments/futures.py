"""The six futures exchanges of China: their products, main contracts and single ones.

Here belongs what a product or a contract is called. AU.SHF is the main continuous contract,
RB2501.SHF the one of January 2025.
"""

import re

from marketdata_assets.instruments.kinds import (
    CFFEX,
    CZCE,
    DCE,
    GFEX,
    INE,
    NYMEX,
    SHFE,
    Instrument,
    Kind,
)

MARKETS = {"SHF": SHFE, "DCE": DCE, "ZCE": CZCE, "CFX": CFFEX, "INE": INE, "GFE": GFEX}
_LISTED = {
    "SHF": "AD AG AL AO AU BR BU CU FU HC NI OP PB RB RU SN SP SS WR ZN",
    "DCE": "A B BB BZ C CS EB EG FB I J JD JM L LG LH M P PG PP RR V Y",
    "ZCE": "AP CF CJ CY FG JR LR MA OI PF PK PL PM PR PX RI RM RS SA SF SH SM SR TA UR WH ZC",
    "CFX": "IC IF IH IM T TF TL TS",
    "INE": "BC EC LU NR SC",
    "GFE": "LC PD PS PT SI",
}
# No product is traded on two of the exchanges.
PRODUCTS = {product: where for where, listed in _LISTED.items() for product in listed.split()}
CRUDE_OIL = Instrument("CL.NYM", Kind.FUTURES, NYMEX, "USD")

# What is appended to a product for its main contract: AU0 by Sina, RB9999 by JoinQuant.
_MAIN = ("", "0", "9999")


def main_contract(product: str) -> Instrument | None:
    """The continuous main contract of a product of China."""
    where = PRODUCTS.get(product)
    if where is None:
        return None
    return Instrument(f"{product}.{where}", Kind.FUTURES, MARKETS[where], "CNY")


def futures_of(symbol: str) -> Instrument | None:
    """`AU`, `AU0`, `RB9999`, `RB2501`: a main contract or a single one, or None."""
    match = re.fullmatch(r"([A-Z]{1,2})(\d*)", symbol, re.ASCII)
    main = main_contract(match[1]) if match else None
    if match is None or main is None or match[2] in _MAIN:
        return main
    if re.fullmatch(r"\d\d(0[1-9]|1[0-2])", match[2]):
        code = f"{symbol}.{PRODUCTS[match[1]]}"
        return Instrument(code, Kind.FUTURES_CONTRACT, main.market, main.currency)
    return None


def could_be(symbol: str) -> list[Instrument]:
    """What a symbol may mean that is none: a contract with one digit of its year, or the main one.

    Zhengzhou writes TA501 for January of 2015 and of 2025.
    """
    match = re.fullmatch(r"([A-Z]{1,2})(\d+)", symbol, re.ASCII)
    main = main_contract(match[1]) if match else None
    if match is None or main is None:
        return []
    if re.fullmatch(r"\d(0[1-9]|1[0-2])", match[2]):
        contracts = [futures_of(f"{match[1]}{decade}{match[2]}") for decade in "12"]
        return [one for one in contracts if one]
    return [main]
