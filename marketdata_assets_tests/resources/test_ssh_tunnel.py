import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import asyncssh
import pytest
import requests

from marketdata_assets.resources.bounded_http import WatchedAdapter, ask
from marketdata_assets.resources.rate_limit import Allowance
from marketdata_assets.resources.sources.web import NoJson, WebSource
from marketdata_assets.resources.ssh_endpoint import TunnelDown
from marketdata_assets.resources.ssh_tunnel import SshTunnel
from marketdata_assets.resources.time_bound import TimeIsUp
from marketdata_assets_tests.resources.ssh_server import FAR_NAME, FarEnd
from marketdata_assets_tests.resources.web_server import Reply, WebServer

BODY = b"x" * 100_000


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer(lambda asked: Reply(BODY)).running() as web:
        yield web


@pytest.fixture
def far_end(web: WebServer, tmp_path: Path) -> Iterator[FarEnd]:
    with FarEnd(tmp_path).running() as far_end:
        far_end.names = {FAR_NAME: web.server_port}
        yield far_end


@pytest.fixture
def tunnel(far_end: FarEnd) -> Iterator[SshTunnel]:
    tunnel = SshTunnel(far_end.endpoint)
    yield tunnel
    tunnel.close()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.mount("http://", WatchedAdapter())
        yield session


def fetch(session: requests.Session, host: str, proxy: str | None, bound: float = 20) -> bytes:
    status, body = ask(session, "GET", f"http://{host}/", 10, bound, proxies={"http": proxy})
    assert status == 200
    return body


def test_bytes_go_through_the_tunnel_and_the_name_is_resolved_at_the_far_end(
    far_end: FarEnd, tunnel: SshTunnel, session: requests.Session
) -> None:
    with pytest.raises(requests.ConnectionError):
        fetch(session, FAR_NAME, None)
    assert fetch(session, FAR_NAME, tunnel.proxy_url()) == BODY
    assert far_end.asked_for == [FAR_NAME]
    assert far_end.bytes_back > len(BODY)


def test_nothing_is_connected_before_somebody_asks(far_end: FarEnd, tunnel: SshTunnel) -> None:
    assert far_end.connections == []
    tunnel.proxy_url()
    tunnel.proxy_url()
    assert len(far_end.connections) == 1


