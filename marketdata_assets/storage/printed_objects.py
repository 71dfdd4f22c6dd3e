"""What steps and sensors print, as objects of all hosts; `dagster.yaml` names the class.

    <lake>/logs/storage/<run>/compute_logs/<key>.out | .err

Here belongs how it is caught, kept and read; when, is Dagster's. A step prints into a file, from
which `tail` takes it to the worker's own log. Dagster's way to S3 starts a Python for each of both
streams of each step, to end that `tail`, and makes a client for each step.
"""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import IO, Any

from dagster._core.execution.compute_logs import redirect_to_file
from dagster._core.storage.cloud_storage_compute_log_manager import (
    PollingComputeLogSubscriptionManager,
)
from dagster._core.storage.compute_log_manager import (
    CapturedLogContext,
    CapturedLogMetadata,
    CapturedLogSubscription,
    ComputeIOType,
    ComputeLogManager,
)
from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from marketdata_assets.hosts import several_hosts
from marketdata_assets.storage.objects import objects_at

# Of each stream of a step.
MOST_BYTES = 50_000_000


class PrintedObjects(ComputeLogManager, ConfigurableClass):
    """What was printed, an object a stream; there is one when the step or the look has ended."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._address = f"{several_hosts('this run history').lake.rstrip('/')}/logs"
        self._objects = objects_at(self._address)
        self._watched = PollingComputeLogSubscriptionManager(self)  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> Any:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "PrintedObjects":
        return cls(inst_data)

    @contextlib.contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        with (
            # That which tells that all is there comes last.
            self._kept(log_key, ComputeIOType.STDERR) as err,
            self._kept(log_key, ComputeIOType.STDOUT) as out,
            _into_file(sys.stdout, out),
            _into_file(sys.stderr, err),
        ):
            yield CapturedLogContext(list(log_key))

    @contextlib.contextmanager
    def open_log_stream(
        self, log_key: Sequence[str], io_type: ComputeIOType
    ) -> Iterator[IO[Any] | None]:
        yield (printed := io.StringIO())
        # A sensor that looks says nothing, most of the time.
        if said := printed.getvalue():
            self._objects.put_file(_key(log_key, io_type), said.encode())

    def is_capture_complete(self, log_key: Sequence[str]) -> bool:
        return self._objects.head(_key(log_key, ComputeIOType.STDERR)) is not None

    def get_log_data_for_type(
        self, log_key: Sequence[str], io_type: ComputeIOType, offset: int, max_bytes: int | None
    ) -> tuple[bytes | None, int]:
        found = self._objects.get(_key(log_key, io_type))
        piece = found[1][offset:][:max_bytes] if found else None
        return piece, offset + len(piece or b"")

    def get_log_metadata(self, log_key: Sequence[str]) -> CapturedLogMetadata:
        if not self.is_capture_complete(log_key):
            return CapturedLogMetadata()
        out, err = (_key(log_key, kind) for kind in (ComputeIOType.STDOUT, ComputeIOType.STDERR))
        places = f"{self._address}/{out}", f"{self._address}/{err}"
        return CapturedLogMetadata(*places, *map(self._objects.link_to, (out, err)))

    def get_log_keys_for_log_key_prefix(
        self, log_key_prefix: Sequence[str], io_type: ComputeIOType
    ) -> list[list[str]]:
        kept = (PurePath(one.key) for one in self._objects.listed(_folder(log_key_prefix)))
        kind = f".{IO_TYPE_EXTENSION[io_type]}"
        return [[*log_key_prefix, path.stem] for path in kept if path.suffix == kind]

    def delete_logs(
        self, log_key: Sequence[str] | None = None, prefix: Sequence[str] | None = None
    ) -> None:
        keys = [one.key for one in self._objects.listed(_folder(prefix))] if prefix else []
        self._objects.delete(keys + [_key(log_key, kind) for kind in ComputeIOType if log_key])

    def subscribe(
        self, log_key: Sequence[str], cursor: str | None = None
    ) -> CapturedLogSubscription:
        subscription = CapturedLogSubscription(self, log_key, cursor)
        self._watched.add_subscription(subscription)
        return subscription

    def unsubscribe(self, subscription: CapturedLogSubscription) -> None:
        self._watched.remove_subscription(subscription)

    def dispose(self) -> None:
        self._watched.dispose()

    @contextlib.contextmanager
    def _kept(self, log_key: Sequence[str], io_type: ComputeIOType) -> Iterator[Path]:
        """A file; what it holds after the block is the object."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "printed")
            path.touch()
            yield path
            if (size := path.stat().st_size) > MOST_BYTES:
                os.truncate(path, MOST_BYTES)
                with path.open("ab") as file:
                    file.write(f"\n… and {size - MOST_BYTES:,} bytes more\n".encode())
            self._objects.put_file(_key(log_key, io_type), path)


@contextlib.contextmanager
def _into_file(stream: Any, path: Path) -> Iterator[None]:
    """Within the block what goes to a stream goes to a file, and from there to the stream."""
    # It ends with this process, also where that is killed.
    tail = ["tail", f"--pid={os.getpid()}", "-F", "-c", "+0", str(path)]
    with subprocess.Popen(tail, stdout=stream) as told:
        try:
            with redirect_to_file(stream, path):
                yield
        finally:
            # Who was started with SIGTERM ignored has a `tail` that does not hear it.
            told.kill()


def _folder(key: Sequence[str]) -> str:
    return "/".join(["storage", *key])


def _key(log_key: Sequence[str], io_type: ComputeIOType) -> str:
    return f"{_folder(log_key)}.{IO_TYPE_EXTENSION[io_type]}"
