"""What the vendor's server answers to a call that the simulated market knows nothing of.

Here belong rows made of a table's declaration alone: one for every share that traded, with numbers
of no meaning, the same whenever they are asked for. What has a meaning is the market's.
"""

import datetime as dt
import zlib

import numpy as np
import pyarrow as pa

from marketdata_assets.tables import Table
from marketdata_sandbox.columns import Columns


def plain_answer(table: Table, codes: list[object], day: dt.date) -> Columns:
    """A row of `table` for each of `codes`, in the vendor's form."""
    numbers = np.random.default_rng([zlib.crc32(table.tushare.call.encode()), day.toordinal()])
    columns: Columns = {}
    for column in table.columns:
        if column.name == "ts_code":
            columns[column.name] = list(codes)
        elif column.name == table.date_column:
            columns[column.name] = [f"{day:%Y%m%d}"] * len(codes)
        elif pa.types.is_floating(column.type):
            columns[column.name] = np.round(numbers.lognormal(3, 2, len(codes)), 2).tolist()
        else:
            columns[column.name] = [None if column.nullable else "x"] * len(codes)
    return columns
