import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncssh
import pytest
import requests

from marketdata_assets.resources.bounded_http import CallBoundReached, WatchedAdapter, get
from marketdata_assets.resources.ssh_tunnel import SshTunnel, TunnelDown
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
    status, body = get(session, f"http://{host}/", {}, proxy, 10, bound)
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


def test_a_host_key_that_is_not_known_is_refused_with_its_fingerprint_and_the_way_to_trust_it(
    far_end: FarEnd, tunnel: SshTunnel
) -> None:
    far_end.known_hosts.write_text("", "utf-8")
    with pytest.raises(TunnelDown) as refusal:
        tunnel.proxy_url()
    assert far_end.host_key.get_fingerprint() in str(refusal.value)
    assert f"ssh-keyscan -p {far_end.port} 127.0.0.1 >> {far_end.known_hosts}" in str(refusal.value)


def test_a_host_key_that_has_changed_is_refused(far_end: FarEnd, tunnel: SshTunnel) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    far_end.known_hosts.write_text(far_end.line_for(other), "utf-8")
    with pytest.raises(TunnelDown) as refusal:
        tunnel.proxy_url()
    assert far_end.host_key.get_fingerprint() in str(refusal.value)
    assert "somebody may be between you and it" in str(refusal.value)


def test_without_a_known_hosts_file_no_host_is_trusted(far_end: FarEnd, tunnel: SshTunnel) -> None:
    far_end.known_hosts.unlink()
    with pytest.raises(TunnelDown, match="SHA256:"):
        tunnel.proxy_url()


def test_once_the_key_is_trusted_the_same_tunnel_works(far_end: FarEnd, tunnel: SshTunnel) -> None:
    right = far_end.known_hosts.read_text("utf-8")
    far_end.known_hosts.write_text("", "utf-8")
    with pytest.raises(TunnelDown):
        tunnel.proxy_url()
    far_end.known_hosts.write_text(right, "utf-8")
    assert tunnel.proxy_url().startswith("socks5h://127.0.0.1:")


def test_every_other_reason_names_the_setting(far_end: FarEnd, web: WebServer) -> None:
    far = far_end.endpoint
    stranger = far_end.folder / "stranger"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(stranger)
    rubbish = far_end.folder / "rubbish"
    rubbish.write_text("no key", "utf-8")
    for endpoint, said in [
        (far._replace(key_path=stranger), "SSH_USERNAME and SSH_KEY_PATH"),
        (far._replace(key_path=rubbish), "SSH_KEY_PATH"),
        (far._replace(key_path=far_end.folder / "nowhere"), "SSH_KEY_PATH"),
        (far._replace(port=1), "SSH_HOST and SSH_PORT"),
        (far._replace(local_port=web.server_port), "SSH_LOCAL_PORT"),
    ]:
        tunnel = SshTunnel(endpoint)
        with pytest.raises(TunnelDown, match=said):
            tunnel.proxy_url()
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
    with pytest.raises(CallBoundReached):
        fetch(session, FAR_NAME, tunnel.proxy_url(), bound=0.5)


def test_a_closed_tunnel_leaves_no_thread(far_end: FarEnd, tunnel: SshTunnel) -> None:
    tunnel.proxy_url()
    tunnel.close()
    tunnel.close()
    assert "ssh-tunnel" not in {thread.name for thread in threading.enumerate()}
