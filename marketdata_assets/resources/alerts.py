"""Alerts to people, through any channel that the `apprise` library knows.

Here belongs the sending, which never fails its caller and never shows an address: the addresses
hold tokens. What is worth an alert is `automation.alerting`.
"""

import contextvars
import functools
import logging
import re
from concurrent.futures import wait

import dagster as dg
from pydantic import Field

from marketdata_assets.resources.time_bound import begun

TAKEN = "taken"
# Libraries that log addresses at some level.
CHATTY = ("apprise", "requests", "urllib3.connectionpool", "urllib3.util.retry")


class AlertsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """People's channels: `urls` as apprise writes them, separated by spaces, lines or commas.

    All channels are tried at once, and for `bound_seconds` at most.
    """

    urls: str = Field(default="", repr=False)
    bound_seconds: float = 20.0

    def send(self, title: str, text: str, log: logging.Logger) -> bool:
        """Send to every channel; whether there is nothing to try again: one took it, or none is.

        A channel that fails is logged by its place in the setting, never by its address.
        """
        urls = channel_urls(self.urls)
        if not urls:
            log.info(f"ALERT_URLS is not set, so nobody is told: {title}")
            return True
        for name in CHATTY:
            logging.getLogger(name).addFilter(_is_not_of_telling)
        channels = [begun(functools.partial(_told, url, title, text)) for url in urls]
        told, _ = wait(channels, self.bound_seconds)
        outcomes = [
            one.result() if one in told else f"no answer within {self.bound_seconds:g} s"
            for one in channels
        ]
        for number, outcome in enumerate(outcomes, start=1):
            if outcome != TAKEN:
                log.warning(
                    f"Channel {number} of {len(urls)} in ALERT_URLS was not told '{title}': "
                    f"{outcome}."
                )
        return TAKEN in outcomes


def channel_urls(text: str) -> list[str]:
    """The single addresses of a setting. Commas inside an address belong to it."""
    pieces = re.split(r"\s*,\s*(?=[\w.+-]+://)|\s+", text.strip(" \t\r\n,"))
    return [piece.strip(",") for piece in pieces if piece.strip(",")]


def _told(url: str, title: str, text: str) -> str:
    """What became of telling one channel."""
    # Handed on to the threads that apprise starts.
    _telling.set(True)
    try:
        import apprise

        service = apprise.Apprise.instantiate(url)
        if service is None:
            return "apprise can't read it; write it as its documentation says"
        taken = apprise.Apprise(service).notify(
            title=title, body=text, notify_type=apprise.NotifyType.FAILURE
        )
        return TAKEN if taken else "it was not reached or refused the message"
    except Exception as error:
        # Its message may hold the address.
        return f"failed with {type(error).__name__}"


def _is_not_of_telling(record: logging.LogRecord) -> bool:
    """Whether a library logs it at another time than while it talks to a channel."""
    return not _telling.get()


_telling = contextvars.ContextVar("telling", default=False)
