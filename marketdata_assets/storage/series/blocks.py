"""The blocks of a segment's file: a checksum of each, and which have been compared with it.

Here belongs that no byte is believed before its block is, and that each is compared once. Which
bytes mean what is `segment`.
"""

import zlib
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from marketdata_assets.storage.sealed_parquet import DamagedFile

# A first slice compares a block a column and year; a checksum is four bytes of the manifest.
BLOCK = 1 << 16
CHECKSUM = np.dtype("<u4")
Checksums: TypeAlias = bytes


def checksums_of(path: Path) -> Checksums:
    """The CRC-32 of every block of a file, four bytes each."""
    with path.open("rb") as file:
        checksums = [zlib.crc32(block) for block in iter(lambda: file.read(BLOCK), b"")]
    return np.array(checksums, CHECKSUM).tobytes()


class Blocks:
    """A file that stays open until all of it has been compared; threads may share one."""

    def __init__(self, path: Path, checksums: Checksums) -> None:
        # Read, not mapped: of a block that it can't read, a disk then says so and kills nobody.
        self._file: pa.OSFile | None = pa.OSFile(str(path))
        self._checksums = np.frombuffer(checksums, CHECKSUM)
        self._are_compared = bytearray(len(self._checksums))

    @property
    def are_whole(self) -> bool:
        """Whether every block has been compared."""
        return self._file is None

    def compare(self, first: int, end: int) -> None:
        """Compare what is not compared yet of the bytes from `first` to before `end`.

        Raises `DamagedFile`, and `OSError` as reading does.
        """
        file, last = self._file, -(-end // BLOCK)
        number = self._are_compared.find(0, first // BLOCK, last)
        while file is not None and number >= 0:
            if zlib.crc32(file.read_at(BLOCK, number * BLOCK)) != self._checksums[number]:
                at = number * BLOCK
                raise DamagedFile(f"other bytes than were written, from {at} to {at + BLOCK}")
            self._are_compared[number] = 1
            number = self._are_compared.find(0, number + 1, last)

    def compare_all(self) -> None:
        self.compare(0, len(self._are_compared) * BLOCK)
        self._file = None
