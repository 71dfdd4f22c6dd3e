"""The dataset card: README.md of the published repository, generated from `tables`.

`configs` names the parquet files, because one repository with CSV and parquet can't be loaded
without it; `dataset_info.splits` is never written, because a stale one makes loading fail.
"""

from marketdata_assets.publishing.layout import CALENDAR, CALENDAR_CSV, CSV, MANIFEST, SHARDS
from marketdata_assets.publishing.manifest import Manifest
from marketdata_assets.tables import DAILY_PRICES, Column

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


def dataset_card(manifest: Manifest, repository: str) -> bytes:
    """The card of the dataset that the manifest describes; the same content makes the same text."""
    note = SIMULATION_NOTE if manifest.origin.startswith(SIMULATED) else ""
    universe = manifest.universe or "all boards"
    year = manifest.last.year if manifest.last else "<year>"
    missing = len(manifest.missing_sessions)
    csv_line = (
        f"| `{CSV}` | universe `{universe}`, sorted by date and code · 股票池 `{universe}`，"
        "按日期、代码排序 |\n"
        if CSV in manifest.files
        else ""
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
| updated · 更新 | trading days, about 21:00 Shanghai · 每个交易日约 21:00（北京时间） |
| source · 来源 | {manifest.origin} |

```python
from datasets import load_dataset

prices = load_dataset("{repository}", split="train")
```

```python
import pandas as pd

folder = "hf://datasets/{repository}/data"
prices = pd.read_parquet(f"{{folder}}/prices-{year}.parquet")
```

## Files · 文件

| file | |
|---|---|
| `data/prices-<year>.parquet` | the whole market, a year a file · 全市场，每年一个文件 |
{csv_line}| `{CALENDAR_CSV}`, `{CALENDAR}` | the trading calendar · 交易日历 |
| `.last_update_date` | the day up to which none is missing, YYYYMMDD · 此日及之前无缺失 |
| `{MANIFEST}` | hash, rows, dates and checks of every file · 每个文件的哈希、行数、日期与检查结果 |

A day is published in one commit, after its checks. A restated day replaces its rows; older
revisions stay in the history of the repository.

每个交易日通过检查后以一次提交发布；修订会替换当日数据，历史版本可在提交记录中查到。

## Columns · 字段

| column | type | unit | | 说明 |
|---|---|---|---|---|
{chr(10).join(map(_row, DAILY_PRICES.columns))}

## Licence and source · 许可与来源

The data belong to their owners and are given for study; see the terms of the source. No
investment advice.

数据版权归原始提供方所有，仅供学习研究，使用须遵守来源条款；不构成投资建议。
"""
    return text.encode()


def _row(column: Column) -> str:
    return f"| `{column.name}` | {column.type} | {column.unit} | {column.doc} | {column.doc_zh} |"
