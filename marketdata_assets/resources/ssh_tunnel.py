"""An SSH server as a way out: a SOCKS proxy on this machine whose far end is the server.

Here belongs the life of the tunnel: built when first needed, built again when found dead, closed
with the run. Who goes through it is each client's own choice, call by call, with the address that
`SshTunnel.proxy_url` gives; nothing is routed behind anybody's back.
"""

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, TypeVar

from marketdata_assets.resources.ssh_endpoint import Endpoint, TunnelDown

if TYPE_CHECKING:
    import asyncssh

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Longer than connecting and logging in may take together.
BUILD_SECONDS = 60.0
TURNS_TO_CLOSE = 5


class SshTunnel:
    """A tunnel to `endpoint`; any number of threads may ask for its address.

    The connection lives on an event loop in a thread of its own.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._listener: asyncssh.SSHListener | None = None

    def proxy_url(self) -> str:
        """The proxy's address, once it is ready; names are resolved at the far end.

        Raises `TunnelDown`.
        """
        with self._lock:
            try:
                self._run(self._ensure_up())
            except TunnelDown as down:
                logger.error("%s %s: %s", down, self._endpoint.address, down.detail)
                raise
            assert self._listener is not None
            return f"socks5h://127.0.0.1:{self._listener.get_port()}"

    def why_not(self, host: str, port: int) -> str:
        """Why nothing came through to a host, as far as the server says. Raises `TunnelDown`."""
        from marketdata_assets.resources.ssh_connection import why_not

        self.proxy_url()
        with self._lock:
            assert self._connection is not None
            return self._run(why_not(self._connection, host, port))

    def close(self) -> None:
        """Close the connection and end the thread; the tunnel may be used again."""
        with self._lock:
            if self._loop is None or self._thread is None:
                return
            self._run(self._drop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._thread = None

    async def _ensure_up(self) -> None:
        # A connection that was cut closes some turns of the loop after its end has been read.
        for _ in range(TURNS_TO_CLOSE):
            await asyncio.sleep(0)
        # The proxy listens as long as the connection lives, and keep-alives end a dead one.
        if self._connection is not None and not self._connection.is_closed():
            return
        from marketdata_assets.resources.ssh_connection import connect

        await self._drop()
        self._connection, self._listener = await connect(self._endpoint)

    async def _drop(self) -> None:
        if self._connection is not None:
            self._connection.abort()
            await self._connection.wait_closed()
        self._connection = self._listener = None

    def _run(self, work: Coroutine[object, None, T]) -> T:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._loop.run_forever, name="ssh-tunnel", daemon=True
            )
            self._thread.start()
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result(BUILD_SECONDS)
        except concurrent.futures.TimeoutError:
            running.cancel()
            raise TunnelDown(
                f"nothing within {BUILD_SECONDS:.0f} s. Check that the server is up."
            ) from None
