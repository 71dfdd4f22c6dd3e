"""What stands in the way of an evening, looked for beforehand.

Here belongs each look, through the clients that the evening uses. `operator_commands` prints it.
"""

import datetime as dt
import email.utils
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import requests

from marketdata_assets import environment
from marketdata_assets.api.api_settings import api_settings
from marketdata_assets.errors import MarketdataError
from marketdata_assets.listening import listen
from marketdata_assets.profile import Profile, profile, profile_root, upstream
from marketdata_assets.resources.hugging_face import HuggingFaceResource
from marketdata_assets.resources.ssh_endpoint import Endpoint
from marketdata_assets.resources.ssh_tunnel import SshTunnel
from marketdata_assets.resources.tushare_errors import Unavailable
from marketdata_assets.resources.tushare_permissions import Asked
from marketdata_assets.serving.status import Status, status
from marketdata_assets.settings import SettingError
from marketdata_assets.tables import NAME_CHANGES
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.trading_calendar import (
    SHANGHAI,
    CalendarExhausted,
    last_published_session,
    previous_session,
)
from marketdata_assets.ui.ui_settings import ui_settings

LEAST_FREE, EASY_FREE = 1_000_000_000, 10_000_000_000
MOST_SECONDS_OFF = 60
SECONDS_TO_ANSWER = 10
CALENDAR_ENDS_SOON = dt.timedelta(days=30)
# What an account may ask a minute from 5,000 points on, and below.
MANY_POINTS, MANY_CALLS, FEW_CALLS = 5_000, 500, 200
UNREACHABLE = "check the network, TUSHARE_URL and https://tushare.pro"
# What makes the days of funds, of extra tables and of shares; the others need no calls of theirs.
MADE_BY = {
    Chain.FUNDS: {"etf_chain_schedule", "missing_etf_partitions_sensor", "late_navs_sensor"},
    Chain.EXTRAS: {"extra_tables_sensor"},
    Chain.STOCKS: {
        "daily_chain_schedule",
        "missing_partitions_sensor",
        "recent_days_again_schedule",
        "past_month_again_schedule",
        "calendar_check_schedule",
    },
}


class Outcome(StrEnum):
    FINE = "ok"
    NOTE = "note"
    # The evening would not be made, or not be published.
    STOPS = "STOPS"


class Look(NamedTuple):
    """One thing, how it is, and what to do about it."""

    what: str
    outcome: Outcome
    seen: str
    cure: str = ""


def looks(env: Mapping[str, str], ui_port: int, now: dt.datetime) -> Iterator[Look]:
    """Everything, in the order in which one thing rests on another.

    `env` is the environment of this process, whose secrets the resources read.
    """
    try:
        environment.resources(env)
        known = status(env, now)
    except SettingError as error:
        yield Look("settings", Outcome.STOPS, str(error))
        return
    except CalendarExhausted as error:
        yield Look("calendar", Outcome.STOPS, str(error))
        return
    yield Look("settings", Outcome.FINE, f"{known.origin}; {profile_root(env)}")
    yield _disk(known.bytes_free)
    yield from _ports(env, ui_port, known)
    yield _calendar(now)
    asked: dict[Chain, list[Asked]] = {}
    if profile(env) is Profile.LIVE:
        yield _clock(upstream(env), now)
        day = previous_session(now.astimezone(SHANGHAI).date())
        asked = environment.asked_by_the_account(env, list(Chain), day)
        yield from _calls(asked, known)
    else:
        yield Look(
            "account", Outcome.FINE, "the sandbox needs none", "TUSHARE_TOKEN: the real market"
        )
    yield from _outside(env)
    yield from _automations(env, known, asked)


def _disk(free: int) -> Look:
    seen, cure = f"{free / 1e9:,.1f} GB free", "make room, or set MARKETDATA_HOME to another disk"
    if free < LEAST_FREE:
        return Look("disk", Outcome.STOPS, seen, cure)
    if free < EASY_FREE:
        return Look("disk", Outcome.NOTE, f"{seen}: some years, hardly twenty", cure)
    return Look("disk", Outcome.FINE, seen)


def _ports(env: Mapping[str, str], ui_port: int, known: Status) -> Iterator[Look]:
    def open_ui() -> None:
        ui = ui_settings(env, "127.0.0.1", ui_port)
        listen(ui.host, ui.port, "--host", "--port").close()

    def open_api() -> None:
        api = api_settings(env)
        listen(api.host, api.port, "API_HOST", "API_PORT").close()

    if known.dev_runs:
        yield Look("ports", Outcome.FINE, "dev runs, and has them")
        return
    yield _tried("port of the UI", open_ui, "is free")
    yield _tried("port of the API", open_api, "is free")


def _calendar(now: dt.datetime) -> Look:
    last = last_published_session()
    if last - now.astimezone(SHANGHAI).date() < CALENDAR_ENDS_SOON:
        cure = "pip install --upgrade exchange_calendars, which has next year from December on"
        return Look("calendar", Outcome.NOTE, f"known to {last}", cure)
    return Look("calendar", Outcome.FINE, f"known to {last}")


def _clock(url: str, now: dt.datetime) -> Look:
    """This machine's clock beside the vendor's, as every answer of a web server tells it."""
    try:
        with requests.get(url, timeout=SECONDS_TO_ANSWER, stream=True) as answer:
            theirs = email.utils.parsedate_to_datetime(answer.headers["Date"]).astimezone(dt.UTC)
    except (requests.RequestException, KeyError, ValueError):
        return Look("clock", Outcome.NOTE, "nobody tells the time to compare with")
    off = abs((now - theirs).total_seconds())
    if off <= MOST_SECONDS_OFF:
        return Look("clock", Outcome.FINE, "as the vendor's")
    return Look(
        "clock",
        Outcome.STOPS,
        f"{off:,.0f} s from the vendor's",
        "set it: timedatectl set-ntp true",
    )


