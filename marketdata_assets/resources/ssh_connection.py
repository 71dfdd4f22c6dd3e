"""One SSH connection with a SOCKS proxy on it, or the reason why there is none.

Here belongs what is said to the SSH client and what its errors mean. Importing this module imports
`asyncssh`, which is slow: import it where a connection is made. When one is made is `ssh_tunnel`.
"""

import asyncio
import os
import socket
import stat
from pathlib import Path

import asyncssh

from marketdata_assets.resources.ssh_endpoint import Endpoint, TunnelDown

CONNECT_SECONDS = 20.0
KEEPALIVE_SECONDS = 15.0
MISSED_KEEPALIVES = 3
ED25519_FIRST = "^ssh-ed25519"
# The file of a host key on the server, and what `ssh-keyscan -t` calls it, by how it begins.
KEY_FILES = {"ssh-ed25519": "ed25519", "ecdsa": "ecdsa", "ssh-rsa": "rsa", "ssh-dss": "dsa"}
# What servers pass on of a name that they could not resolve.
UNKNOWN_NAMES = {
    "Name or service not known",
    "Temporary failure in name resolution",
    "No address associated with hostname",
    "nodename nor servname provided, or not known",
}


class _Client(asyncssh.SSHClient):
    """Asked about a host key that is not trusted: notes it, and refuses."""

    key: asyncssh.SSHKey | None = None

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        self.key = key
        return False


async def connect(
    endpoint: Endpoint,
) -> tuple[asyncssh.SSHClientConnection, asyncssh.SSHListener]:
    """A connection whose host key is in the known_hosts file, and its SOCKS proxy on loopback.

    Nothing else of the user's SSH set-up is read. Raises `TunnelDown`.
    """
    client = _Client()
    known = _known_hosts(Path(endpoint.known_hosts))
    try:
        _refuse_open_key(Path(endpoint.key_path))
        connection, _ = await asyncssh.create_connection(
            lambda: client,
            endpoint.host,
            endpoint.port,
            username=endpoint.username,
            client_keys=[endpoint.key_path],
            known_hosts=known,
            # A server that is not known yet shows the key whose file people know.
            server_host_key_algs=() if _is_known(endpoint, known) else ED25519_FIRST,
            config=None,
            agent_path=None,
            connect_timeout=CONNECT_SECONDS,
            login_timeout=CONNECT_SECONDS,
            keepalive_interval=KEEPALIVE_SECONDS,
            keepalive_count_max=MISSED_KEEPALIVES,
        )
    except (OSError, asyncssh.Error, ValueError) as error:
        raise _down(endpoint, error, client.key) from None
    try:
        return connection, await connection.forward_socks("127.0.0.1", endpoint.local_port)
    except OSError as error:
        connection.abort()
        raise TunnelDown(
            "its port on this machine can't be used. Choose another SSH_LOCAL_PORT, or none for a "
            "free one.",
            str(error.strerror),
        ) from None


async def why_not(connection: asyncssh.SSHClientConnection, host: str, port: int) -> str:
    """Why the server lets nothing through to a host; empty where it does."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await connection.open_connection(host, port, encoding=None)
    except asyncssh.ChannelOpenError as error:
        if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
            return (
                "the SSH server forwards nothing. Set AllowTcpForwarding to yes, and PermitOpen to "
                "any, in its sshd_config."
            )
        if error.reason in UNKNOWN_NAMES:
            return f"the SSH server does not know the name {host}. Check the DNS of that machine."
        return f"the SSH server can't reach {host}:{port}. Look whether that machine can."
    except (TimeoutError, OSError, asyncssh.Error):
        return f"the SSH server did not reach {host}:{port} in time. Look whether that machine can."
    writer.close()
    return ""


def _known_hosts(file: Path) -> asyncssh.SSHKnownHosts:
    try:
        # Never empty bytes or None: asyncssh would read another file for the one, none for the
        # other.
        known = file.read_text("utf-8", "replace") if file.exists() else ""
        return asyncssh.import_known_hosts(known)
    except (OSError, ValueError) as error:
        raise TunnelDown(
            "the file of SSH_KNOWN_HOSTS can't be read. The run's stderr shows why.",
            f"{file}: {error}",
        ) from None


def _is_known(endpoint: Endpoint, known: asyncssh.SSHKnownHosts) -> bool:
    return any(asyncssh.match_known_hosts(known, endpoint.host, "", endpoint.port))


def _refuse_open_key(path: Path) -> None:
    """As ssh does, for a key of one's own. Raises `TunnelDown`."""
    if path.is_file():
        status = path.stat()
        if status.st_uid == os.getuid() and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise TunnelDown(
                "others can read the private key of SSH_KEY_PATH, so it is not used. Run chmod "
                "600 on the file.",
                f"chmod 600 {path}",
            )


def _down(endpoint: Endpoint, error: Exception, key: asyncssh.SSHKey | None) -> TunnelDown:
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return TunnelDown(
            "the host key of the server is not in SSH_KNOWN_HOSTS. The run's stderr shows it, and "
            "how to trust it.",
            _how_to_trust(endpoint, key),
        )
    if isinstance(error, asyncssh.PermissionDenied):
        return TunnelDown("the server refuses the key. Check SSH_USERNAME and SSH_KEY_PATH.")
    # Of a file, not of a connection: the key's.
    if isinstance(error, asyncssh.KeyImportError) or getattr(error, "filename", None):
        return TunnelDown(
            "SSH_KEY_PATH names no private key without a passphrase.", endpoint.key_path
        )
    if isinstance(error, socket.gaierror):
        return TunnelDown(
            "the name in SSH_HOST has no address. Check its spelling, and the DNS of this machine."
        )
    return TunnelDown(
        "the server does not answer. Check SSH_HOST and SSH_PORT, and that it is up.",
        str(error) or type(error).__name__,
    )


def _how_to_trust(endpoint: Endpoint, key: asyncssh.SSHKey | None) -> str:
    if key is None:
        return f"its host key is revoked, in {endpoint.known_hosts}, or can't be read."
    algorithm = key.get_algorithm()
    kind = next((KEY_FILES[known] for known in KEY_FILES if algorithm.startswith(known)), "*")
    return (
        f"its host key is {key.get_fingerprint()} ({algorithm}). Run `ssh-keygen -lf "
        f"/etc/ssh/ssh_host_{kind}_key.pub` on the server itself; if it shows the same "
        f"fingerprint, trust it with `ssh-keyscan -t {kind} -p {endpoint.port} {endpoint.host} >> "
        f"{endpoint.known_hosts}`. If the file already has another key of this server, somebody "
        "may be between you and it."
    )
