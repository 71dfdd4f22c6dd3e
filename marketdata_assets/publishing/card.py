"""The dataset card: README.md of the published repository, generated from `tables`.

`configs` names the parquet files, because one repository with CSV and parquet can't be loaded
without it; `dataset_info.splits` is never written, because a stale one makes loading fail. Sections
that not every dataset has are `card_sections`.

People may edit a card: a marked block and the `configs` are ours, the rest is theirs.
"""

import re

from marketdata_assets.listening import is_simulated
from marketdata_assets.publishing import card_sections, layout
from marketdata_assets.publishing.layout import (
    CALENDAR,
    CALENDAR_CSV,
    CSV,
    MANIFEST,
    MARKER,
    PRICES,
)
from marketdata_assets.publishing.manifest import Manifest
from marketdata_assets.tables import DAILY_PRICES, FINDINGS, SUSPENDED
from marketdata_assets.tables.daily_prices import ORIGINAL

FRONT_MATTER = """\
pretty_name: China A-share daily prices
language:
- zh
- en
license: other
license_name: data-of-their-owners
task_categories:
- time-series-forecasting
- tabular-regression
tags:
- finance
- stocks
- china
- a-share
- time-series
"""
_CONFIG = """\
- config_name: {name}
  data_files:
  - split: train
    path: {path}
"""
_ORIGIN = "| source · 来源 | {} |"
SIMULATION_NOTE = """
> **Simulated data, not a real market.** Every number comes from a simulated exchange.
> **模拟数据，并非真实行情。** 全部数值来自模拟交易所。
"""
OF_A_DAY_ON_THE_HUB = """\
A day is published in one commit, after its checks. A restated day replaces its rows; older
revisions stay in the history of the repository.

每个交易日通过检查后以一次提交发布；修订会替换当日数据，历史版本可在提交记录中查到。"""
OF_A_DAY_IN_A_FOLDER = f"""\
A day is published after its checks; each file changes at once, and `{MANIFEST}` last. A restated
day replaces its rows.

每个交易日通过检查后发布；每个文件整体替换，`{MANIFEST}` 最后更新；修订会替换当日数据。"""

BEGIN = "<!-- marketdata: begin -->"
END = "<!-- marketdata: end -->"
NOTE = """\
<!-- Each publication writes anew what stands between these marks; before and after it is yours.
每次发布会重写标记之间的内容；标记前后可自由编辑。 -->"""
# Until there were marks, all of a card was ours: so it began, and so it ended.
_UNMARKED = re.compile(
    r"\A---\npretty_name: China A-share daily prices\n.*数据版权归原始提供方所有[^\n]*\n\Z",
    re.DOTALL,
)
_BLOCK = re.compile(rf"{re.escape(BEGIN)}(?:(?!{re.escape(BEGIN)}).)*?{re.escape(END)}", re.DOTALL)
_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
# Fields that say which files are loaded and what is in them: of other files they make loading fail.
_OF_FILES = re.compile(r"(configs|dataset_info)\s*:")


def dataset_card(manifest: Manifest, repository: str) -> tuple[str, str, str]:
    """The card of the dataset that the manifest describes; the same content makes the same text.

    Its front matter, the `configs` of that, and the text. `repository` is its name on the Hub;
    without one the dataset is the folder around the card.
    """
    configs = {"default": PRICES}
    if any(facts.rows for facts in manifest.suspended.values()):
        configs["suspended"] = layout.SUSPENDED
    lines = [_CONFIG.format(name=name, path=path) for name, path in configs.items()]
    return FRONT_MATTER, f"configs:\n{''.join(lines)}", _text(manifest, repository)


def origin_on(card: bytes) -> str:
    """Where the rows of a dataset come from, as its card tells; empty where it is none of ours."""
    pattern = re.escape(_ORIGIN).replace(r"\{\}", "(.+)")
    found = re.search(f"^{pattern}\r?$", card.decode("utf-8", "replace"), re.MULTILINE)
    return found[1] if found else ""


