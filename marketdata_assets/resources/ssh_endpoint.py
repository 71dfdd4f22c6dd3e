"""Where an SSH tunnel goes, and how it is said that there is none.

Here belongs what the tunnel, its connection and its settings share.
"""

import dagster as dg

from marketdata_assets.errors import MarketdataError


class TunnelDown(MarketdataError):
    """The tunnel can't be built; the text says why and what to do.

    It names settings, never the server: clients of the API read why a request failed. `detail` is
    for whoever has set the tunnel up, and goes to the log.
    """

    def __init__(self, why: str, detail: str = "") -> None:
        self.detail = detail
        super().__init__(f"The SSH tunnel can't be built: {why}")


class Endpoint(dg.Config):
    """Where the tunnel goes; without `host` there is none. `local_port` 0 takes any free port."""

    host: str = ""
    port: int = 22
    username: str = ""
    key_path: str = ""
    known_hosts: str = ""
    local_port: int = 0

    @property
    def address(self) -> str:
        return f"{self.username}@{self.host}:{self.port}"
