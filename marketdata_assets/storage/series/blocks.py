"""The blocks of a segment's file: a checksum of each, and which have been compared with it.

Here belongs that no byte is believed before its block is, and that each is compared once. Which
bytes mean what is `segment`.
"""

import os
import weakref
from pathlib import Path
from typing import TypeAlias

import numpy as np
from isal import isal_zlib

from marketdata_assets.storage.sealed_parquet import DamagedFile

# A first slice compares a block a column and year; a checksum is four bytes of the manifest.
BLOCK = 1 << 16
# Reading lets other threads of Python run, and where they are busy coming back takes long.
BLOCKS_AT_ONCE = 16
CHECKSUM = np.dtype("<u4")
Checksums: TypeAlias = bytes


def checksums_of(path: Path) -> Checksums:
    """The CRC-32 of every block of a file, four bytes each."""
    with path.open("rb") as file:
        checksums = [isal_zlib.crc32(block) for block in iter(lambda: file.read(BLOCK), b"")]
    return np.array(checksums, CHECKSUM).tobytes()


class Blocks:
    """A file that stays open; threads may share one. `are_whole` once all has been compared."""

    def __init__(self, path: Path, checksums: Checksums) -> None:
        # Read, not mapped: of a block that it can't read, a disk then says so and kills nobody.
        self._file = os.open(path, os.O_RDONLY)
        # Not at the end of the process, when others may still read.
        weakref.finalize(self, os.close, self._file).atexit = False
        self._checksums = np.frombuffer(checksums, CHECKSUM).tolist()
        self._are_compared = bytearray(len(self._checksums))
        self.are_whole = False

    def compare(self, first: int, end: int) -> None:
        """Compare what is not compared yet of the bytes from `first` to before `end`.

        Raises `DamagedFile`, and `OSError` as reading does.
        """
        last = -(-end // BLOCK)
        number = self._are_compared.find(0, first // BLOCK, last)
        while number >= 0:
            until = min(last, number + BLOCKS_AT_ONCE)
            read = memoryview(os.pread(self._file, (until - number) * BLOCK, number * BLOCK))
            for block in range(number, until):
                at = (block - number) * BLOCK
                if isal_zlib.crc32(read[at : at + BLOCK]) != self._checksums[block]:
                    at = block * BLOCK
                    raise DamagedFile(f"other bytes than were written, from {at} to {at + BLOCK}")
                self._are_compared[block] = 1
            number = self._are_compared.find(0, until, last)

    def compare_all(self) -> None:
        self.compare(0, len(self._are_compared) * BLOCK)
        self.are_whole = True