def _text(manifest: Manifest, repository: str) -> str:
    named, place, of_a_day = f'"parquet", data_files="{PRICES}"', ".", OF_A_DAY_IN_A_FOLDER
    if repository:
        named, place = f'"{repository}"', f"hf://datasets/{repository}"
        of_a_day = OF_A_DAY_ON_THE_HUB
    note = SIMULATION_NOTE if is_simulated(manifest.origin) else ""
    universe = manifest.universe or "all boards"
    year = manifest.last.year if manifest.last else "<year>"
    columns, columns_zh = f"the first {len(ORIGINAL)} columns", f"前 {len(ORIGINAL)} 个字段"
    if manifest.csv_all_columns:
        columns, columns_zh = "all columns", "全部字段"
    csv_line = (
        f"| `{CSV}` | universe `{universe}`, {columns}, sorted by date and code · "
        f"股票池 `{universe}`，{columns_zh}，按日期、代码排序 |\n"
        if CSV in manifest.files
        else ""
    )
    findings_line = suspended_line = ""
    if any(map(layout.is_findings, manifest.files)):
        findings_line = f"| `{layout.FINDINGS}` | {FINDINGS.doc} · {FINDINGS.doc_zh} |\n"
    if manifest.suspended:
        name = layout.SUSPENDED.replace("*", "<year>")
        suspended_line = f"| `{name}` | {SUSPENDED.doc} · {SUSPENDED.doc_zh} |\n"
    return f"""
# China A-share daily prices · A股日线行情
{note}
{DAILY_PRICES.doc} Unadjusted; every share listed on the day, delisted ones included.

{DAILY_PRICES.doc_zh} 未复权；包含当日在市的全部股票，含其后退市者。

| | |
|---|---|
| first day · 起始 | {manifest.first} |
| last day · 截止 | {manifest.last} |
| complete up to · 完整至 | {manifest.complete_to} |
| rows · 行数 | {manifest.rows:,} |
| trading days missing · 缺失交易日 | {len(manifest.missing)} |
| key · 主键 | {", ".join(DAILY_PRICES.key)} |
| updated · 更新 | every trading evening in Shanghai · 每个交易日晚间（北京时间） |
{_ORIGIN.format(manifest.origin)}

```python
from datasets import load_dataset

prices = load_dataset({named}, split="train")
```

```python
import pandas as pd

prices = pd.read_parquet("{place}/data/prices-{year}.parquet")
```

## Files · 文件

| file | |
|---|---|
| `data/prices-<year>.parquet` | the whole market, a year a file · 全市场，每年一个文件 |
{suspended_line}{csv_line}| `{CALENDAR_CSV}`, `{CALENDAR}` | the trading calendar · 交易日历 |
{findings_line}| `{MARKER}` | the last day that is published, YYYYMMDD · 已发布的最后一个交易日 |
| `{MANIFEST}` | hash, rows, dates and checks of every file; every missing day, and why · \
每个文件的哈希、行数、日期与检查结果；缺失的交易日及原因 |

{of_a_day}

## Columns · 字段

| column | type | unit | | 说明 |
|---|---|---|---|---|
{chr(10).join(map(card_sections.row_of, DAILY_PRICES.columns))}
{card_sections.of(manifest, place, repository)}
## Licence and source · 许可与来源

The data belong to their owners and are given for study; see the terms of the source. No
investment advice.

数据版权归原始提供方所有，仅供学习研究，使用须遵守来源条款；不构成投资建议。
"""


def with_block(card: bytes, front: str, configs: str, block: str) -> bytes:
    """The published `card` with our `block` and our `configs`; without a card a new one.

    `front` are the other fields that a new card begins with. A card that has no marks, and is
    not one of ours from before there were marks, keeps all of its text and gets the block at its
    end.
    """
    # What is no UTF-8 stays as it is.
    before = card.decode("utf-8", "surrogateescape")
    if _UNMARKED.match(before) and BEGIN not in before:
        before = ""
    marked = f"{BEGIN}\n{NOTE}\n\n{block.strip()}\n\n{END}"
    found = _FRONT.match(before)
    fields, text = (found[1], before[found.end() :]) if found else (front, before)
    after = f"---\n{_without_files(fields)}{configs}---\n{_with(marked, text)}"
    return after.encode("utf-8", "surrogateescape")


def _with(marked: str, text: str) -> str:
    """The text with the block in the place of its first one, and no other; or at its end."""
    first = _BLOCK.search(text)
    if not first:
        return f"{text.rstrip()}\n\n{marked}\n" if text.strip() else f"\n{marked}\n"
    after, cut = text[first.end() :], 1
    # Marks around a block that goes would make another one.
    while cut:
        after, cut = _BLOCK.subn("", after)
    return f"{text[: first.start()]}{marked}{after}"


def _without_files(fields: str) -> str:
    kept, is_ours = [], False
    for line in fields.splitlines(keepends=True):
        if re.match(r"[^\s#-]", line):
            is_ours = bool(_OF_FILES.match(line))
        if not is_ours or line.startswith("#"):
            kept.append(line)
    return "".join(kept)
