"""Where an SSH tunnel goes, and how it is said that there is none.

Here belongs what the tunnel and its connection share.
"""

from pathlib import Path
from typing import NamedTuple

from marketdata_assets.errors import MarketdataError


class TunnelDown(MarketdataError):
    """The tunnel can't be built; the text says why and what to do.

    It names settings, never the server: clients of the API read why a request failed. `detail` is
    for whoever has set the tunnel up, and goes to the log.
    """

    def __init__(self, why: str, detail: str = "") -> None:
        self.detail = detail
        super().__init__(f"The SSH tunnel can't be built: {why}")


class Endpoint(NamedTuple):
    """Where the tunnel goes. `local_port` 0 takes any free port."""

    host: str
    port: int
    username: str
    key_path: Path
    known_hosts: Path
    local_port: int = 0

    def __str__(self) -> str:
        return f"{self.username}@{self.host}:{self.port}"
