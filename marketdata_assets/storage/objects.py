"""Objects of an S3 store, each told apart by its ETag: read, listed, and put on a condition.

Here belongs the store's manner of speaking, how its refusal is told, and how calls are saved. Which
objects there are is `shared_lake`. A put says what it expects to find, so that two writers can't
both be the one.
"""

import contextlib
import datetime as dt
import functools
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from marketdata_assets.errors import MarketdataError

# By itself the client gives up after two seconds, whatever it is told of minutes.
AGAIN: Any = {
    "max_retries": 1_000,
    "retry_timeout": dt.timedelta(minutes=3),
    "backoff": {
        "init_backoff": dt.timedelta(milliseconds=200),
        "max_backoff": dt.timedelta(seconds=5),
        "base": 2,
    },
}
CLIENT: Any = {"allow_http": True}


def refuse_soon() -> None:
    """Have what this process opens from now on give up after seconds: a caller of its API waits,
    and keeps a thread from the others. So it is with a store that says nothing, too."""
    soon = dt.timedelta(seconds=3)
    AGAIN["retry_timeout"] = CLIENT["connect_timeout"] = CLIENT["read_timeout"] = soon


class StoreRefuses(MarketdataError, status=503):
    """The object store can't be reached, or refuses."""


class Object(NamedTuple):
    """An object by its key below the store's address, and which of its contents it is."""

    key: str
    etag: str
    bytes: int
    # In seconds since 1970; of what was just put nobody has asked.
    modified: float = 0


# What of a large object is in memory.
PIECE = 4_000_000


