"""The dataset card: README.md of the published repository, generated from `tables`.

`configs` names the parquet files, because one repository with CSV and parquet can't be loaded
without it; `dataset_info.splits` is never written, because a stale one makes loading fail.
"""

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.layout import (
    CALENDAR,
    CALENDAR_CSV,
    CSV,
    MANIFEST,
    MARKER,
    SHARDS,
)
from marketdata_assets.publishing.manifest import Manifest
from marketdata_assets.tables import DAILY_PRICES, FINDINGS, Column
from marketdata_assets.tables.daily_prices import ADDED, ORIGINAL

SIMULATED = "sandbox"
FRONT_MATTER = f"""\
---
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
configs:
- config_name: default
  data_files:
  - split: train
    path: {SHARDS}
---
"""
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
FINDINGS_NOTE = """
## Findings · 检查结果

What the checks found is told, and nothing is mended. `{path}` has a row for each share, day and
check (`ts_code` is empty where a whole answer is meant), with what the row says (`seen`) and what
must hold (`expected`); `outcome` is one of

- `refused`: the vendor's answer contradicts itself, and the day of that table was not taken; a day
  without prices is a missing session, and the manifest names the check
- `held`: the row is known and left out of the prices until it is mended or explained
- `flagged`: the row is in the prices; look at it before you rely on it
- `excused`: it looked wrong, somebody has checked it, and `reason` says why it is right

检查发现的问题如实列出，数据不作修改。`{path}` 按股票、日期、检查项逐行记录（`ts_code` 为空表示整份
数据），`seen` 为实际值，`expected` 为应满足的条件；`outcome` 取值如下：

- `refused`（拒收）：供应商的数据自相矛盾，该表当日未收录；无行情的交易日记为缺失，清单中写明检查项
- `held`（扣留）：该行在修正或得到解释之前不进入行情
- `flagged`（标记）：该行已在行情中，使用前请核对
- `excused`（豁免）：看似有误，经人工核实无误，原因见 `reason`

```python
findings = pd.read_parquet("{place}/{example}")
prices.merge(findings, left_on=["date", "code"], right_on=["trade_date", "ts_code"])
```
"""
ADJUSTING_NOTE = """
## Adjusting · 复权

Prices are unadjusted. Backward (hfq) is price × `adj_factor`; forward (qfq) divides that by the
last factor of the share among the rows at hand, so all years belong together.

价格未复权。后复权 = 价格 × `adj_factor`；前复权再除以所取数据中该股的最后一个因子，
因此应读入全部年份。

```python
prices["close_hfq"] = prices["close"] * prices["adj_factor"]
prices["close_qfq"] = prices["close_hfq"] / prices.groupby("code")["adj_factor"].transform("last")
```

```sql
SELECT *, close * adj_factor AS close_hfq,
    close_hfq / arg_max(adj_factor, date) OVER (PARTITION BY code) AS close_qfq
FROM '{place}/data/*.parquet'
```

`{added}` are NULL on days that were published before the dataset had them. `is_st` is NULL, too,
where the name of the day is not known.

`{added}` 在增加该字段之前发布的交易日为空；当日简称未知时 `is_st` 亦为空。
"""


def dataset_card(manifest: Manifest, repository: str) -> bytes:
    """The card of the dataset that the manifest describes; the same content makes the same text.

    `repository` is its name on the Hub; without one the dataset is the folder around the card.
    """
    named, place, of_a_day = f'"parquet", data_files="{SHARDS}"', ".", OF_A_DAY_IN_A_FOLDER
    if repository:
        named, place = f'"{repository}"', f"hf://datasets/{repository}"
        of_a_day = OF_A_DAY_ON_THE_HUB
    note = SIMULATION_NOTE if manifest.origin.startswith(SIMULATED) else ""
    universe = manifest.universe or "all boards"
    year = manifest.last.year if manifest.last else "<year>"
    missing = len(manifest.missing_sessions)
    columns, columns_zh = f"the first {len(ORIGINAL)} columns", f"前 {len(ORIGINAL)} 个字段"
    if manifest.csv_all_columns:
        columns, columns_zh = "all columns", "全部字段"
    csv_line = (
        f"| `{CSV}` | universe `{universe}`, {columns}, sorted by date and code · "
        f"股票池 `{universe}`，{columns_zh}，按日期、代码排序 |\n"
        if CSV in manifest.files
        else ""
    )
    files_of_findings = sorted(path for path in manifest.files if layout.is_findings(path))
    findings_line, findings_note = "", ""
    if files_of_findings:
        findings_line = f"| `{layout.FINDINGS}` | {FINDINGS.doc} · {FINDINGS.doc_zh} |\n"
        findings_note = FINDINGS_NOTE.format(
            path=layout.FINDINGS, place=place, example=files_of_findings[-1]
        )
    adjusting_note = ADJUSTING_NOTE.format(
        place=place, added="`, `".join(merged.column.name for merged in ADDED)
    )
    text = f"""{FRONT_MATTER}
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
| trading days missing · 缺失交易日 | {missing} |
| key · 主键 | {", ".join(DAILY_PRICES.key)} |
| updated · 更新 | every trading evening in Shanghai · 每个交易日晚间（北京时间） |
| source · 来源 | {manifest.origin} |

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
{csv_line}| `{CALENDAR_CSV}`, `{CALENDAR}` | the trading calendar · 交易日历 |
{findings_line}| `{MARKER}` | the last day that is published, YYYYMMDD · 已发布的最后一个交易日 |
| `{MANIFEST}` | hash, rows, dates and checks of every file; every missing day, and why · \
每个文件的哈希、行数、日期与检查结果；缺失的交易日及原因 |

{of_a_day}

## Columns · 字段

| column | type | unit | | 说明 |
|---|---|---|---|---|
{chr(10).join(map(_row, DAILY_PRICES.columns))}
{adjusting_note}{findings_note}
## Licence and source · 许可与来源

The data belong to their owners and are given for study; see the terms of the source. No
investment advice.

数据版权归原始提供方所有，仅供学习研究，使用须遵守来源条款；不构成投资建议。
"""
    return text.encode()


def _row(column: Column) -> str:
    return f"| `{column.name}` | {column.type} | {column.unit} | {column.doc} | {column.doc_zh} |"