def test_a_killed_connection_is_built_again(
    far_end: FarEnd, tunnel: SshTunnel, session: requests.Session
) -> None:
    assert fetch(session, FAR_NAME, tunnel.proxy_url()) == BODY
    far_end.kill_connections()
    assert fetch(session, FAR_NAME, tunnel.proxy_url()) == BODY
    assert len(far_end.connections) == 2


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What whoever has set the tunnel up reads; clients of the API read the error alone."""
    with caplog.at_level(logging.ERROR):
        yield caplog


def refused(tunnel: SshTunnel) -> str:
    with pytest.raises(TunnelDown) as refusal:
        tunnel.proxy_url()
    return str(refusal.value)


def test_of_a_server_that_is_not_known_the_ed25519_key_is_shown_and_the_way_to_trust_it(
    far_end: FarEnd, tunnel: SshTunnel, log: pytest.LogCaptureFixture
) -> None:
    far_end.known_hosts.write_text("", "utf-8")
    assert "is not in SSH_KNOWN_HOSTS. The run's stderr shows it" in refused(tunnel)
    assert far_end.host_key.get_fingerprint() in log.text
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in log.text
    keyscan = f"ssh-keyscan -t ed25519 -p {far_end.port} 127.0.0.1 >> {far_end.known_hosts}"
    assert keyscan in log.text


def test_a_server_known_by_its_rsa_key_is_trusted_by_it(
    far_end: FarEnd, tunnel: SshTunnel, log: pytest.LogCaptureFixture
) -> None:
    far_end.known_hosts.write_text(far_end.line_for(far_end.rsa_key), "utf-8")
    assert tunnel.proxy_url()
    tunnel.close()
    other = asyncssh.generate_private_key("ssh-rsa")
    far_end.known_hosts.write_text(far_end.line_for(other), "utf-8")
    refused(tunnel)
    assert far_end.rsa_key.get_fingerprint() in log.text
    assert "/etc/ssh/ssh_host_rsa_key.pub" in log.text
    assert "ssh-keyscan -t rsa" in log.text


def test_a_host_key_that_has_changed_is_refused(
    far_end: FarEnd, tunnel: SshTunnel, log: pytest.LogCaptureFixture
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    far_end.known_hosts.write_text(far_end.line_for(other), "utf-8")
    refused(tunnel)
    assert far_end.host_key.get_fingerprint() in log.text
    assert "somebody may be between you and it" in log.text


def test_without_a_known_hosts_file_no_host_is_trusted(far_end: FarEnd, tunnel: SshTunnel) -> None:
    far_end.known_hosts.unlink()
    assert "is not in SSH_KNOWN_HOSTS" in refused(tunnel)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_private_key_that_others_can_read_is_not_used(
    far_end: FarEnd, tunnel: SshTunnel, mode: int
) -> None:
    far_end.user_key.chmod(mode)
    assert "others can read the private key of SSH_KEY_PATH" in refused(tunnel)
    assert far_end.connections == []
    far_end.user_key.chmod(0o400)
    assert tunnel.proxy_url()


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        # The codes and words are OpenSSH's.
        ((asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "open failed"), "AllowTcpForwarding to yes"),
        (
            (asyncssh.OPEN_CONNECT_FAILED, "Name or service not known"),
            "does not know the name elsewhere.invalid. Check the DNS of that machine",
        ),
        (
            (asyncssh.OPEN_CONNECT_FAILED, "Connection refused"),
            "can't reach elsewhere.invalid:80. Look whether that machine can",
        ),
    ],
)
def test_it_is_told_why_the_far_end_lets_nothing_through(
    far_end: FarEnd, tunnel: SshTunnel, refusal: tuple[int, str], said: str
) -> None:
    far_end.refusal = refusal
    with closing(Allowance(1000, far_end.folder / "allowance")) as allowance:
        site = WebSource(allowance, tunnel, "http://elsewhere.invalid")
        with pytest.raises(NoJson) as failed:
            site.get("/chart", {})
        site.close()
    assert said in str(failed.value)
    assert "127.0.0.1" not in str(failed.value)


def test_once_the_key_is_trusted_the_same_tunnel_works(far_end: FarEnd, tunnel: SshTunnel) -> None:
    right = far_end.known_hosts.read_text("utf-8")
    far_end.known_hosts.write_text("", "utf-8")
    with pytest.raises(TunnelDown):
        tunnel.proxy_url()
    far_end.known_hosts.write_text(right, "utf-8")
    assert tunnel.proxy_url().startswith("socks5h://127.0.0.1:")


def test_every_other_reason_names_the_setting_and_not_the_server(
    far_end: FarEnd, web: WebServer
) -> None:
    far = far_end.endpoint
    stranger, rubbish = far_end.folder / "stranger", far_end.folder / "rubbish"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(stranger)
    rubbish.write_text("no key", "utf-8")
    for path in (stranger, rubbish):
        path.chmod(0o600)
    for endpoint, said in [
        (far.model_copy(update={"key_path": str(stranger)}), "SSH_USERNAME and SSH_KEY_PATH"),
        (far.model_copy(update={"key_path": str(rubbish)}), "SSH_KEY_PATH"),
        (far.model_copy(update={"key_path": str(far_end.folder / "nowhere")}), "SSH_KEY_PATH"),
        (far.model_copy(update={"host": "nowhere.invalid"}), "the name in SSH_HOST has no address"),
        (far.model_copy(update={"port": 1}), "does not answer. Check SSH_HOST and SSH_PORT"),
        (far.model_copy(update={"local_port": web.server_port}), "SSH_LOCAL_PORT"),
    ]:
        tunnel = SshTunnel(endpoint)
        told = refused(tunnel)
        assert said in told
        for secret in (endpoint.host, f"{endpoint.port} ", "me@", str(far_end.folder)):
            assert secret not in told
        tunnel.close()


@pytest.mark.parametrize("content", [None, b"one-word\n"])
def test_a_known_hosts_file_that_can_not_be_read_names_its_setting(
    far_end: FarEnd, tunnel: SshTunnel, log: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    far_end.known_hosts.unlink()
    if content is None:
        far_end.known_hosts.mkdir()
    else:
        far_end.known_hosts.write_bytes(content)
    told = refused(tunnel)
    assert "the file of SSH_KNOWN_HOSTS can't be read" in told
    assert str(far_end.known_hosts) not in told
    assert str(far_end.known_hosts) in log.text


def test_a_remark_in_another_encoding_does_not_matter(far_end: FarEnd, tunnel: SshTunnel) -> None:
    known = far_end.known_hosts.read_bytes()
    far_end.known_hosts.write_bytes("# 主机\n".encode("gbk") + known)
    assert tunnel.proxy_url()


def test_a_path_that_no_file_can_have_names_its_setting(far_end: FarEnd) -> None:
    tunnel = SshTunnel(far_end.endpoint.model_copy(update={"key_path": "k" * 300}))
    assert "SSH_KEY_PATH names no private key" in refused(tunnel)
    tunnel.close()


def test_two_threads_at_once_are_not_mixed(
    far_end: FarEnd, tunnel: SshTunnel, session: requests.Session, web: WebServer
) -> None:
    near = f"127.0.0.1:{web.server_port}"
    both = threading.Barrier(2)

    def ask(host: str, through: bool) -> None:
        with requests.Session() as own:
            own.mount("http://", WatchedAdapter())
            for _ in range(20):
                both.wait(10)
                fetch(own, host, tunnel.proxy_url() if through else None)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(ask, FAR_NAME, True), pool.submit(ask, near, False)]:
            done.result(60)
    assert set(far_end.asked_for) == {FAR_NAME}
    assert [asked.host for asked in web.asked].count(near) == 20
    assert [asked.host for asked in web.asked].count(FAR_NAME) == 20


def test_an_answer_that_drips_through_the_tunnel_is_given_up_in_time(
    tunnel: SshTunnel, session: requests.Session, web: WebServer
) -> None:
    web.replies.append(Reply(BODY, drip_seconds=0.05))
    with pytest.raises(TimeIsUp):
        fetch(session, FAR_NAME, tunnel.proxy_url(), bound=0.5)


def test_a_closed_tunnel_leaves_no_thread(far_end: FarEnd, tunnel: SshTunnel) -> None:
    tunnel.proxy_url()
    tunnel.close()
    tunnel.close()
    assert "ssh-tunnel" not in {thread.name for thread in threading.enumerate()}
