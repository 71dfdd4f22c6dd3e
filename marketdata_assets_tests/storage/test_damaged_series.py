"""Bits that flip in the files of a series: never answered, deadly to nobody, mended by a refresh.

Whatever opens damaged files does so in a process of its own, which alone would die of them.
"""

import datetime as dt
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pyarrow as pa
import pytest

from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series import DamagedSeries, Series, difference, refresh
from marketdata_assets.storage.series.blocks import BLOCK
from marketdata_assets.storage.series.reader import CHECK
from marketdata_assets_tests.storage.quotes_for_tests import QUOTES, quotes

FLIPS = 200
CODES = [f"code {n}" for n in range(500)]
# Enough rows for many blocks, in two segments.
DAYS = [dt.date(2023, 9, 1) + dt.timedelta(n) for n in range(0, 180, 2)]
# Where most of what Arrow must believe lies, at either end of a segment.
ENDS = 2_500
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def apart(processes: ForkServerContext) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=processes) as pool:
        yield pool


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake, chance = Lake(tmp_path_factory.mktemp("stored"), "test"), random.Random(3)
    for day in DAYS:
        rows = {
            code: (chance.choice([None, chance.random()]), chance.choice("xyz"), day)
            for code in CODES
        }
        lake.write(QUOTES, day, quotes(day, rows))
    return lake.root


@pytest.fixture
def filled(tmp_path: Path, stored: Path) -> Lake:
    lake = Lake(shutil.copytree(stored, tmp_path / "filled"), "test")
    refresh(lake, QUOTES)
    return lake


def folder_of(root: Path) -> Path:
    return root / "series" / "quotes"


def segments(root: Path) -> list[Path]:
    return sorted(folder_of(root).glob("*.arrow"))


def flip(path: Path, byte: int, bit: int = 4) -> None:
    """Another file with one other bit, so that no one who has the old one open sees it."""
    raw = bytearray(path.read_bytes())
    raw[byte] ^= 1 << bit
    path.unlink()
    path.write_bytes(raw)


def somewhere(root: Path, number: int, chance: random.Random) -> tuple[Path, int]:
    """A byte to flip, by turns of the manifest and of the beginning, middle and end of segments."""
    path = chance.choice(segments(root)) if number % 4 else folder_of(root) / "generation.json"
    size = path.stat().st_size
    parts = [(0, size), (0, ENDS), (0, size), (size - ENDS, size)]
    return path, chance.randrange(*parts[number % 4])


def await_checks() -> None:
    for thread in threading.enumerate():
        if thread.name == CHECK:
            thread.join(PATIENCE_SECONDS)


def questions(series: Series) -> Iterator[Callable[[], object]]:
    """Everything a series can be asked, in pieces."""
    yield series.codes
    yield lambda: (series.days, series.stored_at, series.origins, series.generation)
    for code in CODES[::20]:
        yield partial(series.slice, code)
        yield partial(series.span, code)
    for day in DAYS[::20]:
        yield partial(series.cross_section, day)
    yield lambda: series.slices(CODES, columns=["price", "symbol"])


def answers(root: Path) -> list[object]:
    return [ask() for ask in questions(Series.open(root, QUOTES))]


def answered_or_refused(root: Path) -> list[object]:
    """As `answers`, with None where the series said that it is damaged."""
    try:
        series = Series.open(root, QUOTES)
    except DamagedSeries:
        return []
    found: list[object] = []
    for ask in questions(series):
        try:
            found.append(ask())
        except DamagedSeries:
            found.append(None)
    await_checks()
    return found


def faults_of_flips(root: Path) -> tuple[list[str], int]:
    """What was wrong with the answers after each of many flips, and how often some were right."""
    right, chance, faults, partly = answers(root), random.Random(11), [], 0
    for number in range(FLIPS):
        path, byte = somewhere(root, number, chance)
        aside = path.with_name("aside")
        os.link(path, aside)
        flip(path, byte, chance.randrange(8))
        found = answered_or_refused(root)
        wrong = [a for a, b in zip(found, right, strict=False) if a is not None and a != b]
        faults += [f"byte {byte} of {path.name}: {answer}" for answer in wrong]
        if path.suffix == ".arrow" and not difference(Lake(root, "test"), QUOTES).damaged:
            faults.append(f"byte {byte} of {path.name}: no note was left")
        partly += any(isinstance(answer, pa.Table) for answer in found)
        aside.replace(path)
        path.with_suffix(".damaged").unlink(missing_ok=True)
    return faults, partly


