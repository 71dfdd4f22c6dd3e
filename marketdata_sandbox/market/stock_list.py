"""The vendor's list of stocks (`stock_basic`) as it reads on a given day.

Here belong names with their ST and 退 marks, and the state of each listing. Who is listed when
is `listings`' matter, what happened to a company is `life_events`', past names are `name_history`.
"""

import bisect
import datetime as dt

import numpy as np

from marketdata_sandbox.market.boards import EXCHANGES, MARKET_NAMES, Board
from marketdata_sandbox.market.company_names import CompanyDescriptions
from marketdata_sandbox.market.life_events import LifeEvents
from marketdata_sandbox.market.listings import Listings


def list_stocks(
    listings: Listings, life: LifeEvents, companies: CompanyDescriptions, today: dt.date
) -> dict[str, list[str | None]]:
    """Every A-share listed on `today` or before, delisted ones included, with today's name."""
    session = bisect.bisect_right(listings.sessions, today) - 1
    stocks = np.flatnonzero(listings.is_a_share)
    known = int(np.count_nonzero(listings.list_day[stocks] <= np.datetime64(today)))
    stocks = stocks[:known]

    size = listings.board.size
    is_st = life.st.covers(session, size)
    is_starred = np.zeros(size, dtype=np.bool_)
    is_starred[life.st.instrument[life.st.lasting(session) & life.st.is_starred]] = True
    is_leaving = life.delisting_start <= session
    is_delisted = life.delist_session <= session
    is_paused = life.pauses.covers(session, size)
    numbers: list[int] = stocks.tolist()
    boards = [Board(board) for board in listings.board[stocks]]
    codes: list[str] = listings.ts_code[stocks].tolist()

    def name(number: int, plain: str) -> str:
        if is_leaving[number]:
            return f"{plain}退"
        return marked(plain, bool(is_starred[number])) if is_st[number] else plain

    def status(number: int) -> str:
        if is_delisted[number]:
            return "D"
        return "P" if is_paused[number] else "L"

    def delist_date(number: int) -> str | None:
        if not is_delisted[number]:
            return None
        return f"{listings.sessions[life.delist_session[number]]:%Y%m%d}"

    return {
        "ts_code": list(codes),
        "symbol": [code[:6] for code in codes],
        "name": [name(n, plain) for n, plain in zip(numbers, companies.names, strict=False)],
        "area": list(companies.areas[:known]),
        "industry": list(companies.industries[:known]),
        "market": [MARKET_NAMES[board] for board in boards],
        "exchange": [EXCHANGES[board] for board in boards],
        "list_status": [status(number) for number in numbers],
        "list_date": [
            day.replace("-", "") for day in np.datetime_as_string(listings.list_day[stocks])
        ],
        "delist_date": [delist_date(number) for number in numbers],
    }


def marked(plain: str, is_starred: bool) -> str:
    """The name of a share that is ST."""
    return f"*ST{plain}" if is_starred else f"ST{plain}"
