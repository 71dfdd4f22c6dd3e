"""What holds of every kind of daily bar, with what differs between them handed in.

Here belong checks that shares and funds share. What holds of one of them alone is in `stocks` and
`funds`.
"""

from marketdata_assets.tables.checking import Check, Mass, Outcome

PRICES = ("open", "high", "low", "close", "pre_close")
# On real sessions hardly a row is wrong: an answer that has lost a unit or a column has thousands.
MANY_BARS = Mass(0.01, 20)


def values_present(others: tuple[str, ...]) -> tuple[Check, Check]:
    """A close in every bar, and the `others`, which a bar may lack for a good reason of its own."""
    return (
        Check(
            "close_present",
            "Every bar has a close. It has none either where the vendor's rows contradict each "
            "other.",
            "每条日线都有收盘价;供应商同一主键多行相互矛盾时亦视为缺失。",
            "close IS NULL",
            ("open", "high", "low", "pre_close", "vol", "amount"),
            outcome=Outcome.HELD,
            mass=MANY_BARS,
        ),
        Check(
            "values_present",
            "What a bar tells besides its close is there.",
            "日线除收盘价外的各字段齐全。",
            f"close IS NOT NULL AND ({' OR '.join(f'{name} IS NULL' for name in others)})",
            others,
            mass=Mass(0.05, 50),
        ),
    )


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
        outcome=Outcome.HELD,
        mass=MANY_BARS,
    )
