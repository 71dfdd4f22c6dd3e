import pytest

from marketdata_assets.tables import DAILY_PRICES, STORED_TABLES, Table
from marketdata_assets.tables.daily_prices import ORIGINAL_COLUMNS

PUBLISHED = """
    code date open high low close prev_close quote_rate volume turnover high_limit low_limit
    turnover_rate turnover_rate_f volume_ratio pe pe_ttm pb ps ps_ttm dv_ratio dv_ttm
    total_share float_share free_share total_mv circ_mv
    name area industry market exchange list_date
"""
ADDED = "avg_price adj_factor is_st"


def test_the_merged_prices_have_exactly_the_published_columns() -> None:
    assert list(ORIGINAL_COLUMNS) == PUBLISHED.split()
    assert DAILY_PRICES.column_names == [*PUBLISHED.split(), *ADDED.split()]


@pytest.mark.parametrize("table", STORED_TABLES.values(), ids=lambda table: table.name)
def test_every_table_is_fully_declared(table: Table) -> None:
    names = table.column_names
    assert len(set(names)) == len(names)
    assert table.doc
    assert table.doc_zh
    assert all(column.doc and column.doc_zh for column in table.columns)
    assert table.date_column is None or table.date_column in table.key


def test_hardly_anything_may_be_null_in_a_key() -> None:
    nullable = {
        (table.name, name)
        for table in STORED_TABLES.values()
        for name in table.key
        if table[name].nullable
    }
    assert nullable == {("suspensions", "suspend_timing"), ("dividends", "end_date")}


def test_every_number_has_a_unit_of_a_few_words() -> None:
    numbers = [
        column
        for table in STORED_TABLES.values()
        for column in table.columns
        if str(column.type) == "double"
    ]
    assert numbers
    assert all(1 <= len(column.unit) <= 50 for column in numbers)


def test_a_computed_table_has_no_call() -> None:
    with pytest.raises(LookupError, match="computed"):
        _ = DAILY_PRICES.tushare
