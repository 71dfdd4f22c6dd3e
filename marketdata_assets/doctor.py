"""What stands in the way of an evening, looked for beforehand.

Here belongs each look, through the clients that the evening uses. `operator_commands` prints it.
"""

import datetime as dt
import email.utils
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from enum import StrEnum
from typing import NamedTuple

import requests

from marketdata_assets import environment
from marketdata_assets.api.api_settings import api_settings
from marketdata_assets.command_texts import text
from marketdata_assets.errors import MarketdataError
from marketdata_assets.listening import listen
from marketdata_assets.profile import Profile, profile, profile_root, upstream
from marketdata_assets.resources.hugging_face import HuggingFaceResource
from marketdata_assets.resources.ssh_tunnel import SshTunnel
from marketdata_assets.resources.tushare_errors import Unavailable
from marketdata_assets.resources.tushare_permissions import Asked
from marketdata_assets.serving.status import Status, programs_running, status
from marketdata_assets.settings import SettingError
from marketdata_assets.tables import NAME_CHANGES
from marketdata_assets.tables.declaration import Chain
from marketdata_assets.trading_calendar import (
    RENEW_IT,
    SHANGHAI,
    ends_soon,
    is_known,
    last_published_session,
    last_session_over,
    previous_session,
)
from marketdata_assets.ui.guard import ui_settings

LEAST_FREE, EASY_FREE = 1_000_000_000, 10_000_000_000
MOST_SECONDS_OFF = 60
SECONDS_TO_ANSWER = 10
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
        yield _look("settings", Outcome.STOPS, str(error))
        return
    yield _look("settings", Outcome.FINE, f"{text(known.origin)}{text('; ')}{profile_root(env)}")
    yield _disk(known.bytes_free)
    yield from _ports(env, ui_port)
    yield _calendar(now)
    asked: dict[Chain, list[Asked]] = {}
    if profile(env) is Profile.LIVE:
        yield _clock(upstream(env), now)
        day = previous_session(last_session_over(now))
        asked = environment.asked_by_the_account(env, list(Chain), day)
        yield from _calls(asked, known)
    else:
        seen, real = "the sandbox needs none", "TUSHARE_TOKEN: the real market"
        yield _look("account", Outcome.FINE, seen, real)
    yield from _outside(env)
    yield from _automations(env, known, asked)


def _disk(free: int) -> Look:
    size, cure = f"{free / 1e9:,.1f} GB", "make room, or set MARKETDATA_HOME to another disk"
    if free < LEAST_FREE:
        return _look("disk", Outcome.STOPS, "{size} free", cure, size=size)
    if free < EASY_FREE:
        seen = "{size} free: some years, hardly twenty"
        return _look("disk", Outcome.NOTE, seen, cure, size=size)
    return _look("disk", Outcome.FINE, "{size} free", size=size)


def _ports(env: Mapping[str, str], ui_port: int) -> Iterator[Look]:
    def open_ui() -> None:
        ui = ui_settings(env, "127.0.0.1", ui_port)
        held.enter_context(listen(ui.host, ui.port, "--host", "--port"))

    def open_api() -> None:
        api = api_settings(env)
        held.enter_context(listen(api.host, api.port, "API_HOST", "API_PORT"))

    running = programs_running(profile_root(env))
    if running == "dev":
        yield _look("ports", Outcome.FINE, "dev runs, and has them")
        return
    # Beside a daemon they may well be taken, by `web` and `serve`.
    bad = Outcome.NOTE if running else Outcome.STOPS
    # Both at once: one port for the two of them is found, too.
    with ExitStack() as held:
        found = [_tried("port of the UI", open_ui, "is free", bad)]
        found.append(_tried("port of the API", open_api, "is free", bad))
    yield from found


def _calendar(now: dt.datetime) -> Look:
    last = last_published_session()
    if ends_soon(now):
        has_ended = not is_known(now.astimezone(SHANGHAI).date())
        how = Outcome.STOPS if has_ended else Outcome.NOTE
        return _look("calendar", how, "known to {last}", RENEW_IT, last=last)
    return _look("calendar", Outcome.FINE, "known to {last}", last=last)


def _clock(url: str, now: dt.datetime) -> Look:
    """This machine's clock beside the vendor's, as every answer of a web server tells it."""
    try:
        with requests.get(url, timeout=SECONDS_TO_ANSWER, stream=True) as answer:
            theirs = email.utils.parsedate_to_datetime(answer.headers["Date"]).astimezone(dt.UTC)
    except (requests.RequestException, KeyError, ValueError):
        return _look("clock", Outcome.NOTE, "nobody tells the time to compare with")
    off = abs((now - theirs).total_seconds())
    if off <= MOST_SECONDS_OFF:
        return _look("clock", Outcome.FINE, "as the vendor's")
    seen, cure = "{off:,.0f} s from the vendor's", "set it: timedatectl set-ntp true"
    return _look("clock", Outcome.STOPS, seen, cure, off=off)


