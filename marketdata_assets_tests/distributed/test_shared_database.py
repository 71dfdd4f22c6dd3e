"""A database that is not there is waited for, and one that refuses is not."""

import os
import socket
from contextlib import closing

import psycopg
import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from marketdata_assets import shared_database
from marketdata_assets.hosts import Hosts
from marketdata_assets.shared_database import (
    OPTIONS,
    connected,
    is_lost,
    kept_connection,
    pool_of,
    when_it_is_there,
)
from marketdata_assets.storage.dagster_postgres import of_this_process
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


def test_who_meets_no_server_holds_up_no_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """To ask whether a server is there is a call that no thread gets past."""
    monkeypatch.setattr(shared_database, "PGconn", None)
    with pytest.raises(psycopg.OperationalError):
        connected(f"postgresql://market@127.0.0.1:{free_port()}/postgres")


def test_whoever_asks_notices_within_a_minute_that_the_server_is_gone(shared: Hosts) -> None:
    """Its host is gone without a word, with a question on its way or an answer to come."""
    runs, _, _ = of_this_process(shared.database_of_dagster)
    with (
        connected(shared.database) as alone,
        closing(pool_of(shared.database, 1, OPTIONS)) as pool,
        pool.connection() as of_pool,
        runs.connect() as of_dagster,
    ):
        for file in (alone, of_pool, of_dagster.connection.dbapi_connection):
            with socket.socket(fileno=os.dup(file.fileno())) as connection:
                unheard, idle, interval, count = (
                    connection.getsockopt(socket.IPPROTO_TCP, option)
                    for option in (
                        socket.TCP_USER_TIMEOUT,
                        socket.TCP_KEEPIDLE,
                        socket.TCP_KEEPINTVL,
                        socket.TCP_KEEPCNT,
                    )
                )
            assert 0 < unheard <= 60_000
            assert idle + interval * count <= 60


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
