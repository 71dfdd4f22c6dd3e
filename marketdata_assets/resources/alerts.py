"""Alerts to people, through any channel that the `apprise` library knows.

Here belongs the sending, which never fails its caller and never shows an address: the addresses
hold tokens. What is worth an alert is `automation.alerting`.
"""

import contextvars
import logging
import re
import threading
import time

import dagster as dg
from pydantic import Field

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
        channels = [
            _Channel(number, url, title, text)
            for number, url in enumerate(channel_urls(self.urls), start=1)
        ]
        if not channels:
            log.info(f"ALERT_URLS is not set, so nobody is told: {title}")
            return True
        for name in CHATTY:
            logging.getLogger(name).addFilter(_SILENCE)
        for channel in channels:
            channel.start()
        until = time.monotonic() + self.bound_seconds
        for channel in channels:
            channel.join(max(until - time.monotonic(), 0))
            outcome = channel.outcome or f"no answer within {self.bound_seconds:g} s"
            if outcome != _Channel.TAKEN:
                log.warning(
                    f"Channel {channel.number} of {len(channels)} in ALERT_URLS was not told "
                    f"'{title}': {outcome}."
                )
        return any(channel.outcome == _Channel.TAKEN for channel in channels)


def channel_urls(text: str) -> list[str]:
    """The single addresses of a setting. Commas inside an address belong to it."""
    pieces = re.split(r"\s*,\s*(?=[\w.+-]+://)|\s+", text.strip(" \t\r\n,"))
    return [piece.strip(",") for piece in pieces if piece.strip(",")]


class _Channel(threading.Thread):
    """One channel, told in a thread that nobody has to wait for."""

    TAKEN = "taken"

    def __init__(self, number: int, url: str, title: str, text: str) -> None:
        super().__init__(name=f"alert to channel {number}", daemon=True)
        self.number = number
        self.outcome = ""
        self._url, self._title, self._text = url, title, text

    def run(self) -> None:
        # Handed on to the threads that apprise starts.
        _telling.set(True)
        try:
            self.outcome = self._told()
        except Exception as error:
            # Its message may hold the address.
            self.outcome = f"failed with {type(error).__name__}"

    def _told(self) -> str:
        import apprise

        service = apprise.Apprise.instantiate(self._url)
        if service is None:
            return "apprise can't read it; write it as its documentation says"
        channel = apprise.Apprise(service)
        taken = channel.notify(
            title=self._title, body=self._text, notify_type=apprise.NotifyType.FAILURE
        )
        return self.TAKEN if taken else "it was not reached or refused the message"


class _Silence(logging.Filter):
    """Drops what libraries log while they talk to a channel."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _telling.get()


_telling = contextvars.ContextVar("telling", default=False)
_SILENCE = _Silence()
