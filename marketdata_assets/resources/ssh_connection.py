"""One SSH connection with a SOCKS proxy on it, or the reason why there is none.

Here belongs what is said to the SSH client and what its errors mean. Importing this module imports
`asyncssh`, which is slow: import it where a connection is made. When one is made is `ssh_tunnel`.
"""

from pathlib import Path

import asyncssh

from marketdata_assets.resources.ssh_tunnel import Endpoint, TunnelDown

CONNECT_SECONDS = 20.0
KEEPALIVE_SECONDS = 15.0
MISSED_KEEPALIVES = 3


class _Client(asyncssh.SSHClient):
    """Asked about a host key that is not trusted: notes its fingerprint, and refuses."""

    fingerprint = ""

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        self.fingerprint = key.get_fingerprint()
        return False


async def connect(
    endpoint: Endpoint,
) -> tuple[asyncssh.SSHClientConnection, asyncssh.SSHListener]:
    """A connection whose host key is in the known_hosts file, and its SOCKS proxy on loopback.

    Nothing else of the user's SSH set-up is read. Raises `TunnelDown`.
    """
    client = _Client()
    try:
        connection, _ = await asyncssh.create_connection(
            lambda: client,
            endpoint.host,
            endpoint.port,
            username=endpoint.username,
            client_keys=[str(endpoint.key_path)],
            known_hosts=_known_hosts(endpoint.known_hosts),
            config=None,
            agent_path=None,
            connect_timeout=CONNECT_SECONDS,
            login_timeout=CONNECT_SECONDS,
            keepalive_interval=KEEPALIVE_SECONDS,
            keepalive_count_max=MISSED_KEEPALIVES,
        )
    except (OSError, asyncssh.Error, ValueError) as error:
        raise TunnelDown(
            f"The SSH tunnel to {endpoint} can't be built: "
            f"{_reason(endpoint, error, client.fingerprint)}"
        ) from None
    try:
        return connection, await connection.forward_socks("127.0.0.1", endpoint.local_port)
    except OSError as error:
        connection.abort()
        raise TunnelDown(
            f"Port {endpoint.local_port} of this machine can't be used for the SSH tunnel "
            f"({error.strerror}). Choose another SSH_LOCAL_PORT, or none for a free one."
        ) from None


def _known_hosts(file: Path) -> asyncssh.SSHKnownHosts:
    # Never empty bytes or None: asyncssh would read another file for the one, none for the other.
    return asyncssh.import_known_hosts(file.read_text("utf-8") if file.exists() else "")


def _reason(endpoint: Endpoint, error: Exception, fingerprint: str) -> str:
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return (
            f"its host key {fingerprint or '(revoked or unreadable)'} is not the one in "
            f"{endpoint.known_hosts}. Run `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on "
            "the server itself; if it shows the same fingerprint, trust it with `ssh-keyscan -p "
            f"{endpoint.port} {endpoint.host} >> {endpoint.known_hosts}`. If the file already has "
            "another key of this server, somebody may be between you and it."
        )
    if isinstance(error, asyncssh.PermissionDenied):
        return "the server refuses the key. Check SSH_USERNAME and SSH_KEY_PATH."
    if isinstance(error, asyncssh.KeyImportError) or not endpoint.key_path.is_file():
        return f"{endpoint.key_path} is no private key without a passphrase. Check SSH_KEY_PATH."
    what = str(error) or type(error).__name__
    return f"{what}. Check SSH_HOST and SSH_PORT, and that the server is up."
