"""Every table once: its columns, types, units, key, source and first day, in two languages.

Here belong declarations only; they drive the casting of answers, the storage, the column schemas
in Dagster's UI and the comments in the catalog. How a table is fetched, computed or stored
belongs to `resources`, `assets` and `storage`.

Units are the vendor's (Tushare Pro documentation of each call): 手 is 100 shares, 千元 a thousand
yuan, 万股 ten thousand shares, 万元 ten thousand yuan.
"""

import datetime as dt
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from marketdata_assets.trading_calendar import FIRST_SESSION


@dataclass(frozen=True)
class Column:
    name: str
    type: pa.DataType
    unit: str
    doc: str
    doc_zh: str
    nullable: bool = True

    def renamed(self, name: str) -> "Column":
        return replace(self, name=name)

    @property
    def description(self) -> str:
        """One line for people: both languages and the unit."""
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.doc}{unit} · {self.doc_zh}"


@dataclass(frozen=True)
class Source:
    """A Tushare call: its name, the rows after which an answer is cut, and a safe page size.

    `page_size` is given only where paging is exact; the other calls are split by code.
    """

    call: str
    row_cap: int
    page_size: int | None = None


@dataclass(frozen=True)
class Table:
    name: str
    doc: str
    doc_zh: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    date_column: str | None = None
    first_date: dt.date = FIRST_SESSION
    source: Source | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.type, nullable=c.nullable) for c in self.columns])

    @cached_property
    def column_names(self) -> list[str]:
        return [c.name for c in self.columns]

    def __getitem__(self, column: str) -> Column:
        return next(c for c in self.columns if c.name == column)

    @property
    def tushare(self) -> Source:
        """The source of a table that is fetched. Raises `LookupError` for a computed one."""
        if self.source is None:
            raise LookupError(f"{self.name} is computed from other tables, not fetched")
        return self.source

    def repeated_keys(self, data: pa.Table) -> list[str]:
        """The keys that occur more than once in `data`, as text; empty when all is well."""
        counted = data.group_by(list(self.key)).aggregate([([], "count_all")])
        repeated = counted.filter(pc.greater(counted["count_all"], 1)).select(list(self.key))
        return [" ".join(map(str, row.values())) for row in repeated.to_pylist()]

    @property
    def description(self) -> str:
        """Both languages, the key and the source, as shown in the UI and in the catalog."""
        source = f" Source: Tushare `{self.source.call}`." if self.source else ""
        return f"{self.doc} Key: {', '.join(self.key)}.{source}\n\n{self.doc_zh}"


YUAN = "yuan"
LOTS = "手, 100 shares"
THOUSAND_YUAN = "千元, 1,000 yuan"
TEN_THOUSAND_SHARES = "万股, 10,000 shares"
TEN_THOUSAND_YUAN = "万元, 10,000 yuan"
PERCENT = "%"


def _text(name: str, doc: str, doc_zh: str, nullable: bool = True) -> Column:
    return Column(name, pa.string(), "", doc, doc_zh, nullable)


def _day(name: str, doc: str, doc_zh: str, nullable: bool = True) -> Column:
    return Column(name, pa.date32(), "", doc, doc_zh, nullable)


def _number(name: str, unit: str, doc: str, doc_zh: str, nullable: bool = True) -> Column:
    return Column(name, pa.float64(), unit, doc, doc_zh, nullable)


TS_CODE = _text("ts_code", "code with exchange suffix, 600000.SH", "带交易所后缀的代码", False)
TRADE_DATE = _day("trade_date", "trading day", "交易日", False)

TRADE_CALENDAR = Table(
    name="trade_calendar",
    doc="Open and closed days of the Shanghai exchange as the vendor publishes them.",
    doc_zh="上交所交易日历(供应商口径)。",
    key=("cal_date",),
    columns=(
        _text("exchange", "exchange", "交易所", False),
        _day("cal_date", "calendar day", "自然日", False),
        Column("is_open", pa.int8(), "", "1 on a trading day, else 0", "是否交易", False),
        _day("pretrade_date", "previous trading day", "上一个交易日"),
    ),
    source=Source("trade_cal", row_cap=13_000),
)

STOCK_BASIC = Table(
    name="stock_basic",
    doc="Every A-share ever listed, as the vendor knows it at the moment of the call.",
    doc_zh="全部A股(含退市、暂停上市)的基础信息,为调用时刻的口径。",
    key=("ts_code",),
    columns=(
        TS_CODE,
        _text("symbol", "code without suffix", "代码", False),
        _text("name", "short name, with ST marks of its day", "证券简称", False),
        _text("area", "region of the company", "地域"),
        _text("industry", "industry, the vendor's classes", "所属行业"),
        _text("market", "board: 主板, 创业板, 科创板, 北交所, CDR", "市场类型"),
        _text("exchange", "SSE, SZSE or BSE", "交易所", False),
        _text("list_status", "L listed, D delisted, P paused", "上市状态", False),
        _day("list_date", "first trading day", "上市日期", False),
        _day("delist_date", "day of delisting", "退市日期"),
    ),
    source=Source("stock_basic", row_cap=6_000),
)

STOCK_LIST = Table(
    name="stock_list",
    doc="The A-shares listed on the day, by listing and delisting date (no survivorship bias).",
    doc_zh="当日在市的全部A股,按上市与退市日期还原,无幸存者偏差。",
    key=("trade_date", "ts_code"),
    columns=(
        TRADE_DATE,
        *(c for c in STOCK_BASIC.columns if c.name not in ("list_status", "delist_date")),
        _day(
            "names_as_of",
            "day on which name, area, industry and market were known",
            "名称、地域、行业、市场的获知日期",
            False,
        ),
    ),
    date_column="trade_date",
    source=STOCK_BASIC.source,
)

