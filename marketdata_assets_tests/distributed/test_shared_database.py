"""A database that is not there is waited for, and one that refuses is not."""

import psycopg
import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from marketdata_assets.shared_database import (
    connected,
    is_lost,
    kept_connection,
    when_it_is_there,
)
from marketdata_assets_tests.distributed.conftest import OneDatabase
from marketdata_assets_tests.distributed.servers import free_port


def test_who_is_let_in_by_no_server_is_told_at_once(database: str) -> None:
    asked = []

    def ask() -> None:
        asked.append("once")
        connected(database.replace("market@", "nobody@"))

    with pytest.raises(psycopg.Error, match='role "nobody" does not exist'):
        when_it_is_there(ask, is_lost)
    assert asked == ["once"]


def test_a_server_that_is_not_there_or_full_is_waited_for(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE ROLE one LOGIN CONNECTION LIMIT 1")
    full = database.replace("market@", "one@")
    with connected(full), pytest.raises(psycopg.OperationalError, match="too many") as refused:
        connected(full)
    assert is_lost(refused.value)
    with pytest.raises(psycopg.OperationalError) as refused:
        connected(f"postgresql://market@127.0.0.1:{free_port()}/postgres")
    assert is_lost(refused.value)


def test_a_database_that_is_only_read_for_a_while_is_waited_for(
    one_database: OneDatabase,
) -> None:
    one_database.only_read(True)
    refused: list[Exception] = []

    def ask() -> None:
        with kept_connection(one_database.address) as connection:
            connection.execute("CREATE TABLE one (number int)")

    def is_told(error: Exception) -> bool:
        refused.append(error)
        # Another server takes its place.
        one_database.only_read(False)
        return is_lost(error)

    when_it_is_there(ask, is_told)
    assert [type(error) for error in refused] == [psycopg.errors.ReadOnlySqlTransaction]
