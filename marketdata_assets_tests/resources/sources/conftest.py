"""The Chinese sites on loopback, behind a proxy that speaks for all, and AKShare's process."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.sources.akshare import AkshareWorker
from marketdata_assets_tests.resources.sources.china_sites import HOSTS, china_sites
from marketdata_assets_tests.resources.web_server import WebServer

UNHURRIED = 60_000


@pytest.fixture(scope="session")
def allowance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Allowance]:
    allowance = Allowance(UNHURRIED, tmp_path_factory.mktemp("allowance") / "calls.sqlite")
    yield allowance
    allowance.close()


@pytest.fixture(scope="package")
def sites_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A proxy under a certificate authority of its own; the environment leads there."""
    authority = trustme.CA()
    bundle: Path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*HOSTS).configure_cert(tls)
    with WebServer(china_sites, tls).running() as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", proxy.url)
        patch.setenv("HTTP_PROXY", proxy.url)
        patch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        # Only the sites' names: what other tests serve on loopback is reached directly.
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        yield proxy


@pytest.fixture(scope="package")
def _worker(sites_proxy: WebServer) -> Iterator[AkshareWorker]:
    worker = AkshareWorker()
    yield worker
    worker.close()


@pytest.fixture
def worker(sites_proxy: WebServer, _worker: AkshareWorker) -> AkshareWorker:
    """The process, its way out leading to a proxy that has forgotten the tests before."""
    sites_proxy.asked.clear()
    sites_proxy.replies.clear()
    return _worker
