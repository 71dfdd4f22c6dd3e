"""Objects of an S3 store, each told apart by its ETag: read, listed, and put on a condition.

Here belongs the store's manner of speaking, and how its refusal is told. Which objects there are is
`shared_lake`. A put says what it expects to find, so that two writers can't both be the one.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from marketdata_assets.errors import MarketdataError


class StoreRefuses(MarketdataError, status=503):
    """The object store can't be reached, or refuses."""


class Object(NamedTuple):
    """An object by its key below the store's address, and which of its contents it is."""

    key: str
    etag: str
    bytes: int


class Objects:
    """The objects below `address`, like s3://bucket/prefix; any number of threads may share one.

    What the store fails at is tried again for three minutes. Every call raises `StoreRefuses`.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        with self._told():
            self._store = S3Store.from_url(address, client_options={"allow_http": True})

    def head(self, key: str) -> Object | None:
        """The object as it is now, None where there is none."""
        with self._told(), contextlib.suppress(FileNotFoundError):
            return _object(key, obstore.head(self._store, key))
        return None

    def get(self, key: str) -> tuple[Object, bytes] | None:
        """The object and its content, which belong together; None where there is none."""
        with self._told(), contextlib.suppress(FileNotFoundError):
            answer = obstore.get(self._store, key)
            return _object(key, answer.meta), bytes(answer.bytes())
        return None

    def listed(self, prefix: str) -> list[Object]:
        """All objects whose key begins with `prefix`, a folder, by key."""
        with self._told():
            pages = obstore.list(self._store, f"{prefix}/", chunk_size=1_000)
            return sorted(_object(one["path"], one) for page in pages for one in page)

    def put(self, key: str, raw: bytes, instead_of: str | None = None) -> Object | None:
        """Put a new object, or one in the place of the one with this ETag.

        None where another lies there: then nothing was put.
        """
        mode: Any = {"e_tag": instead_of} if instead_of else "create"
        with self._told():
            try:
                put = obstore.put(self._store, key, raw, mode=mode, use_multipart=False)
                return Object(key, put["e_tag"] or "", len(raw))
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                pass
        # A put whose answer was lost is tried again, and meets what it has put itself.
        found = self.get(key)
        return found[0] if found and found[1] == raw else None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            raise
        except (BaseError, PermissionError) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise StoreRefuses(
                f"{self._address} can't be used ({said}). What is stored is as it was. Look at the "
                "store, the AWS_… settings and the network, then run again."
            ) from error


def _object(key: str, meta: Mapping[str, Any]) -> Object:
    return Object(key, meta["e_tag"] or "", meta["size"])