DAILY_KLINE = Table(
    name="daily_kline",
    doc="Unadjusted daily bars of every A-share that traded on the day.",
    doc_zh="当日有成交的全部A股未复权日线。",
    key=("trade_date", "ts_code"),
    columns=(
        TS_CODE,
        TRADE_DATE,
        _number("open", YUAN, "first price", "开盘价", False),
        _number("high", YUAN, "highest price", "最高价", False),
        _number("low", YUAN, "lowest price", "最低价", False),
        _number("close", YUAN, "last price", "收盘价", False),
        _number("pre_close", YUAN, "previous close, adjusted on ex-dates", "除权昨收价", False),
        _number("change", YUAN, "close minus pre_close", "涨跌额", False),
        _number("pct_chg", PERCENT, "change over pre_close", "涨跌幅", False),
        _number("vol", LOTS, "traded volume", "成交量", False),
        _number("amount", THOUSAND_YUAN, "traded value", "成交额", False),
    ),
    date_column="trade_date",
    source=Source("daily", row_cap=6_000),
)

PRICE_LIMITS = Table(
    name="price_limits",
    doc="Upper and lower price limits of the day, funds and B shares included.",
    doc_zh="当日涨跌停价格,含基金与B股。",
    key=("trade_date", "ts_code"),
    columns=(
        TRADE_DATE,
        TS_CODE,
        _number("up_limit", YUAN, "upper limit; 99999.99 and above means none", "涨停价", False),
        _number("down_limit", YUAN, "lower limit; 0.01 and below means none", "跌停价", False),
    ),
    date_column="trade_date",
    first_date=dt.date(2007, 1, 4),
    source=Source("stk_limit", row_cap=5_800, page_size=4_000),
)

DAILY_BASIC = Table(
    name="daily_basic",
    doc="Turnover, valuation and share counts of the day (no Beijing shares before 2024).",
    doc_zh="当日换手、估值与股本指标(2024年前无北交所)。",
    key=("trade_date", "ts_code"),
    columns=(
        TS_CODE,
        TRADE_DATE,
        _number("close", YUAN, "last price", "收盘价", False),
        _number("turnover_rate", PERCENT, "volume over float shares", "换手率"),
        _number("turnover_rate_f", PERCENT, "volume over free-float shares", "换手率(自由流通)"),
        _number("volume_ratio", "ratio", "volume over its five-day mean", "量比"),
        _number("pe", "ratio", "price over earnings; NULL on a loss", "市盈率"),
        _number("pe_ttm", "ratio", "price over trailing earnings", "滚动市盈率"),
        _number("pb", "ratio", "price over book value", "市净率"),
        _number("ps", "ratio", "price over sales", "市销率"),
        _number("ps_ttm", "ratio", "price over trailing sales", "滚动市销率"),
        _number("dv_ratio", PERCENT, "dividend yield", "股息率"),
        _number("dv_ttm", PERCENT, "trailing dividend yield", "滚动股息率"),
        _number("total_share", TEN_THOUSAND_SHARES, "shares issued", "总股本"),
        _number("float_share", TEN_THOUSAND_SHARES, "tradable shares", "流通股本"),
        _number("free_share", TEN_THOUSAND_SHARES, "free-float shares", "自由流通股本"),
        _number("total_mv", TEN_THOUSAND_YUAN, "market value", "总市值"),
        _number("circ_mv", TEN_THOUSAND_YUAN, "tradable market value", "流通市值"),
    ),
    date_column="trade_date",
    source=Source("daily_basic", row_cap=6_000),
)

# Columns of the published dataset and where each comes from: (published name, table, column).
DAILY_PRICES_LINEAGE: tuple[tuple[str, Table, str], ...] = (
    ("code", DAILY_KLINE, "ts_code"),
    ("date", DAILY_KLINE, "trade_date"),
    ("open", DAILY_KLINE, "open"),
    ("high", DAILY_KLINE, "high"),
    ("low", DAILY_KLINE, "low"),
    ("close", DAILY_KLINE, "close"),
    ("prev_close", DAILY_KLINE, "pre_close"),
    ("quote_rate", DAILY_KLINE, "pct_chg"),
    ("volume", DAILY_KLINE, "vol"),
    ("turnover", DAILY_KLINE, "amount"),
    ("high_limit", PRICE_LIMITS, "up_limit"),
    ("low_limit", PRICE_LIMITS, "down_limit"),
    *((c.name, DAILY_BASIC, c.name) for c in DAILY_BASIC.columns[3:]),
    ("name", STOCK_LIST, "name"),
    ("area", STOCK_LIST, "area"),
    ("industry", STOCK_LIST, "industry"),
    ("market", STOCK_LIST, "market"),
    ("exchange", STOCK_LIST, "exchange"),
    ("list_date", STOCK_LIST, "list_date"),
)

DAILY_PRICES = Table(
    name="daily_prices",
    doc="Bars, limits, indicators and names of the day in one row a share, as published.",
    doc_zh="每股一行的合并行情:日线、涨跌停、指标与名称,即对外发布的口径。",
    key=("date", "code"),
    columns=tuple(
        # Only the kline is the spine: what is joined to it may be missing.
        replace(
            table[column], name=name, nullable=table is not DAILY_KLINE or table[column].nullable
        )
        for name, table, column in DAILY_PRICES_LINEAGE
    ),
    date_column="date",
)

STORED_TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        TRADE_CALENDAR,
        STOCK_LIST,
        DAILY_KLINE,
        PRICE_LIMITS,
        DAILY_BASIC,
        DAILY_PRICES,
    )
}
