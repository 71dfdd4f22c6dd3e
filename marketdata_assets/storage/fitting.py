"""Whether stored columns can be read as those that a table is declared to have now.

Here belongs what counts as the same columns, and how older ones are read. What is said of a file
that does not fit belongs to whoever reads it.

Declarations grow: a column that may be NULL and is not stored is NULL on every row, and a column
that may be NULL by now was stored when it might not. Whatever else changes, a type, a unit, a
column that goes, makes another version of the table: its files are to be made again.
"""

import datetime as dt

import pyarrow as pa

from marketdata_assets.tables import Table

VERSION = b"schema_version"


def misfits(table: Table, schema: pa.Schema) -> list[str]:
    """What keeps data of `schema` from being read as `table`, for people; empty when it fits."""
    stored, declared = set(schema.names), set(table.column_names)
    found = [f"{name} is not declared any more" for name in sorted(stored - declared)]
    for field in table.schema:
        if field.name not in stored:
            if not field.nullable:
                found.append(f"{field.name} is not stored")
        elif (kind := schema.field(field.name).type) != field.type:
            found.append(f"{field.name} is {kind}, declared is {field.type}")
    version = (schema.metadata or {}).get(VERSION, b"1").decode(errors="replace")
    if version != str(table.version):
        found.append(f"its columns are version {version}, declared is version {table.version}")
    return found


def stored_at_of(schema: pa.Schema) -> dt.datetime | None:
    """When the file of this schema says that it was stored, None where it does not."""
    try:
        return dt.datetime.fromisoformat((schema.metadata or {})[b"stored_at"].decode())
    except (KeyError, ValueError):
        return None


def with_all_columns(table: Table, data: pa.Table) -> pa.Table:
    """`data` with the declared columns in their order; those that it lacks are NULL."""
    columns = [
        data[field.name] if field.name in data.column_names else pa.nulls(len(data), field.type)
        for field in table.schema
    ]
    return pa.table(columns, table.column_names, metadata=data.schema.metadata)


def as_declared(table: Table, data: pa.Table) -> pa.Table:
    """`data`, which fits, with the declared schema; labels stay, nothing is copied."""
    if data.schema.equals(table.schema):
        return data
    schema = table.schema.with_metadata(data.schema.metadata)
    return pa.Table.from_arrays(with_all_columns(table, data).columns, schema=schema)
