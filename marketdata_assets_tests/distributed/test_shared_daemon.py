"""Of the daemons of several hosts one is at work, and another takes over when it dies."""

import contextlib
import datetime as dt
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import psycopg
import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from kombu.connection import Connection as Broker

from marketdata_assets.dev import WAITS
from marketdata_assets.hosts import Hosts
from marketdata_assets.shared_database import kept_connection
from marketdata_assets.storage.database_turns import DatabaseRefuses, making_tables
from marketdata_assets.storage.long_turn import LongTurn
from marketdata_assets.trading_calendar import last_closed_sessions
from marketdata_assets_tests.distributed.programs import Fork, Program
from marketdata_assets_tests.distributed.running import (
    asked_for,
    ends_of,
    run_at_work,
    settings_of,
    worker,
)
from marketdata_assets_tests.hubs import REPO, TOKEN, hub_at
from marketdata_assets_tests.killed_dev import until
from marketdata_assets_tests.roles import PATIENCE, role
from marketdata_assets_tests.small_funds import SmallFunds
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer


@pytest.fixture
def database(database: str) -> str:
    """A database of its own: a run history has one daemon."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS daemons WITH (FORCE)")
        connection.execute("CREATE DATABASE daemons")
    return database.rpartition("/")[0] + "/daemons"


@pytest.mark.slow
def test_of_two_daemons_one_waits_and_makes_what_the_other_was_at_when_it_is_killed(
    shared: Hosts, broker: str, forked: Callable[..., Fork], tmp_path: Path
) -> None:
    """Both begin at once, on hosts of their own; the worker lives on."""
    database, shared = shared.database, shared._replace(broker=broker)
    [day] = last_closed_sessions(1, dt.datetime.now(dt.UTC) - dt.timedelta(hours=8))
    with (
        hub_at(tmp_path / "hub") as hub,
        TushareServer(TushareProtocol(SmallFunds())).running() as vendor,
        contextlib.ExitStack() as stack,
    ):
        settings = {
            **settings_of(shared, vendor.url),
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": TOKEN,
            "HF_DATASET_REPO": REPO,
            "DEFAULT_START_DATE": str(day),
            "TRACKED_CODES": "",
        }
        stack.enter_context(worker(tmp_path / "worker", settings, forked))
        stack.callback(forget_steps, broker)
        both = []
        for name in ("one", "other"):
            both.append(Program(tmp_path / name, settings, "marketdata_assets", "daemon"))
            stack.callback(both[-1].kill)
        until(lambda: any(WAITS in one.said() for one in both), "one waits")
        at_work, waits = sorted(both, key=lambda one: WAITS in one.said())
        until(lambda: run_at_work(database, 0), "a run is at work")
        lost = run_at_work(database, 0)
        assert WAITS not in at_work.said()
        at_work.kill()
        until(lambda: ends_of(database, lost)[-1] == "SUCCESS", "it is made")
        waits.terminate()
        assert waits.wait() == 0, waits.said()
    # On a busy machine one may take too long to start, too.
    assert set(ends_of(database, lost)[:-1]) == {"FAILURE"}
    assert set(asked_for(database, day).values()) == {1}


def forget_steps(broker: str) -> None:
    """What the daemon was at besides is nobody's any more."""
    with Broker(broker) as connection:
        connection.default_channel.queue_purge("dagster")


def test_a_daemon_that_the_database_does_not_let_in_says_so_and_ends(
    shared: Hosts, tmp_path: Path
) -> None:
    settings = settings_of(shared._replace(database=shared.database.replace("market@", "nobody@")))
    with role(tmp_path, "daemon", **settings) as one:
        assert one.process.wait(PATIENCE) == 1, one.said()
    assert 'role "nobody" does not exist' in one.said()
    assert "MARKETDATA_DATABASE" in one.said()


