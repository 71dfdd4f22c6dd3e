"""What became of the steps that were given to workers, in the hosts' database.

Here belongs how a result is kept until the run has it, whichever server starts again meanwhile. In
a queue of the broker it would be gone with the broker, and the run would wait for ever.

https://docs.celeryq.dev/en/stable/userguide/configuration.html#task-result-backend-settings
"""

from typing import Any

from celery.backends.base import KeyValueStoreBackend

from marketdata_assets.hosts import several_hosts
from marketdata_assets.storage.step_results import step_results


class Results(KeyValueStoreBackend):  # type: ignore[misc]
    """A row a step, for a day. A server that starts again is waited for."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._results = step_results(several_hosts("worker").database)

    def get(self, key: bytes) -> bytes | None:
        return self._results.get(_text(key))

    def set(self, key: bytes, value: str | bytes) -> None:
        self._results.set(_text(key), value.encode() if isinstance(value, str) else value)

    def delete(self, key: bytes) -> None:
        self._results.delete(_text(key))


def _text(key: str | bytes) -> str:
    return key.decode() if isinstance(key, bytes) else key