def _calls(asked: Mapping[Chain, list[Asked]], known: Status) -> Iterator[Look]:
    everything = [one for chain in asked.values() for one in chain]
    for one in everything:
        if one.error and one.is_general:
            cure = UNREACHABLE if isinstance(one.error, Unavailable) else one.error.cure
            yield _look("token", Outcome.STOPS, one.error.what, cure)
            return
    yield _look("token", Outcome.FINE, "is taken")
    for chain, calls in asked.items():
        for one in calls:
            stops = chain is Chain.STOCKS and one.call != NAME_CHANGES.tushare.call
            bad = Outcome.STOPS if stops else Outcome.NOTE
            seen, cure = "open, from {points:,} points on", ""
            if one.is_closed:
                seen, cure = "closed to this account", "needs an account of {points:,} points"
            elif one.error:
                seen, cure = "its quota is used up", one.error.cure
            how = bad if one.error else Outcome.FINE
            yield _look("call {call}", how, seen, cure, call=one.call, points=one.points)
    yield _allowance(everything, known)


def _allowance(asked: list[Asked], known: Status) -> Look:
    most, cure = known.calls_per_minute or 0, ""
    has_many = any(one.points >= MANY_POINTS and one.error is None for one in asked)
    if has_many and most < MANY_CALLS:
        cure = "an account of 5,000 points may have TUSHARE_CALLS_PER_MINUTE=500"
    if not has_many and most > FEW_CALLS:
        cure = "below 5,000 points set TUSHARE_CALLS_PER_MINUTE=200"
    seen, how = "{calls} of {most} calls in the last minute", Outcome.NOTE if cure else Outcome.FINE
    return _look("allowance", how, seen, cure, calls=known.calls, most=most)


def _outside(env: Mapping[str, str]) -> Iterator[Look]:
    """What the account has nothing to do with: publishing, the tunnel, who is told."""
    publisher = environment.publisher(env)
    if isinstance(publisher, HuggingFaceResource):
        hub: HuggingFaceResource = publisher.process_config_and_initialize()
        fine = text("{repository} may be written", repository=hub.repository)
        yield _tried("Hub", hub.refuse_without_write_access, fine)
    else:
        seen, other = "not used: published to a folder", "HF_DATASET_REPO: the Hub"
        yield _look("Hub", Outcome.FINE, seen, other)
    tunnel = environment.tunnel_settings(env)
    if tunnel.host:
        way = SshTunnel(tunnel)
        try:
            yield _tried("SSH tunnel", way.proxy_url, "is built", Outcome.NOTE)
        finally:
            way.close()
    else:
        through = "SSH_ENABLED: Yahoo and Coinbase through it"
        yield _look("SSH tunnel", Outcome.FINE, "not used", through)
    if (env.get("ALERT_URLS") or "").strip():
        yield _look("alerts", Outcome.FINE, "go to ALERT_URLS")
    else:
        yield _look("alerts", Outcome.NOTE, "nobody is told of failures", "set ALERT_URLS")


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
        at, way = runs_at.get(name), _in_the_way(chain, asked) if chain else None
        how, seen, cure = Outcome.FINE, "runs by itself", ""
        values: dict[str, object] = {}
        if name in known.switched_off:
            how, seen, cure = Outcome.NOTE, "is switched off", "switch it on under Automation"
        elif chain is Chain.EXTRAS and not extras:
            seen, cure = "has nothing to do", "EXTRA_TABLES names tables"
        elif way and way.is_general:
            how, seen = Outcome.STOPS, "can't run: see {call} above"
            values = {"call": text("token")}
        elif chain is Chain.EXTRAS:
            seen, values = "runs by itself, for {tables}", {"tables": ", ".join(extras)}
        elif way and way.is_closed and chain is Chain.FUNDS:
            how, seen = Outcome.NOTE, "can't run: {call} is closed"
            cure = "switch it off under Automation, or get {points:,} points"
            values = {"call": way.call, "points": way.points}
        elif way:
            how, seen = Outcome.STOPS, "can't run: see {call} above"
            values = {"call": way.call}
        elif at:
            seen, values = "runs next {at}", {"at": f"{at:%Y-%m-%d %H:%M}"}
        yield _look(name, how, seen, cure, **values)
    if not known.dev_runs:
        seen = "does not run, so nothing runs by itself"
        yield _look("dev", Outcome.NOTE, seen, "marketdata dev")


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
        return _look(what, bad, str(error))
    return _look(what, Outcome.FINE, fine)


def _look(what: str, outcome: Outcome, seen: str, cure: str = "", **values: object) -> Look:
    """In the user's language."""
    return Look(text(what, **values), outcome, text(seen, **values), text(cure, **values))