def test_a_turn_whose_connection_was_cut_is_taken_again_unless_another_has_it(
    database: str,
) -> None:
    one, other = LongTurn(database, "turn"), LongTurn(database, "turn")
    with (
        psycopg.connect(database, autocommit=True) as connection,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(one.leave)
        stack.callback(other.leave)

        def cut() -> None:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
            )

        assert one.take()
        assert not other.take()
        cut()
        assert one.is_ours()
        assert not other.take()
        cut()
        assert other.take()
        assert not one.is_ours()
        other.leave()
        until(one.take, "what was left is free", PATIENCE)


def test_a_turn_is_its_holders_while_the_server_takes_the_lost_connection_for_living(
    database: str,
) -> None:
    """As when the network was gone for half a minute: only the holder has noticed."""
    holder, other = LongTurn(database, "lost"), LongTurn(database, "lost")
    with contextlib.ExitStack() as stack:
        stack.callback(holder.leave)
        stack.callback(other.leave)
        assert holder.take()
        stack.callback(os.close, holder.socket())
        here, there = socket.socketpair()
        with here, there:
            os.dup2(here.fileno(), holder._connection.fileno())
        assert not other.take()
        assert holder.is_ours()
        assert not other.take()


def test_a_turn_that_the_server_forgot_is_its_holders_first(database: str) -> None:
    """All connections are cut, as by a server that starts again."""
    holder = LongTurn(database, "forgotten")
    patient, other = (LongTurn(database, "forgotten", seconds) for seconds in (3_600, 0))
    with (
        psycopg.connect(database, autocommit=True) as connection,
        contextlib.ExitStack() as stack,
    ):
        for one in (holder, patient, other):
            stack.callback(one.leave)
        assert [holder.take(), patient.take(), other.take()] == [True, False, False]
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        for one in (patient, other):
            with pytest.raises(DatabaseRefuses):
                one.take()
        # It is free.
        assert not patient.take()
        assert holder.is_ours()
        assert not other.take()
        holder.leave()
        assert not patient.take()
        until(other.take, "what was left is free", PATIENCE)


def starts_a_program(database: str, tell: Connection) -> None:
    turn = LongTurn(database, "inherited")
    assert turn.take()
    program = subprocess.Popen(["sleep", "3600"], pass_fds=(turn.socket(),))
    tell.send(program.pid)
    program.wait()


def test_what_a_killed_daemon_has_started_holds_its_turn_until_it_ends(
    database: str, processes: ForkServerContext
) -> None:
    told, tell = processes.Pipe()
    daemon = processes.Process(target=starts_a_program, args=(database, tell))
    daemon.start()
    program, other = told.recv(), LongTurn(database, "inherited")
    daemon.kill()
    daemon.join()
    try:
        assert not other.take()
    finally:
        os.kill(program, signal.SIGKILL)
    until(other.take, "what was held is free", PATIENCE)
    other.leave()


@pytest.mark.parametrize("may", ["CREATE ON DATABASE poor", "CREATE ON SCHEMA public"])
def test_who_may_not_make_schemas_and_tables_is_told_so(database: str, may: str) -> None:
    poor = f"{database.replace('market@', 'poor@').rpartition('/')[0]}/poor"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS poor WITH (FORCE)")
        connection.execute("DROP ROLE IF EXISTS poor")
        connection.execute("CREATE ROLE poor LOGIN")
        connection.execute("CREATE DATABASE poor")
    with psycopg.connect(database.rpartition("/")[0] + "/poor", autocommit=True) as connection:
        connection.execute(f"GRANT {may} TO poor")
    with pytest.raises(DatabaseRefuses, match="the database's owner"), making_tables(poor):
        pass
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER DATABASE poor OWNER TO poor")
    with making_tables(poor):
        pass


def test_a_connection_is_kept_without_its_locks_until_the_server_ends_it(database: str) -> None:
    with kept_connection(database) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        first = connection.info.backend_pid
    with kept_connection(database) as connection:
        assert connection.info.backend_pid == first
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = %s"
        assert connection.execute(locks, (first,)).fetchone() == (0,)
    with psycopg.connect(database) as other:
        other.execute("SELECT pg_terminate_backend(%s, 60000)", (first,))
    with kept_connection(database) as connection:
        assert connection.execute("SELECT pg_backend_pid()").fetchone() != (first,)
