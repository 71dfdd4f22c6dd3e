"""What holds of every kind of daily bar, with what differs between them handed in.

Here belong checks that shares and funds share. What holds of one of them alone is in `fetched` and
`funds`.
"""

from marketdata_assets.checks.declaring import Check


def units(rounding_of_mean_price: str) -> Check:
    """vol in 手 and amount in 千元, up to what their rounding can move the mean price (in SQL)."""
    return Check(
        "units",
        "amount × 10 / vol, the mean price, lies between low and high: vol is in 手 and amount in "
        "千元.",
        "成交额×10/成交量（均价）在最低与最高价之间，证明单位为手与千元。",
        f"vol > 0 AND (amount * 10 / vol < low - ({rounding_of_mean_price}) "
        f"OR amount * 10 / vol > high + ({rounding_of_mean_price}))",
        ("low", "high", "vol", "amount"),
    )
