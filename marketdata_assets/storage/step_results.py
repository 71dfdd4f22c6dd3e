"""What steps of runs have found out, in the hosts' database: a row each, kept for a day.

Here belongs the table. What became of a step is `celery_results`; what steps tell each other is
`shared_lake`. A server that starts again is waited for.
"""

import functools
from typing import Any

from marketdata_assets.shared_database import is_lost, kept_connection, when_it_is_there
from marketdata_assets.storage.database_turns import making_tables

TABLE = "step_results"
# A run that takes longer is ended.
KEPT_FOR = "1 day"


class StepResults:
    """The rows, by a key."""

    def __init__(self, database: str) -> None:
        self._database = database
        with making_tables(database):
            self._asked(
                f"CREATE TABLE IF NOT EXISTS {TABLE} (key text PRIMARY KEY, value bytea NOT NULL, "
                "stored_at timestamptz NOT NULL DEFAULT now())"
            )

    def get(self, key: str) -> bytes | None:
        found = self._asked(f"SELECT value FROM {TABLE} WHERE key = %s", key)
        return bytes(found[0][0]) if found else None

    def set(self, key: str, raw: bytes) -> None:
        self._asked(
            f"INSERT INTO {TABLE} (key, value) VALUES (%s, %s) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value, stored_at = now()",
            key,
            raw,
        )
        self._asked(f"DELETE FROM {TABLE} WHERE stored_at < now() - interval '{KEPT_FOR}'")

    def delete(self, key: str) -> None:
        self._asked(f"DELETE FROM {TABLE} WHERE key = %s", key)

    def _asked(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        def asked() -> list[tuple[Any, ...]]:
            with kept_connection(self._database) as connection:
                told = connection.execute(statement, values)
                return told.fetchall() if told.description else []

        return when_it_is_there(asked, is_lost)


@functools.cache
def step_results(database: str) -> StepResults:
    """Those of a database, whose table is made once."""
    return StepResults(database)
