"""What became of the steps that were given to workers, in the hosts' database.

Here belongs how a result is kept until the run has it, whichever server starts again meanwhile. In
a queue of the broker it would be gone with the broker, and the run would wait for ever.

https://docs.celeryq.dev/en/stable/userguide/configuration.html#task-result-backend-settings
"""

from typing import Any

from celery.backends.base import KeyValueStoreBackend

from marketdata_assets.hosts import several_hosts
from marketdata_assets.shared_database import is_lost, kept_connection, when_it_is_there
from marketdata_assets.storage.database_turns import making_tables

TABLE = "step_results"
# A run that takes longer is ended.
KEPT_FOR = "1 day"


class Results(KeyValueStoreBackend):  # type: ignore[misc]
    """A row a step, for a day. A server that starts again is waited for."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._database = several_hosts("worker").database
        with making_tables(self._database):
            self._asked(
                f"CREATE TABLE IF NOT EXISTS {TABLE} (key text PRIMARY KEY, value bytea NOT NULL, "
                "stored_at timestamptz NOT NULL DEFAULT now())"
            )

    def get(self, key: bytes) -> bytes | None:
        found = self._asked(f"SELECT value FROM {TABLE} WHERE key = %s", _text(key))
        return bytes(found[0][0]) if found else None

    def set(self, key: bytes, value: str | bytes) -> None:
        raw = value.encode() if isinstance(value, str) else value
        self._asked(
            f"INSERT INTO {TABLE} (key, value) VALUES (%s, %s) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value, stored_at = now()",
            _text(key),
            raw,
        )
        self._asked(f"DELETE FROM {TABLE} WHERE stored_at < now() - interval '{KEPT_FOR}'")

    def delete(self, key: bytes) -> None:
        self._asked(f"DELETE FROM {TABLE} WHERE key = %s", _text(key))

    def _asked(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        def asked() -> list[tuple[Any, ...]]:
            with kept_connection(self._database) as connection:
                told = connection.execute(statement, values)
                return told.fetchall() if told.description else []

        return when_it_is_there(asked, is_lost)


def _text(key: str | bytes) -> str:
    return key.decode() if isinstance(key, bytes) else key
