"""A real SSH server on loopback that knows a host name nobody else knows.

Here belongs what the far end of a tunnel is and what it saw.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh

from marketdata_assets.resources.ssh_endpoint import Endpoint

FAR_NAME = "chart.only-the-far-end.invalid"


class FarEnd:
    """`names` resolve here alone, others meet the `refusal`; `asked_for` and `bytes_back` are what
    went through."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, int] = {}
        self.asked_for: list[str] = []
        self.bytes_back = 0
        self.connections: list[asyncssh.SSHServerConnection] = []
        self.refusal = asyncssh.OPEN_CONNECT_FAILED, "Connection refused"
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.rsa_key = asyncssh.generate_private_key("ssh-rsa")
        self.user_key = folder / "id"
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(self.user_key)
        self.user_key.chmod(0o600)
        key.write_public_key(folder / "authorized")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    @contextmanager
    def running(self) -> Iterator["FarEnd"]:
        self._thread.start()
        listener = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self.port = listener.get_port()
        self.known_hosts.write_text(self.line_for(self.host_key), "utf-8")
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._end(listener), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def line_for(self, key: asyncssh.SSHKey) -> str:
        return f"[127.0.0.1]:{self.port} {key.export_public_key().decode()}"

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            host="127.0.0.1",
            port=self.port,
            username="me",
            key_path=str(self.user_key),
            known_hosts=str(self.known_hosts),
        )

    def kill_connections(self) -> None:
        async def kill() -> None:
            for connection in self.connections:
                connection.abort()
                await connection.wait_closed()

        asyncio.run_coroutine_threadsafe(kill(), self._loop).result(10)

    async def _listen(self) -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            lambda: _Server(self),
            "127.0.0.1",
            0,
            server_host_keys=[self.rsa_key, self.host_key],
            authorized_client_keys=str(self.folder / "authorized"),
        )

    async def _end(self, listener: asyncssh.SSHAcceptor) -> None:
        listener.close()
        await listener.wait_closed()
        for connection in self.connections:
            connection.abort()
            await connection.wait_closed()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()


class _Server(asyncssh.SSHServer):
    def __init__(self, far_end: FarEnd) -> None:
        self._far_end = far_end

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._far_end.connections.append(conn)

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Any:
        self._far_end.asked_for.append(dest_host)
        port = self._far_end.names.get(dest_host)
        if port is None:
            raise asyncssh.ChannelOpenError(*self._far_end.refusal)

        async def forward(reader: asyncssh.SSHReader, writer: asyncssh.SSHWriter) -> None:
            near, out = await asyncio.open_connection("127.0.0.1", port)
            upward = asyncio.create_task(_pump(reader, out))
            try:
                await _pump(near, writer, self._far_end)
            finally:
                upward.cancel()
                out.close()
                await asyncio.gather(upward, out.wait_closed(), return_exceptions=True)

        return forward


async def _pump(source: Any, sink: Any, counted: FarEnd | None = None) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await source.read(65536):
            if counted is not None:
                counted.bytes_back += len(data)
            sink.write(data)
            await sink.drain()
    sink.close()