def _calls(asked: Mapping[Chain, list[Asked]], known: Status) -> Iterator[Look]:
    everything = [one for chain in asked.values() for one in chain]
    for one in everything:
        if one.error and one.is_general:
            cure = UNREACHABLE if isinstance(one.error, Unavailable) else one.error.cure
            yield Look("token", Outcome.STOPS, one.error.what, cure)
            return
    yield Look("token", Outcome.FINE, "is taken")
    for chain, calls in asked.items():
        for one in calls:
            stops = chain is Chain.STOCKS and one.call != NAME_CHANGES.tushare.call
            bad = Outcome.STOPS if stops else Outcome.NOTE
            if one.is_closed:
                cure = f"needs an account of {one.points:,} points"
                yield Look(f"call {one.call}", bad, "closed to this account", cure)
            elif one.error:
                yield Look(f"call {one.call}", bad, "its quota is used up", one.error.cure)
            else:
                yield Look(f"call {one.call}", Outcome.FINE, f"open, from {one.points:,} points on")
    yield _allowance(everything, known)


def _allowance(asked: list[Asked], known: Status) -> Look:
    most = known.calls_per_minute or 0
    seen = f"{known.calls} of {most} calls in the last minute"
    has_many = any(one.points >= MANY_POINTS and one.error is None for one in asked)
    if has_many and most < MANY_CALLS:
        cure = f"an account of 5,000 points may have TUSHARE_CALLS_PER_MINUTE={MANY_CALLS}"
        return Look("allowance", Outcome.NOTE, seen, cure)
    if not has_many and most > FEW_CALLS:
        cure = f"below 5,000 points set TUSHARE_CALLS_PER_MINUTE={FEW_CALLS}"
        return Look("allowance", Outcome.NOTE, seen, cure)
    return Look("allowance", Outcome.FINE, seen)


def _outside(env: Mapping[str, str]) -> Iterator[Look]:
    """What the account has nothing to do with: publishing, the tunnel, who is told."""
    publisher = environment.publisher(env)
    if isinstance(publisher, HuggingFaceResource):
        hub: HuggingFaceResource = publisher.process_config_and_initialize()
        yield _tried("Hub", hub.refuse_without_write_access, f"{hub.repository} may be written")
    else:
        yield Look(
            "Hub", Outcome.FINE, "not used: published to a folder", "HF_DATASET_REPO: the Hub"
        )
    tunnel = environment.tunnel_settings(env)
    if tunnel.host:
        way = SshTunnel(
            Endpoint(
                tunnel.host,
                tunnel.port,
                tunnel.username,
                Path(tunnel.key_path),
                Path(tunnel.known_hosts),
                tunnel.local_port,
            )
        )
        try:
            yield _tried("SSH tunnel", way.proxy_url, "is built", Outcome.NOTE)
        finally:
            way.close()
    else:
        yield Look(
            "SSH tunnel", Outcome.FINE, "not used", "SSH_ENABLED: Yahoo and Coinbase through it"
        )
    if (env.get("ALERT_URLS") or "").strip():
        yield Look("alerts", Outcome.FINE, "go to ALERT_URLS")
    else:
        yield Look("alerts", Outcome.NOTE, "nobody is told of failures", "set ALERT_URLS")


def _automations(
    env: Mapping[str, str], known: Status, asked: Mapping[Chain, list[Asked]]
) -> Iterator[Look]:
    """Each schedule and sensor: whether it runs, and which to switch off."""
    from marketdata_assets.definitions import defs

    repository = defs.get_repository_def()
    names = [one.name for one in repository.schedule_defs]
    names += [one.name for one in repository.sensor_defs]
    runs_at = {run.schedule: run.at for run in known.next_runs}
    extras = environment.extra_tables(env)
    for name in names:
        chain = next((chain for chain, made in MADE_BY.items() if name in made), None)
        at = f"next {at:%Y-%m-%d %H:%M}" if (at := runs_at.get(name)) else "by itself"
        in_the_way = _in_the_way(chain, asked) if chain else None
        if name in known.switched_off:
            yield Look(name, Outcome.NOTE, "is switched off", "switch it on under Automation")
        elif chain is Chain.EXTRAS:
            seen = f"runs {at}, for {', '.join(extras)}" if extras else "has nothing to do"
            yield Look(name, Outcome.FINE, seen, "" if extras else "EXTRA_TABLES names tables")
        elif in_the_way is None:
            yield Look(name, Outcome.FINE, f"runs {at}")
        elif in_the_way.is_closed and chain is Chain.FUNDS:
            cure = f"switch it off under Automation, or get {in_the_way.points:,} points"
            yield Look(name, Outcome.NOTE, f"can't run: {in_the_way.call} is closed", cure)
        else:
            yield Look(name, Outcome.STOPS, f"can't run: see {in_the_way.call} above")
    if not known.dev_runs:
        yield Look("dev", Outcome.NOTE, "does not run, so nothing runs by itself", "marketdata dev")


def _in_the_way(chain: Chain, asked: Mapping[Chain, list[Asked]]) -> Asked | None:
    """The call without which a chain can't be made; an error that all calls meet is of all."""
    for others, calls in asked.items():
        for one in calls:
            is_needed = others is chain and one.call != NAME_CHANGES.tushare.call
            if one.is_general or (is_needed and one.error):
                return one
    return None


def _tried(
    what: str, attempt: Callable[[], object], fine: str, bad: Outcome = Outcome.STOPS
) -> Look:
    try:
        attempt()
    except MarketdataError as error:
        return Look(what, bad, str(error))
    return Look(what, Outcome.FINE, fine)
