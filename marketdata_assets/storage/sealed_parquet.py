"""Parquet files that tell when they are damaged: a checksum over all their bytes, in their footer.

Here belongs how such a file is made and opened. Parquet's own checksums are of its pages: what
says where they lie and what they mean is not covered, and DuckDB looks at none of them.

The checksum stands among the labels of the file, as `checksum` = `crc32:` and eight hexadecimal
digits, and is taken while these digits are zeros. A file without one is from before there were
checksums, and is read as far as it can be.
"""

import errno
import io
import os
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from marketdata_assets.errors import MarketdataError

LABEL = b"checksum"
SIGN = b"crc32:"
OPEN = SIGN + b"00000000"
# What a disk says of a block that it can't read, and of a folder where a file should be.
NO_FILE_TO_READ = (errno.EIO, errno.EISDIR)


class DamagedFile(MarketdataError):
    """The bytes of a file are not those that were written."""


def sealed(data: pa.Table) -> bytes:
    """The bytes of a parquet file of `data`, with its checksum."""
    # Codes and prices hardly repeat within a day, and what does is as small without dictionaries:
    # they cost writers and readers time.
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, data.schema, compression="zstd", use_dictionary=False) as writer:
        writer.write_table(data)
        writer.add_key_value_metadata({LABEL: OPEN})
    raw = bytearray(buffer.getvalue())
    at = raw.rindex(OPEN)
    raw[at : at + len(OPEN)] = _checksum(raw)
    return bytes(raw)


def unsealed(raw: bytes) -> pq.ParquetFile:
    """The file that `raw` is. Raises `DamagedFile`, before anything in it is believed."""
    at = raw.rfind(SIGN)
    if at < 0 and LABEL in raw:
        raise DamagedFile("its checksum is damaged")
    if at >= 0:
        whole, end = memoryview(raw), at + len(OPEN)
        if raw[at:end] != _checksum(whole[:at], OPEN, whole[end:]):
            raise DamagedFile("its checksum is another")
    try:
        return pq.ParquetFile(pa.BufferReader(raw))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedFile(str(error)) from error


def open_sealed(path: Path) -> tuple[pq.ParquetFile, os.stat_result]:
    """The file at `path`, whole in memory, and what the system knows of the very same file.

    Raises `DamagedFile`, and `OSError` as opening does.
    """
    raw, status = read_whole(path)
    return unsealed(raw), status


def read_whole(path: Path) -> tuple[bytes, os.stat_result]:
    """What a file of any kind holds, and what the system knows of it; raises as `open_sealed`."""
    try:
        with path.open("rb") as file:
            return file.read(), os.fstat(file.fileno())
    except OSError as error:
        if error.errno in NO_FILE_TO_READ:
            raise DamagedFile(str(error.strerror)) from error
        raise


def _checksum(*parts: bytes | bytearray | memoryview) -> bytes:
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return SIGN + b"%08x" % value
