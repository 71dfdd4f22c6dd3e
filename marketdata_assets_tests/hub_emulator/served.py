"""What a server of the protocol serves: repositories, and by which ways content comes and goes."""

from dataclasses import dataclass

from marketdata_assets_tests.hub_emulator.store import HubStore
from marketdata_assets_tests.hub_emulator.xet import XetContent

REGULAR_AT_MOST = 10_000_000
# As in the queries of the storage behind the Hub: whoever logs whole URLs logs this.
SIGNATURE = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=5e4f9c0ffee5e4f9"


@dataclass
class Served:
    """`token` is the only one accepted, None accepts any; files of up to `regular_at_most` bytes
    are part of the commit; with `xet` others may come through xet as well as LFS. What a token
    `may_write` is told when asked.
    """

    store: HubStore
    token: str | None = None
    regular_at_most: int = REGULAR_AT_MOST
    xet: XetContent | None = None
    may_write: bool = True