def test_no_flipped_bit_is_answered_or_kills(apart: ProcessPoolExecutor, filled: Lake) -> None:
    assert sum(path.stat().st_size for path in segments(filled.root)) > 4 * BLOCK
    faults, partly = apart.submit(faults_of_flips, filled.root).result(PATIENCE_SECONDS)
    assert faults == []
    # What does not touch the damaged part of a file is answered.
    assert partly > FLIPS / 50


@pytest.mark.parametrize("number", range(4))
def test_a_refresh_mends_what_a_reader_noticed(
    apart: ProcessPoolExecutor, filled: Lake, number: int
) -> None:
    right = apart.submit(answers, filled.root).result(PATIENCE_SECONDS)
    path, byte = somewhere(filled.root, number, random.Random(number))
    flip(path, byte)
    apart.submit(answered_or_refused, filled.root).result(PATIENCE_SECONDS)
    assert difference(filled, QUOTES)
    refresh(filled, QUOTES)
    mended = apart.submit(answers, filled.root).result(PATIENCE_SECONDS)
    # All but the generation's number.
    assert [mended[0], *mended[2:]] == [right[0], *right[2:]]
    assert not difference(filled, QUOTES)


def asked_for_something_else(root: Path) -> object:
    span = Series.open(root, QUOTES).span(CODES[-1])
    await_checks()
    return span


def test_a_reader_notices_what_nobody_asks_for(apart: ProcessPoolExecutor, filled: Lake) -> None:
    segment = segments(filled.root)[0]
    # Prices come first, and fill some blocks.
    flip(segment, BLOCK + BLOCK // 2)
    span = apart.submit(asked_for_something_else, filled.root).result(PATIENCE_SECONDS)
    assert span == (DAYS[0], DAYS[-1])
    assert difference(filled, QUOTES).damaged == [segment.name]
    assert refresh(filled, QUOTES).difference.damaged == [segment.name]
    assert not list(folder_of(filled.root).glob("*.damaged"))


def test_a_refresh_notices_by_itself(filled: Lake) -> None:
    before, segment = segments(filled.root), segments(filled.root)[0]
    flip(segment, segment.stat().st_size // 2)
    done = refresh(filled, QUOTES)
    assert done.difference == ([], [], [], [segment.name])
    # The other one stays.
    assert len({*before} & {*segments(filled.root)}) == len(before) - 1


def test_refreshes_with_new_days_compare_the_earlier_years_by_turns(filled: Lake) -> None:
    segment, noticed = segments(filled.root)[0], []
    flip(segment, segment.stat().st_size // 2)
    for number in range(1, 6):
        day = DAYS[-1] + dt.timedelta(number)
        filled.write(QUOTES, day, quotes(day, {"code 0": (1.0, "x", day)}))
        noticed += refresh(filled, QUOTES).difference.damaged
    assert noticed == [segment.name]


def test_a_note_of_damage_that_is_not_there_goes(filled: Lake) -> None:
    segment = segments(filled.root)[0]
    segment.with_suffix(".damaged").touch()
    assert difference(filled, QUOTES).damaged == [segment.name]
    assert refresh(filled, QUOTES).written == 0
    assert not difference(filled, QUOTES)


def test_a_series_from_before_there_were_checksums_is_made_again(filled: Lake) -> None:
    manifest = folder_of(filled.root) / "generation.json"
    raw = manifest.read_bytes()
    manifest.write_bytes(b"{" + raw[raw.index(b'"table"') :])
    with pytest.raises(DamagedSeries, match=r"there is none yet.*Materialize quotes_series"):
        Series.open(filled.root, QUOTES)
    assert difference(filled, QUOTES).new == DAYS
    assert refresh(filled, QUOTES).days == len(DAYS)
    assert Series.open(filled.root, QUOTES).codes() == sorted(CODES)
