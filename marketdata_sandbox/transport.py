"""The sandbox without a network: requests answered in the same process.

Here belongs the one seam between the platform's client and the sandbox. The same protocol over
real HTTP, with faults, is `server`.
"""

import functools
import io
from pathlib import Path

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

from marketdata_assets.resources.tushare import TushareResource
from marketdata_sandbox.protocol import TushareProtocol

SANDBOX_URL = "https://sandbox.invalid/dataapi"
UNHURRIED = 60_000


@functools.cache
def embedded_exchange() -> TushareProtocol:
    """The process's own exchange: its history is simulated once, on the first call."""
    from marketdata_sandbox.habits.vendor import VendorHabits
    from marketdata_sandbox.market.exchange import SimulatedExchange

    return TushareProtocol(VendorHabits(SimulatedExchange()))


class InProcessTransport(HTTPAdapter):
    """Hands a request to `protocol` and its answer back, as an HTTP response."""

    def __init__(self, protocol: TushareProtocol) -> None:
        super().__init__()
        self._protocol = protocol

    def send(
        self, request: requests.PreparedRequest, *args: object, **kwargs: object
    ) -> requests.Response:
        assert isinstance(request.body, bytes)
        raw = HTTPResponse(
            body=io.BytesIO(self._protocol.answer(request.body)),
            headers={"Content-Type": "application/json"},
            status=200,
            preload_content=False,
        )
        return self.build_response(request, raw)


class SandboxTushare(TushareResource):
    """Tushare as the platform knows it, served by the embedded exchange."""

    @property
    def calls_in_flight(self) -> int:
        # It answers one at a time: who asks more often at once holds more answers.
        return 2

    def transport(self) -> BaseAdapter:
        return InProcessTransport(embedded_exchange())


def sandbox_tushare(state_folder: Path) -> SandboxTushare:
    return SandboxTushare(
        token="sandbox",
        url=SANDBOX_URL,
        calls_per_minute=UNHURRIED,
        state_folder=str(state_folder),
    )
