"""Whether stored columns are those that a table is declared to have now.

Here belongs what counts as the same columns. What is said of a file that does not fit belongs to
whoever reads it.

Names, order and types have to agree. Whether a column may be NULL does not: declarations grow more
lenient as the vendor's rows turn out to lack values, and what was stored before is as true as ever.
"""

import pyarrow as pa

from marketdata_assets.tables import Table


def fits(table: Table, schema: pa.Schema) -> bool:
    """Whether data of `schema` can be read as `table`."""
    return bool(schema.names == table.schema.names and schema.types == table.schema.types)


def as_declared(table: Table, data: pa.Table) -> pa.Table:
    """`data`, which fits, with the declared schema; labels stay, nothing is copied."""
    return pa.Table.from_arrays(
        data.columns, schema=table.schema.with_metadata(data.schema.metadata)
    )
