"""A socket that listens, or a sentence naming the setting that stands in the way.

Here belongs the opening of a port, when it needs a token, and which names are this machine's: a
page that had its own name pointed here asks by that one, and rows from a server on it are
simulated. Who is answered, and what, is each server's.
"""

import errno
import functools
import ipaddress
import re
import socket
from collections.abc import Mapping

from marketdata_assets.settings import SettingError

BACKLOG = 512


def token(env: Mapping[str, str], name: str, host: str, host_setting: str) -> str:
    """The token of a server that listens at `host`; empty where only this machine may ask.

    Raises `SettingError`, also for an open door without a token.
    """
    given = (env.get(name) or "").strip()
    if not is_loopback(host) and not given:
        how = "set {setting} too, for other machines reach it there, or leave it at 127.0.0.1"
        raise SettingError(host_setting, host, how, setting=name)
    if given and not re.fullmatch(r"[!-~]{16,}", given):
        raise SettingError(name, "***", "write 16 or more ASCII characters, without spaces")
    return given


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
            how = (
                "another program has this port, set another one"
                if error.errno == errno.EADDRINUSE
                else "your user may not listen at this port, set one from 1024 on"
            )
            raise SettingError(port_setting, str(port), how) from None
        raise SettingError(host_setting, host, "this machine has no such address") from None
    return listening


def address(host: str, port: int) -> str:
    """The address a user types."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host by that name or address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_simulated(origin: str) -> bool:
    """Whether rows of this origin are the simulated exchange's, embedded or on a local server."""
    return origin.startswith("sandbox") or is_loopback(origin.rpartition(", ")[2])


@functools.lru_cache(maxsize=100)
def asks_this_machine(host: str) -> bool:
    """Whether a Host header names this machine, with or without a port."""
    if host.startswith("["):
        return is_loopback(host.partition("]")[0])
    return is_loopback(host.rpartition(":")[0] or host)
