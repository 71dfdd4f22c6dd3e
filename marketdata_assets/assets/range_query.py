"""A range of codes as one file: what an export request is answered with."""

import re
from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import ValidationError

from marketdata_assets.assets.asset_arguments import Group, Pool, failing_at_once
from marketdata_assets.serving.exports import Export, open_exports, write_export
from marketdata_assets.serving.price_reader import PriceReader
from marketdata_assets.serving.queries import ExportQuery
from marketdata_assets.storage.io_manager import LakeResource
from marketdata_assets.storage.series import SERIES_ASSETS, have_newest
from marketdata_assets.tables import STORED_TABLES

# The request that a run answers, in its tags.
REQUEST_TAG = "marketdata/request"
REASONS_SHOWN = 50


# An `ExportQuery`. Plain types: those of `dg.Config` take any variable of the environment, a token
# for one, where a value belongs, and the question is told to whoever can see the run.
ASKED = {
    "codes": dg.Field([str], default_value=[]),
    "start": dg.Field(str, is_required=False, description="A day as YYYY-MM-DD or YYYYMMDD."),
    "end": dg.Field(str, is_required=False, description="A day as YYYY-MM-DD or YYYYMMDD."),
    "columns": dg.Field([str], default_value=[], description="By default OHLCV."),
    "adjust": dg.Field(str, default_value="none", description="none, qfq or hfq."),
    "anchor": dg.Field(str, is_required=False, description="A day in the same form, for qfq."),
    "as_of": dg.Field(
        str, is_required=False, description="A moment in ISO 8601 with its time zone."
    ),
    "frequency": dg.Field(str, default_value="D", description="Bars of D, W or M."),
    "format": dg.Field(str, default_value="parquet", description="parquet, csv or arrow."),
    "strict": dg.Field(
        bool, default_value=False, description="No file where sessions were never stored."
    ),
}


@dg.asset(
    name="range_query",
    group_name=Group.SERVED.value,
    description=(
        "Slices of many codes as one file, for whoever asked for it; its rows are those of the "
        "finished copies. 将多只代码的区间数据写成一个文件，供请求者下载。"
    ),
    deps=["price_series", "adj_factor_series", "etf_price_series", "instrument_history"],
    kinds={"parquet", "csv", "arrow"},
    owners=["team:market-data"],
    pool=Pool.EXPORTS.value,
    config_schema=ASKED,
)
def range_query(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    try:
        query = ExportQuery.model_validate(asked(context.op_execution_context.op_config))
    except ValidationError as error:
        reasons = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'query'}: {one['msg']}" for one in error.errors()
        )
        raise dg.Failure(f"range_query: {reasons}", allow_retries=False) from None
    opened, name = lake.open(), _name(context.run)
    files = open_exports(opened.root)
    with failing_at_once():
        # Another host's worker may have made them.
        for table in SERIES_ASSETS:
            have_newest(opened, STORED_TABLES[table])
        export = write_export(PriceReader(opened.root), query, files.folder, name)
    place = files.publish(export)
    context.log.info(f"{export.file}: {export.rows:,} rows, {len(export.missing)} code(s) missing")
    return dg.MaterializeResult(
        metadata={**metadata_of(export), "file": dg.MetadataValue.path(place)}
    )


def asked(config: Mapping[str, Any]) -> dict[str, Any]:
    """The question as it was written, what was left out left to the defaults."""
    return {name: value for name, value in config.items() if value != []}


def metadata_of(export: Export) -> dict[str, dg.MetadataValue]:
    reasons = [f"- {code}: {why}" for code, why in export.missing.items()]
    more = [f"- and {len(reasons) - REASONS_SHOWN} more"] if len(reasons) > REASONS_SHOWN else []
    return {
        "dagster/row_count": dg.MetadataValue.int(export.rows),
        "bytes": dg.MetadataValue.int(export.bytes),
        "codes": dg.MetadataValue.int(len(export.codes)),
        "codes missing": dg.MetadataValue.int(len(export.missing)),
        "sessions missing": dg.MetadataValue.int(len(export.missing_sessions or [])),
        "missing and why": dg.MetadataValue.md(
            "\n".join([*reasons[:REASONS_SHOWN], *more]) or "none"
        ),
        "generations": dg.MetadataValue.json(export.generations),
        "query": dg.MetadataValue.json(export.query.model_dump(mode="json")),
    }


def _name(run: dg.DagsterRun) -> str:
    """The request's id where there is one; a run by hand gives its file its own."""
    name = run.tags.get(REQUEST_TAG, run.run_id)
    if not re.fullmatch(r"[0-9a-f-]+", name):
        raise dg.Failure(f"{REQUEST_TAG} is no id of a request.", allow_retries=False)
    return name
