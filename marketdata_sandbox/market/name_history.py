"""The vendor's list of names (`namechange`) and of ST shares (`stock_st`), as they read on a day.

Here belong since when and until when a share is called what. Who is ST when, and who leaves, is
`life_events`' matter; the list of today's names is `stock_list`.
"""

import collections
import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from marketdata_sandbox.market.company_names import CompanyDescriptions
from marketdata_sandbox.market.life_events import LifeEvents
from marketdata_sandbox.market.listings import Listings
from marketdata_sandbox.market.stock_list import marked

_DAY = dt.timedelta(1)


class _Named(NamedTuple):
    since: dt.date
    announced: dt.date
    name: str
    reason: str


def list_names(
    listings: Listings, life: LifeEvents, companies: CompanyDescriptions, today: dt.date
) -> dict[str, list[str | None]]:
    """Every name of every A-share that was announced by `today`, the latest announcement first."""
    rows = [
        (named.announced, code, named, until)
        for code, history in _histories(listings, life, companies)
        for named, until in _with_ends([one for one in history if one.announced <= today])
    ]
    rows.sort(key=lambda row: row[:2], reverse=True)
    return {
        "ts_code": [code for _, code, _, _ in rows],
        "name": [named.name for _, _, named, _ in rows],
        "start_date": [f"{named.since:%Y%m%d}" for _, _, named, _ in rows],
        "end_date": [f"{until:%Y%m%d}" if until else None for _, _, _, until in rows],
        "ann_date": [f"{named.announced:%Y%m%d}" for _, _, named, _ in rows],
        "change_reason": [named.reason for _, _, named, _ in rows],
    }


def list_st_shares(
    listings: Listings, life: LifeEvents, companies: CompanyDescriptions, session: int
) -> dict[str, list[str]]:
    """The A-shares that are ST on a session, in order of code, with their names of that day."""
    stocks = np.flatnonzero(listings.is_a_share)
    position = {int(number): at for at, number in enumerate(stocks)}
    now = life.st.lasting(session)
    rows = sorted(
        (str(listings.ts_code[number]), marked(companies.names[position[int(number)]], starred))
        for number, starred in zip(life.st.instrument[now], life.st.is_starred[now], strict=True)
        if session < life.delisting_start[number]
    )
    return {
        "ts_code": [code for code, _ in rows],
        "name": [name for _, name in rows],
        "trade_date": [f"{listings.sessions[session]:%Y%m%d}"] * len(rows),
        "type": ["ST"] * len(rows),
        "type_name": ["风险警示板"] * len(rows),
    }


def _histories(
    listings: Listings, life: LifeEvents, companies: CompanyDescriptions
) -> Iterator[tuple[str, list[_Named]]]:
    """Every share with its names from the first on, those of the future too."""
    spells = collections.defaultdict(list)
    for number, *spell in zip(
        life.st.instrument.tolist(),
        life.st.start.tolist(),
        life.st.end.tolist(),
        life.st.is_starred.tolist(),
        strict=True,
    ):
        spells[number].append(spell)
    leaving = life.delisting_start.tolist()
    stocks = np.flatnonzero(listings.is_a_share).tolist()
    for number, plain in zip(stocks, companies.names, strict=True):
        listed: dt.date = listings.list_day[number].item()
        last = min(leaving[number], len(listings.sessions))
        history = {listed: _Named(listed, listed, plain, "其他")}
        for start, end, is_starred in sorted(spells[number]):
            name = marked(plain, is_starred)
            mark = name.removesuffix(plain)
            for session, new, reason in ((start, name, mark), (end, plain, f"撤销{mark}")):
                if session < last:
                    since = max(_day_of(listings, session), listed)
                    history[since] = _Named(since, _eve_of(listings, session), new, reason)
        if leaving[number] < len(listings.sessions):
            since, eve = _day_of(listings, last), _eve_of(listings, last)
            history[since] = _Named(since, eve, f"{plain}退", "其他")
        yield str(listings.ts_code[number]), [history[since] for since in sorted(history)]


def _with_ends(history: list[_Named]) -> Iterator[tuple[_Named, dt.date | None]]:
    """The names, each with its last day where another one follows."""
    ends = [after.since - _DAY for after in history[1:]]
    yield from zip(history, [*ends, None], strict=False)


def _day_of(listings: Listings, session: int) -> dt.date:
    """The day of a session; before the first one, every day counts."""
    first = listings.sessions[0]
    return listings.sessions[session] if session >= 0 else first + session * _DAY


def _eve_of(listings: Listings, session: int) -> dt.date:
    """The day on which people are told what begins on a session: the one before."""
    return _day_of(listings, session - 1)
