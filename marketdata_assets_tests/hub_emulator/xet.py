"""Content that came through xet: chunks in a folder, as the client's own library writes them.

The library takes a folder for a storage server when its address is `local://`; deduplication is
its own. Here belongs how the hub gets from a file's SHA-256 to its content.

Source: the layout of xet's metadata shards, as hf_xet 1.x writes them.
"""

import secrets
import struct
from collections.abc import Iterator
from pathlib import Path

from marketdata_assets_tests.hub_emulator.store import HubStore

HEADER_BYTES, ENTRY_BYTES = 48, 48
HAS_VERIFICATION, HAS_SHA256 = 1 << 31, 1 << 30


class XetContent:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def url(self) -> str:
        return f"local://{self.folder}"

    @property
    def bytes_stored(self) -> int:
        """The size of all chunks: what was new in everything that was ever uploaded."""
        chunks = (self.folder / "xet" / "xorbs" / "xorbs").glob("default.*")
        return sum(file.stat().st_size for file in chunks if file.suffix != ".tagset")

    def hash_of(self, sha256: str) -> str | None:
        """xet's name of the content with this SHA-256; None when it didn't come through xet."""
        for shard in (self.folder / "xet" / "xorbs" / "shards").glob("*.mdb"):
            for xet_hash, known in files_in_shard(shard.read_bytes()):
                if known == sha256:
                    return xet_hash
        return None

    def bring(self, sha256: str, size: int, store: HubStore) -> None:
        """Put the content into the store as well, if it is here and is what its hash says."""
        import hf_xet

        xet_hash = self.hash_of(sha256)
        if xet_hash is None:
            return
        arriving = self.folder / f".{secrets.token_hex(8)}.arriving"
        try:
            with hf_xet.XetSession().new_file_download_group(endpoint=self.url) as group:
                group.start_download_file(hf_xet.XetFileInfo(xet_hash, size), str(arriving))
            with arriving.open("rb") as stream:
                store.put_stream(sha256, stream, size)
        finally:
            arriving.unlink(missing_ok=True)


def files_in_shard(shard: bytes) -> Iterator[tuple[str, str]]:
    """(xet hash, SHA-256) of the files that a shard describes."""
    at = HEADER_BYTES
    while (name := shard[at : at + 32]) != b"\xff" * 32:
        flags, segments = struct.unpack_from("<II", shard, at + 32)
        at += ENTRY_BYTES * (1 + segments * (2 if flags & HAS_VERIFICATION else 1))
        if flags & HAS_SHA256:
            yield _hex(name), _hex(shard[at : at + 32])
            at += ENTRY_BYTES


def _hex(stored: bytes) -> str:
    """A hash lies as four little-endian words, and is written as four big-endian ones."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", stored))
