"""Real years of the market: no day of them is refused, no row held, and none flagged."""

import pytest

from marketdata_assets.checks.excuses import NONE
from marketdata_assets.checks.running import Finding
from marketdata_assets.checks.sessions import SESSIONS_BEFORE
from marketdata_assets_tests.checks.judging import before, check_days
from marketdata_assets_tests.checks.market_day import LATER
from marketdata_assets_tests.real_history import SPANS, Tables, chunks, needs_real_history

# Of more of them a question costs little more: each holds a few megabytes.
SESSIONS_TOGETHER = 40


@needs_real_history
@pytest.mark.parametrize("span", SPANS)
@pytest.mark.slow
def test_nothing_is_found_on_real_days(span: str) -> None:
    assert [finding.in_words() for finding in judged(span)] == []


def judged(span: str) -> list[Finding]:
    """All that fails on the sessions of a span, each after those before it."""
    found: list[Finding] = []
    past: list[Tables] = []
    for days in chunks(span, sessions=SESSIONS_TOGETHER):
        found += check_days(days, before(past), LATER, NONE)
        past = [*past, *days.values()][-SESSIONS_BEFORE:]
    return [finding for finding in found if finding.fails]