class Objects:
    """The objects below `address`, like s3://bucket/prefix; any number of threads may share one.

    What the store fails at is tried again for three minutes, or less after `refuse_soon`. Every
    call raises `StoreRefuses`.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        # By folder what lies in it by key, within `listing_once`.
        self._known: dict[str, dict[str, Object]] | None = None
        self._blocks, self._lock = 0, threading.Lock()
        with self._told():
            self._store = S3Store.from_url(address, client_options=CLIENT, retry_config=AGAIN)

    def head(self, key: str) -> Object | None:
        """The object as it is now, None where there is none."""
        with self._told(), contextlib.suppress(FileNotFoundError):
            return _object(key, obstore.head(self._store, key))
        return None

    def get(self, key: str) -> tuple[Object, bytes] | None:
        """The object and its content, which belong together; None where there is none."""
        with self._told(), contextlib.suppress(FileNotFoundError):
            answer = obstore.get(self._store, key)
            found = _object(key, answer.meta), bytes(answer.bytes())
            self._note(key, found[0])
            return found
        self._note(key, None)
        return None

    def fetch(self, key: str, path: Path) -> None:
        """Write the content of an object to a file, piece by piece. Raises `FileNotFoundError`."""
        # What the disk refuses is not the store's.
        with path.open("wb") as file, self._told():
            for piece in obstore.get(self._store, key).stream(min_chunk_size=PIECE):
                file.write(piece)

    def listed(self, prefix: str) -> list[Object]:
        """All objects whose key begins with `prefix`, a folder, by key."""
        with self._told():
            pages = obstore.list(self._store, f"{prefix}/", chunk_size=1_000)
            return sorted(_object(one["path"], one) for page in pages for one in page)

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys of all objects whose key begins with `prefix`, a folder, as they are listed."""
        with self._told():
            for page in obstore.list(self._store, f"{prefix}/", chunk_size=1_000):
                yield from (one["path"] for one in page)

    def put(self, key: str, raw: bytes, instead_of: str | None = None) -> Object | None:
        """Put a new object, or one in the place of the one with this ETag.

        None where another lies there: then nothing was put.
        """
        mode: Any = {"e_tag": instead_of} if instead_of else "create"
        with self._told():
            try:
                answer = obstore.put(self._store, key, raw, mode=mode, use_multipart=False)
                put = Object(key, answer["e_tag"] or "", len(raw))
                self._note(key, put)
                return put
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                pass
        # A put whose answer was lost is tried again, and meets what it has put itself.
        found = self.get(key)
        return found[0] if found and found[1] == raw else None

    def put_file(self, key: str, content: Path | bytes) -> None:
        """Put the content of a file of any size, or some bytes, whatever lies there."""
        with self._told():
            obstore.put(self._store, key, content)

    def link_to(self, key: str) -> str:
        """An address at which a browser gets an object, for an hour."""
        with self._told():
            return obstore.sign(self._store, "GET", key, dt.timedelta(hours=1))

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects, those that are there."""
        if keys:
            with self._told():
                obstore.delete(self._store, keys)

    async def part(self, key: str, start: int, length: int) -> bytes:
        """Some bytes of an object that has them. Raises `FileNotFoundError`."""
        with self._told():
            got = await obstore.get_range_async(self._store, key, start=start, length=length)
            return bytes(got)

    def remove_old(self, prefix: str, kept: Collection[str], age: dt.timedelta) -> None:
        """Delete what lies below `prefix` and is older by `age` than the newest of it, but `kept`.

        The age is by the store's clock.
        """
        there = self.listed(prefix)
        before = max((one.modified for one in there), default=0) - age.total_seconds()
        self.delete([one.key for one in there if one.modified < before and one.key not in kept])

    @contextlib.contextmanager
    def listing_once(self) -> Iterator[None]:
        """Within the block `find` and `within` know a folder by one list of it.

        What is read or put by this process meanwhile is known too, what others put is not.
        """
        with self._lock:
            self._blocks += 1
            self._known = {} if self._known is None else self._known
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                self._known = self._known if self._blocks else None

    @property
    def lists_once(self) -> bool:
        """Whether this is within such a block."""
        return self._known is not None

    def find(self, key: str) -> Object | None:
        """The object as it is now, or was when its folder was listed; None where there is none."""
        # Taken once: another thread's block may end meanwhile.
        if (known := self._known) is None:
            return self.head(key)
        return self._contents(known, key.rpartition("/")[0]).get(key)

    def within(self, folder: str, prefix: str) -> list[Object]:
        """The objects below `prefix`, a folder in `folder`, by key; as `find` knows them."""
        if (known := self._known) is None:
            return self.listed(prefix)
        contents = self._contents(known, folder)
        return [contents[key] for key in sorted(contents) if key.startswith(f"{prefix}/")]

    def forget(self, folder: str) -> None:
        """Have what lies below `folder` be listed again."""
        with self._lock:
            known = self._known or {}
            for one in [one for one in known if f"{one}/".startswith(f"{folder}/")]:
                del known[one]

    def _contents(self, known: dict[str, dict[str, Object]], folder: str) -> dict[str, Object]:
        with self._lock:
            if folder not in known:
                known[folder] = {one.key: one for one in self.listed(folder)}
            return known[folder]

    def _note(self, key: str, one: Object | None) -> None:
        with self._lock:
            for folder, contents in (self._known or {}).items():
                if not key.startswith(f"{folder}/"):
                    continue
                # At no moment is one absent that is there: who looks takes no lock.
                if one:
                    contents[key] = one
                else:
                    contents.pop(key, None)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (BaseError, PermissionError) as error:
            said = (str(error).splitlines() or [type(error).__name__])[0]
            raise StoreRefuses(
                f"{self._address} can't be used ({said}). What is stored is as it was. Look at the "
                "store, the AWS_… settings and the network, then run again."
            ) from error


@functools.cache
def objects_at(address: str) -> Objects:
    """The objects below an address; all of this process that ask for it share one."""
    return Objects(address)


def _object(key: str, meta: Mapping[str, Any]) -> Object:
    return Object(key, meta["e_tag"] or "", meta["size"], meta["last_modified"].timestamp())
