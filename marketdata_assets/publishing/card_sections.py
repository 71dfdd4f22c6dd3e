"""The sections of the dataset card that stand there where a dataset has what they tell of.

Here belongs their text, in two languages, with programs that run as they are. The card around
them is `card`.
"""

from marketdata_assets.publishing import layout
from marketdata_assets.publishing.adoption import IN_CHINESE
from marketdata_assets.publishing.manifest import Manifest, spans
from marketdata_assets.tables import SUSPENDED, Column
from marketdata_assets.tables.daily_prices import ADDED

STRETCHES_SHOWN = 30
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
FROM '{place}/data/prices-*.parquet'
```

`{added}` are NULL on days that were published before the dataset had them. `is_st` is NULL, too,
where the name of the day is not known.

`{added}` 在增加该字段之前发布的交易日为空；当日简称未知时 `is_st` 亦为空。
"""
SUSPENDED_NOTE = """
## Suspended shares · 停牌

A share that is halted has no bar, and no row among the prices. `{path}` has every listed
share without a bar, and those that were halted for a part of the day:

停牌股票无行情，不在行情数据中。`{path}` 列出当日在市而无行情及盘中停牌的股票：

| column | type | unit | | 说明 |
|---|---|---|---|---|
{columns}

With them every listed share has a row a day, and `is_paused`, which is NULL where a bar is missing:

合并后每只在市股票每日一行，并有 `is_paused`；行情缺失者为空：

```python
suspended = pd.read_parquet("{place}/{example}")
whole = prices.merge(suspended.rename(columns={{"trade_date": "date", "ts_code": "code"}}), "outer")
whole["is_paused"] = whole["is_paused"].where(whole["reason"].notna(), False)
```

```sql
SELECT coalesce(p.date, s.trade_date) AS date, coalesce(p.code, s.ts_code) AS code,
    if(s.reason IS NULL, false, s.is_paused) AS is_paused, p.* EXCLUDE (date, code)
FROM '{place}/data/prices-*.parquet' AS p FULL JOIN '{place}/{path}' AS s
    ON p.date = s.trade_date AND p.code = s.ts_code
```

`load_dataset({loaded}, split="train")` reads them too.
A program that opens all of `data/` gets both kinds of rows: name `{prices}`. A row that
the checks hold back is in neither; see the findings.

也可用 `load_dataset` 读取。整个读取 `data/` 会混入两种数据，请指明 `{prices}`。被扣留的行不在两者
之中，见检查结果。
{lacking}"""
LACKING = """
For {days} of the published days nobody has told them; `{manifest}` names these days.

有 {days} 个已发布交易日没有停牌数据，见 `{manifest}`。
"""
ADOPTED_NOTE = """
## Rows taken over · 沿用的数据

Some days still hold what the dataset had before: the rows of its CSV as they were, of the shares
that it listed (boards: {boards}). The others hold the whole market, which replaces them day by day.

部分交易日仍沿用数据集原有 CSV 中的行，仅含其所列股票（板块：{boards}）；其余交易日为全市场数据，
并逐日替换沿用的数据。

| days · 交易日 | rows · 数据 |
|---|---|
{days}

| rows of the CSV · CSV 行数 | | |
|---|---|---|
{counts}
"""


def of(manifest: Manifest, place: str, repository: str) -> str:
    """The sections that this dataset has; `place` is where its files are."""
    return "".join(
        (
            _adopted(manifest),
            ADJUSTING_NOTE.format(
                place=place, added="`, `".join(merged.column.name for merged in ADDED)
            ),
            _suspended(manifest, place, repository),
            _findings(manifest, place),
        )
    )


def row_of(column: Column) -> str:
    """A column as a row of a table of columns."""
    return f"| `{column.name}` | {column.type} | {column.unit} | {column.doc} | {column.doc_zh} |"


def _findings(manifest: Manifest, place: str) -> str:
    files = sorted(filter(layout.is_findings, manifest.files))
    if not files:
        return ""
    return FINDINGS_NOTE.format(path=layout.FINDINGS, place=place, example=files[-1])


def _suspended(manifest: Manifest, place: str, repository: str) -> str:
    files = sorted(path for path, facts in manifest.suspended.items() if facts.rows)
    if not files:
        return ""
    days = len(manifest.without_suspended)
    loaded = f'"parquet", data_files="{layout.SUSPENDED}"'
    if repository:
        loaded = f'"{repository}", "suspended"'
    return SUSPENDED_NOTE.format(
        loaded=loaded,
        path=layout.SUSPENDED,
        prices=layout.PRICES,
        place=place,
        example=files[-1],
        columns="\n".join(map(row_of, SUSPENDED.columns)),
        lacking=LACKING.format(days=f"{days:,}", manifest=layout.MANIFEST) if days else "",
    )


def _adopted(manifest: Manifest) -> str:
    adopted = manifest.adopted
    if adopted is None:
        return ""
    boards = ", ".join(adopted.boards) or "not told · 未知"
    whole_market = "the whole market · 全市场"
    held = {
        day: f"the CSV: {boards}" if day in adopted.days else whole_market
        for day in manifest.days()
    }
    stretches = spans(held)
    lines = [f"| {one.first} … {one.last} | {one.reason} |" for one in stretches[:STRETCHES_SHOWN]]
    if len(stretches) > STRETCHES_SHOWN:
        lines.append(f"| … | all in `{layout.MANIFEST}` · 全部见 `{layout.MANIFEST}` |")
    counts = [
        ("read", "读取", adopted.rows_read),
        ("kept", "保留", adopted.rows_kept),
        *(
            (f"left out: {reason}", f"略去：{IN_CHINESE.get(reason, reason)}", count)
            for reason, count in adopted.left_out.items()
            if count
        ),
    ]
    return ADOPTED_NOTE.format(
        boards=boards,
        days="\n".join(lines),
        counts="\n".join(f"| {english} | {chinese} | {n:,} |" for english, chinese, n in counts),
    )
