"""Bits that flip anywhere in a stored world; `benchmarks.flips` flips thousands."""

from collections import Counter

import pytest

from benchmarks.flips import PLACES, Found, run
from marketdata_assets_tests.conftest import repeats

FLIPS = repeats(56, 105)


@pytest.fixture(scope="module")
def found() -> list[Found]:
    return run(FLIPS, list(PLACES), seed=7, workers=1)


@pytest.mark.slow
def test_no_flipped_bit_is_answered_blames_the_vendor_kills_or_stays(found: list[Found]) -> None:
    assert [(one.flip, fault) for one in found for fault in one.faults] == []


def test_bits_flip_everywhere_and_what_a_checksum_covers_is_refused(found: list[Found]) -> None:
    flips = Counter(one.flip.place for one in found)
    assert flips == dict.fromkeys(PLACES, FLIPS // len(PLACES))
    refused = Counter(one.flip.place for one in found if one.was_refused)
    covered = ("lake", "history", "superseded", "manifests")
    assert {place: refused[place] for place in covered} == {
        place: flips[place] for place in covered
    }
    assert all(refused[place] for place in PLACES)
