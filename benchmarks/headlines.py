"""The figures that the documentation shows: a line each, from the tables of one benchmark.

Here belongs what a line says, in both languages, and which cells it takes. How figures are kept and
put into the pages is `figures`.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

# A row by how it begins, the first one where that is empty, and its column. A number in place of
# the column: that one of the title which begins so.
Place: TypeAlias = tuple[str, str | int]
# What is measured, this platform, what it stands beside.
Texts: TypeAlias = tuple[str, str, str]


class Headline(NamedTuple):
    """`ratio` names the cell that is divided, and the one by which."""

    name: str
    benchmark: str
    cells: Mapping[str, Place]
    en: Texts
    zh: Texts
    ratio: tuple[str, str] | None = None
    is_in_readme: bool = False


ONE, FIFTY = "one code × 10 years", "50 codes × 1 year"
ORIGINAL = "the original's way, JSON"
BY_DAY, BY_STOCK = "by day: this platform", "by stock: the original"

HEADLINES = (
    Headline(
        "first_minute",
        "first_minute",
        {"all": ("all of it", "seconds"), "demo": ("make demo", "seconds")},
        (
            "clone, set-up with packages at hand, demo of 20 days, the first prices from the API",
            "{all} s, of which the demo {demo} s",
            "",
        ),
        (
            "克隆、安装（软件包已有缓存）、20 日演示、接口返回第一段行情",
            "{all} 秒，其中演示 {demo} 秒",
            "",
        ),
        is_in_readme=True,
    ),
    Headline(
        "allowance",
        "allowance",
        {
            "used": ("", "calls used"),
            "allowed": ("", "calls allowed"),
            "refused": ("", "refused (40203)"),
        },
        (
            "calls used of those allowed: 200 a minute, 2 s a call, two processes",
            "{used} of {allowed}, refused: {refused}",
            "",
        ),
        (
            "额度利用：每分钟 200 次、每次 2 秒、两个进程",
            "{allowed} 次中用了 {used} 次，被拒 {refused} 次",
            "",
        ),
        ("used", "allowed"),
    ),
    Headline(
        "calls_of_all_sessions",
        "calls",
        {
            "calls": ("calls", "planned"),
            "minutes": ("minutes at 200", "planned"),
            "by_day": ("calls", "day by day"),
            "minutes_by_day": ("minutes at 200", "day by day"),
        },
        (
            "calls for all sessions since 2005, nine tables of shares",
            "{calls}: {minutes} min at 200/min",
            "day by day: {by_day}, {minutes_by_day} min",
        ),
        (
            "2005 年以来全部交易日、九张股票表所需调用",
            "{calls} 次：每分钟 200 次时 {minutes} 分钟",
            "逐日请求：{by_day} 次，{minutes_by_day} 分钟",
        ),
        ("by_day", "calls"),
    ),
    Headline(
        "calls_of_a_year",
        "per_stock",
        {
            "calls": (BY_DAY, "calls for a year"),
            "minutes": (BY_DAY, "minutes at 200/min"),
            "by_stock": (BY_STOCK, "calls for a year"),
            "minutes_by_stock": (BY_STOCK, "minutes at 200/min"),
        },
        (
            "calls for a year of the whole market",
            "{calls}: {minutes} min at 200/min",
            "stock by stock, as the original pipeline asks: {by_stock}, {minutes_by_stock} min",
        ),
        (
            "全市场一年所需调用",
            "{calls} 次：每分钟 200 次时 {minutes} 分钟",
            "原流程逐股请求：{by_stock} 次，{minutes_by_stock} 分钟",
        ),
        ("by_stock", "calls"),
        is_in_readme=True,
    ),
    Headline(
        "by_day_or_by_stock",
        "per_stock",
        {"by_day": (BY_DAY, "seconds"), "by_stock": (BY_STOCK, "seconds")},
        (
            "300 stocks × 58 days from loopback, no rate limit",
            "{by_day} s: nine assets, every check",
            "the same, stock by stock into one CSV, unchecked: {by_stock} s",
        ),
        (
            "300 只股票 × 58 天，本机服务器，不限速",
            "{by_day} 秒：九个资产，含全部检查",
            "逐股写入同一 CSV，不检查：{by_stock} 秒",
        ),
        ("by_stock", "by_day"),
    ),
    Headline(
        "one_more_day",
        "year",
        {
            "seconds": ("this platform", "seconds"),
            "memory": ("this platform", "peak MB"),
            "csv": ("the original's way", "seconds"),
            "csv_memory": ("the original's way", "peak MB"),
        },
        (
            "one more day of all daily assets: fetched, proved, merged, recorded",
            "{seconds} s, {memory} MB",
            "one CSV of a year read and written again: {csv} s, {csv_memory} MB",
        ),
        (
            "新增一天（全部每日资产）：获取、检查、合并、记录",
            "{seconds} 秒，{memory} MB",
            "读入并重写一年的 CSV：{csv} 秒，{csv_memory} MB",
        ),
        ("csv", "seconds"),
    ),
    Headline(
        "year",
        "year",
        {
            "partitions": ("a year from the sandbox", 0),
            "rows": ("a year from the sandbox", 1),
            "seconds": ("", "seconds"),
            "memory": ("", "peak MB"),
            "disk": ("", "lake MB"),
        },
        (
            "a year from the sandbox: {partitions} partitions, {rows} merged rows",
            "{seconds} s, peak {memory} MB, {disk} MB on disk",
            "",
        ),
        (
            "模拟交易所一年：{partitions} 个分区，{rows} 行合并行情",
            "{seconds} 秒，峰值 {memory} MB，磁盘 {disk} MB",
            "",
        ),
    ),
    Headline(
        "run_history",
        "history",
        {
            "year": ("a year of evenings", "at most"),
            "twenty": ("twenty years backfilled", "at most"),
            "later": ("… once old", "at most"),
        },
        (
            "run history on disk: a year of evenings; twenty years backfilled at once",
            "{year} MB; {twenty} MB at most, {later} MB two weeks later",
            "",
        ),
        (
            "运行历史占用磁盘：一年的每晚运行；一次回填二十年",
            "{year} MB；至多 {twenty} MB，两周后 {later} MB",
            "",
        ),
    ),
    Headline(
        "checks",
        "checks",
        {
            "day": ("one day", "seconds"),
            "day_memory": ("one day", "peak MB"),
            "year": ("a year", "seconds"),
            "year_memory": ("a year", "peak MB"),
        },
        (
            "all checks of all tables: one day; a year",
            "{day} s, {day_memory} MB; {year} s, {year_memory} MB",
            "",
        ),
        (
            "所有表的全部检查：一天；一年",
            "{day} 秒，{day_memory} MB；{year} 秒，{year_memory} MB",
            "",
        ),
    ),
    Headline(
        "publishing",
        "publishing",
        {
            "years": ("one more day onto", 0),
            "seconds": ("this platform", "seconds"),
            "memory": ("this platform", "peak MB"),
            "theirs": ("the original", "seconds"),
            "their_memory": ("the original", "peak MB"),
        },
        (
            "one more day published onto {years} years",
            "{seconds} s, {memory} MB",
            "download, pandas, upload: {theirs} s, {their_memory} MB",
        ),
        (
            "在 {years} 年的数据集上再发布一天",
            "{seconds} 秒，{memory} MB",
            "下载、pandas、上传：{theirs} 秒，{their_memory} MB",
        ),
        ("theirs", "seconds"),
        is_in_readme=True,
    ),
    Headline(
        "imports",
        "imports",
        {
            "ours": ("import marketdata_assets.definitions", "seconds"),
            "dagster": ("import dagster", "seconds"),
        },
        ("importing the definitions", "{ours} s", "importing Dagster: {dagster} s"),
        ("导入 definitions", "{ours} 秒", "导入 Dagster：{dagster} 秒"),
        ("ours", "dagster"),
    ),
    Headline(
        "one_code",
        "series",
        {
            "rows": ("refreshing a series", 0),
            "pandas": ("the series, as pandas", ONE),
            "arrow": ("the series, as Arrow", ONE),
            "arcticdb": ("ArcticDB, as pandas", ONE),
        },
        (
            "one code × 10 years out of {rows} rows, 7 columns, as pandas; p50 / p95",
            "{pandas} ms (as Arrow {arrow})",
            "ArcticDB: {arcticdb} ms",
        ),
        (
            "{rows} 行中取一只代码 × 10 年 × 7 列，pandas，p50 / p95",
            "{pandas} 毫秒（Arrow：{arrow}）",
            "ArcticDB：{arcticdb} 毫秒",
        ),
        ("arcticdb", "pandas"),
        is_in_readme=True,
    ),
    Headline(
        "one_code_cached",
        "series",
        {"pandas": ("the series, as pandas", ONE), "theirs": ("the original: cached", ONE)},
        (
            "the same",
            "{pandas} ms",
            "cached records made into a frame, as the original service does: {theirs} ms",
        ),
        ("同上", "{pandas} 毫秒", "缓存的记录还原成表（原服务的做法）：{theirs} 毫秒"),
        ("theirs", "pandas"),
    ),
    Headline(
        "one_code_duckdb",
        "series",
        {"arrow": ("the series, as Arrow", ONE), "duckdb": ("DuckDB over", ONE)},
        ("the same, as Arrow", "{arrow} ms", "DuckDB over the day files: {duckdb} ms"),
        ("同上，Arrow", "{arrow} 毫秒", "DuckDB 扫描每日文件：{duckdb} 毫秒"),
        ("duckdb", "arrow"),
    ),
    Headline(
        "fifty_codes",
        "series",
        {"pandas": ("the series, as pandas", FIFTY), "arcticdb": ("ArcticDB", FIFTY)},
        ("50 codes × 1 year, as pandas", "{pandas} ms", "ArcticDB: {arcticdb} ms"),
        ("50 只 × 1 年，pandas", "{pandas} 毫秒", "ArcticDB：{arcticdb} 毫秒"),
        ("arcticdb", "pandas"),
    ),
    Headline(
        "one_day",
        "series",
        {
            "arrow": ("the series, as Arrow", "one day, all columns"),
            "duckdb": ("DuckDB over", "one day, all columns"),
        },
        (
            "one day, 32 columns, as Arrow",
            "{arrow} ms",
            "DuckDB, from the one day file: {duckdb} ms",
        ),
        ("某一天全部 32 列，Arrow", "{arrow} 毫秒", "DuckDB 读当日单个文件：{duckdb} 毫秒"),
        ("duckdb", "arrow"),
    ),
    Headline(
        "slices_under_a_writer",
        "series",
        {
            "refreshes": ("8 clients for", 2),
            "answers": ("", "answers"),
            "torn": ("", "torn"),
            "taken": ("", "p50 / p95 in ms"),
            "slowest": ("", "slowest"),
        },
        (
            "8 clients slicing for 60 s, {refreshes} refreshes: {answers} answers, torn: {torn}",
            "{taken} ms, slowest {slowest} ms",
            "",
        ),
        (
            "8 个客户端连续切片 60 秒，刷新 {refreshes} 次：{answers} 次回答，残缺 {torn} 次",
            "{taken} 毫秒，最慢 {slowest} 毫秒",
            "",
        ),
    ),
    Headline(
        "http_one_code",
        "api",
        {
            "rows": ("over HTTP", 0),
            "json": ("as JSON", ONE),
            "arrow": ("as Arrow", ONE),
            "theirs": (ORIGINAL, ONE),
        },
        (
            "over HTTP, one code × 10 years out of {rows} rows, as JSON; p50 / p95",
            "{json} ms (as Arrow {arrow})",
            "the original service's way, over the same HTTP: {theirs} ms",
        ),
        (
            "经 HTTP，{rows} 行中取一只代码 × 10 年，JSON，p50 / p95",
            "{json} 毫秒（Arrow：{arrow}）",
            "原服务的做法，同样经 HTTP：{theirs} 毫秒",
        ),
        ("theirs", "json"),
        is_in_readme=True,
    ),
    Headline(
        "http_fifty_codes",
        "api",
        {"json": ("as JSON", FIFTY), "theirs": (ORIGINAL, FIFTY)},
        (
            "over HTTP, 50 codes × 1 year, as JSON",
            "{json} ms",
            "the original service's way: {theirs} ms",
        ),
        ("经 HTTP，50 只 × 1 年，JSON", "{json} 毫秒", "原服务的做法：{theirs} 毫秒"),
        ("theirs", "json"),
    ),
    Headline(
        "http_one_day",
        "api",
        {"json": ("as JSON", "one day"), "arrow": ("as Arrow", "one day")},
        ("over HTTP, one day, 7 columns, as JSON", "{json} ms (as Arrow {arrow})", ""),
        ("经 HTTP，某一天 7 列，JSON", "{json} 毫秒（Arrow：{arrow}）", ""),
    ),
    Headline(
        "http_answers_a_second",
        "api",
        {
            "json": ("as JSON", "answers a second, 8 clients"),
            "arrow": ("as Arrow", "answers a second, 8 clients"),
            "theirs": (ORIGINAL, "answers a second, 8 clients"),
        },
        (
            "answers a second, one code × 10 years, 8 clients, one process",
            "{json} (as Arrow {arrow})",
            "the original service's way: {theirs}",
        ),
        (
            "每秒回答数，单只代码 × 10 年，8 个客户端，一个进程",
            "{json}（Arrow：{arrow}）",
            "原服务的做法：{theirs}",
        ),
        ("json", "theirs"),
    ),
    Headline(
        "http_answers_of_two",
        "api",
        {
            "json": ("as JSON, API_WORKERS=2", "answers a second, 8 clients"),
            "arrow": ("as Arrow, API_WORKERS=2", "answers a second, 8 clients"),
        },
        ("the same, `API_WORKERS=2`", "{json} (as Arrow {arrow})", ""),
        ("同上，`API_WORKERS=2`", "{json}（Arrow：{arrow}）", ""),
    ),
    Headline(
        "http_first_answer",
        "api",
        {"first": ("as JSON", "the first of a process")},
        ("the first answer of a process that listens", "{first} ms", ""),
        ("进程开始监听后的第一次回答", "{first} 毫秒", ""),
    ),
    Headline(
        "http_under_a_writer",
        "api",
        {
            "refreshes": ("", "refreshes"),
            "answers": ("", "answers"),
            "torn": ("", "torn"),
            "taken": ("", "p50 / p95 in ms"),
            "slowest": ("", "slowest"),
        },
        (
            "8 clients over HTTP for 60 s, {refreshes} refreshes: {answers} answers, torn: {torn}",
            "{taken} ms, slowest {slowest} ms",
            "",
        ),
        (
            "8 个客户端经 HTTP 连续 60 秒，刷新 {refreshes} 次：{answers} 次回答，残缺 {torn} 次",
            "{taken} 毫秒，最慢 {slowest} 毫秒",
            "",
        ),
    ),
    Headline(
        "series_one_new_day",
        "series",
        {"seconds": ("one new day", "seconds"), "memory": ("one new day", "peak MB")},
        ("the series after one new day", "{seconds} s, {memory} MB", ""),
        ("新增一天后刷新", "{seconds} 秒，{memory} MB", ""),
    ),
    Headline(
        "series_old_day",
        "series",
        {"seconds": ("one old day", "seconds"), "memory": ("one old day", "peak MB")},
        (
            "the series after an old day was rewritten, or the 21st new one",
            "{seconds} s, {memory} MB",
            "",
        ),
        ("旧的一天被改写，或第 21 个新日之后刷新", "{seconds} 秒，{memory} MB", ""),
    ),
    Headline(
        "series_from_nothing",
        "series",
        {
            "seconds": ("rebuilt", "seconds"),
            "memory": ("rebuilt", "peak MB"),
            "disk": ("rebuilt", "MB written"),
        },
        ("the series from nothing", "{seconds} s, {memory} MB, {disk} MB on disk", ""),
        ("从头重建", "{seconds} 秒，{memory} MB，磁盘 {disk} MB", ""),
    ),
)
