import logging
import time
from collections import deque

import pytest

from marketdata_assets.resources.alerts import AlertsResource, channel_urls
from marketdata_assets_tests.alert_server import TOKEN, AlertServer

log = logging.getLogger("test_alerts")


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)


def test_without_channels_there_is_a_line_in_the_log_and_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert AlertsResource().send("a day", "is missing", log)
    assert caplog.messages == ["ALERT_URLS is not set, so nobody is told: a day"]


def test_every_channel_is_told(alert_server: AlertServer) -> None:
    with AlertServer().running() as other:
        alerts = AlertsResource(urls=f"{alert_server.address()}, {other.address()}\n")
        assert alerts.send("2024-10-08 is not complete", "not stored: daily_kline", log)
        for channel in (alert_server, other):
            [told] = channel.told
            assert told["title"] == "2024-10-08 is not complete"
            assert told["message"] == "not stored: daily_kline"
            assert TOKEN in channel.paths[0]


def no_secret(text: str) -> bool:
    return TOKEN not in text and "/hook/" not in text


def test_a_channel_that_refuses_is_logged_without_its_address_and_the_others_are_told(
    alert_server: AlertServer, caplog: pytest.LogCaptureFixture
) -> None:
    with AlertServer().running() as other:
        alert_server.faults["alert"] = deque([lambda handler: handler.reply(500)])
        alerts = AlertsResource(urls=f"{alert_server.address()} {other.address()}")
        assert alerts.send("a day", "is missing", log)
        assert len(other.told) == 1
    [warning] = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert "Channel 1 of 2 in ALERT_URLS was not told 'a day'" in warning
    assert no_secret(caplog.text)


def test_when_no_channel_takes_it_the_sender_is_told_so(
    alert_server: AlertServer, caplog: pytest.LogCaptureFixture
) -> None:
    alert_server.faults["alert"] = deque([lambda handler: handler.reply(500)])
    assert not AlertsResource(urls=alert_server.address()).send("a day", "is missing", log)
    gone = AlertsResource(urls=f"json://u:{TOKEN}@127.0.0.1:9/hook/{TOKEN}")
    assert not gone.send("a day", "is missing", log)
    assert no_secret(caplog.text)


def test_a_channel_that_hangs_is_given_up_in_time(
    alert_server: AlertServer, caplog: pytest.LogCaptureFixture
) -> None:
    alert_server.faults["alert"] = deque([alert_server.hang])
    alerts = AlertsResource(urls=alert_server.address("&rto=60"), bound_seconds=0.3)
    alerts_began = time.monotonic()
    assert not alerts.send("a day", "is missing", log)
    assert time.monotonic() - alerts_began < 10
    assert "Channel 1 of 1 in ALERT_URLS was not told 'a day': no answer within 0.3 s" in (
        caplog.text
    )
    assert no_secret(caplog.text)


@pytest.mark.parametrize(
    "address", [f"unheard-of://{TOKEN}/hook/", f"json://:{TOKEN}@/hook/", f"slack://{TOKEN}/hook/"]
)
def test_what_apprise_can_not_read_is_told_without_showing_it(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert not AlertsResource(urls=address).send("a day", "is missing", log)
    assert "apprise can't read it" in caplog.text
    assert no_secret(caplog.text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        (" , ", 0),
        ("json://a", 1),
        ("json://a,json://b", 2),
        ("json://a json://b\njson://c", 3),
        ("json://a , json://b,", 2),
        ("mailto://u:p@h?to=a@b,c@d, json://b", 2),
    ],
)
def test_addresses_are_separated_by_spaces_lines_and_commas(text: str, count: int) -> None:
    assert len(channel_urls(text)) == count


def test_the_addresses_are_not_shown() -> None:
    assert TOKEN not in repr(AlertsResource(urls=f"json://{TOKEN}@host"))
