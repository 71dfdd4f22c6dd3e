"""Real years of the market: no day of them is refused and no row held, and few are flagged."""

from collections import Counter

import pytest

from marketdata_assets.checks.days import judge_days
from marketdata_assets.checks.declaring import Finding
from marketdata_assets.checks.excuses import NONE
from marketdata_assets.checks.sessions import SESSIONS_BEFORE, before
from marketdata_assets.tables.findings import Outcome
from marketdata_assets_tests.checks.market_day import LATER
from marketdata_assets_tests.real_history import SPANS, Tables, chunks, needs_real_history

# What is flagged, counted in rows, each kind looked at by hand.
FLAGGED: dict[str, dict[str, int]] = {}


@needs_real_history
@pytest.mark.parametrize("span", SPANS)
def test_no_real_day_is_refused_no_real_row_is_held_and_what_is_flagged_is_known(
    span: str,
) -> None:
    flagged: Counter[str] = Counter()
    for finding in judged(span):
        assert not finding.refuses, finding.in_words()
        assert finding.check.outcome is not Outcome.HELD, finding.in_words()
        flagged[finding.check.name] += finding.wrong
    assert flagged == FLAGGED.get(span, {})


def judged(span: str) -> list[Finding]:
    """All that fails on the sessions of a span, each after those before it."""
    found: list[Finding] = []
    past: list[Tables] = []
    for days in chunks(span):
        found += judge_days(days, before(past), LATER, NONE)
        past = [*past, *days.values()][-SESSIONS_BEFORE:]
    return [finding for finding in found if finding.fails]
