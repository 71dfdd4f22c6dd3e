"""A socket that listens, or a sentence naming the setting that stands in the way.

Here belongs the opening of a port. Who is answered there, and what, is each server's.
"""

import errno
import socket

from marketdata_assets.settings import SettingError

BACKLOG = 512


def listen(host: str, port: int, host_setting: str, port_setting: str) -> socket.socket:
    """Listen at `host` and `port`. Raises `SettingError` when that is not possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        # From now on questions wait until the application takes them.
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise SettingError(
                port_setting, str(port), "another program has this port, set another one"
            ) from None
        raise SettingError(host_setting, host, "this machine has no such address") from None
    return listening


def address(host: str, port: int) -> str:
    """The address a user types."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
