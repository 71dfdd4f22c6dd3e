"""Single bits that flip in all that is stored: nothing wrong is answered, and all of it is mended.

    python -m benchmarks.flips 3000

Of each flip: is any answer another than before, is the vendor blamed, does a process die, is
anything raised that is not told, and is everything as before once what the message says was done.
Here belong the flips and the processes; what is stored and asked is `flipped_world`. Readers are
processes of their own, so that one that dies is counted.
"""

import argparse
import logging
import multiprocessing
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from benchmarks.flipped_world import (
    Answers,
    Profile,
    Refused,
    Restated,
    await_checks,
    copy_world,
    flip,
    mend,
    store_world,
)
from benchmarks.measuring import show

# Where bits flip, as patterns of files; each place has as many as the others.
PLACES: Mapping[str, str] = {
    "lake": "lake/*/*/*.parquet",
    "history": "lake/instrument_history/*.parquet",
    "superseded": "superseded/**/*.parquet",
    "segments": "series/*/*.arrow",
    "manifests": "series/*/generation.json",
    "catalog": "catalog.*",
    "requests": "state/requests.sqlite3",
}
# What /metrics has to tell when a reader has refused, and when it was mended.
TOLD_AS = {"history": "lake", "segments": "series"}
TOLD_ON = ("lake", "history", "superseded", "segments", "catalog", "requests")
MENDED = ("lake", "series", "catalog")
WORKERS = 2
SECONDS_WITHOUT_A_WORD = 300


class Flip(NamedTuple):
    number: int
    place: str
    file: Path
    bit: int


class Found(NamedTuple):
    """What came of a flip; `faults` are what must not be."""

    flip: Flip
    was_refused: bool
    faults: list[tuple[str, str]]


CRASHED, WRONG, BLAMED, RAISED, UNTOLD, UNMENDED = FAULTS = (
    "process died",
    "wrong answer",
    "vendor blamed",
    "not in a sentence",
    "not in /metrics",
    "not mended",
)


class Home:
    """A world to flip bits in, and the template that it is copied from before each."""

    def __init__(self, folder: Path) -> None:
        self.root, self.template = folder / "world", folder / "template"
        # The catalog names files by their whole path, so both are made in one place.
        self.world = store_world(self.root)
        self.root.rename(self.template)

    def files(self, place: str) -> list[Path]:
        found = self.template.glob(PLACES[place])
        return sorted(path.relative_to(self.template) for path in found)


def flips(home: Home, count: int, places: Sequence[str], seed: int) -> list[Flip]:
    """The same for the same seed, but for the names of segments."""
    chance, files = random.Random(seed), {place: home.files(place) for place in places}
    chosen = []
    for number in range(count):
        place = places[number % len(places)]
        file = chance.choice(files[place])
        size = (home.template / file).stat().st_size
        chosen.append(Flip(number, place, file, chance.randrange(size * 8)))
    return chosen


def found_of(home: Home, chosen: Sequence[Flip]) -> Iterator[Found]:
    """What comes of flips, by reading processes that are started again when one dies."""
    context, rest = multiprocessing.get_context("spawn"), list(chosen)
    while rest:
        ours, theirs = context.Pipe(duplex=False)
        reader = context.Process(
            target=_read, args=(home.root, home.template, home.world, rest, theirs)
        )
        reader.start()
        theirs.close()
        try:
            while rest and ours.poll(SECONDS_WITHOUT_A_WORD):
                found: Found = ours.recv()
                rest.pop(0)
                yield found
        except EOFError:
            pass
        reader.kill()
        reader.join()
        if rest:
            how = f"exit code {reader.exitcode}"
            yield Found(rest.pop(0), False, [(CRASHED, how)])


def _read(root: Path, template: Path, world: Profile, chosen: list[Flip], pipe: Connection) -> None:
    logging.disable()
    right: dict[Path, tuple[dict[str, object], set[Restated]]] = {}
    for one in chosen:
        if one.file not in right:
            copy_world(template, root)
            answers = Answers(root, world, one.file)
            said = {name: ask() for name, ask in answers.questions()}
            right[one.file] = (said, answers.restated())
            await_checks()
        pipe.send(_found(root, template, world, one, *right[one.file]))
    pipe.close()


def _found(
    root: Path,
    template: Path,
    world: Profile,
    one: Flip,
    right: Mapping[str, object],
    restated: set[Restated],
) -> Found:
    copy_world(template, root)
    flip(root / one.file, one.bit)
    answers = Answers(root, world, one.file)
    refused, faults = _compared(answers, right)
    # With a version that can't be read its neighbours are compared: what they say is true, too.
    values = {(r.table_name, r.ts_code, r.column_name, v) for r in restated for v in (r.old, r.new)}
    for row in answers.restated() - restated:
        said = {(row.table_name, row.ts_code, row.column_name, v) for v in (row.old, row.new)}
        if row.kind != "changed" or not said <= values:
            faults.append((BLAMED, str(row)))
    told = answers.damaged_files()
    where = TOLD_AS.get(one.place, one.place)
    if refused and one.place in TOLD_ON and not told[where]:
        faults.append((UNTOLD, f"{where} in {told}"))
    try:
        mend(root, template, one.file)
        faults += _unmended(root, world, one, right, restated)
    except Exception:
        faults.append((UNMENDED, traceback.format_exc(limit=-3)))
    return Found(one, bool(refused), faults)


def _compared(
    answers: Answers, right: Mapping[str, object]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Which questions were refused, and what must not be."""
    refused, faults = [], []
    for name, ask in answers.questions():
        try:
            if ask() != right[name]:
                faults.append((WRONG, name))
        except Refused:
            refused.append(name)
        except Exception:
            faults.append((RAISED, f"{name}: {traceback.format_exc(limit=-3)}"))
    # Segments are compared in the background as well.
    await_checks()
    return refused, faults


def _unmended(
    root: Path, world: Profile, one: Flip, right: Mapping[str, object], restated: set[Restated]
) -> Iterator[tuple[str, str]]:
    answers = Answers(root, world, one.file)
    refused, faults = _compared(answers, right)
    # What a damaged file said while it was true is known no more; open requests are gone.
    lost = [name for name in refused if name.startswith(("as of 0", "as of 1", "slice as of"))]
    lost += [name for name in refused if name.startswith("request ")]
    lost = lost if one.place in ("lake", "history", "requests") else []
    yield from ((UNMENDED, f"{fault}: {what}") for fault, what in faults)
    yield from ((UNMENDED, f"refused: {name}") for name in refused if name not in lost)
    if answers.restated() != restated:
        yield UNMENDED, "other restatements than before"
    told = answers.damaged_files()
    yield from ((UNMENDED, f"/metrics: {told}") for where in MENDED if told[where])


def run(count: int, places: Sequence[str], seed: int, workers: int) -> list[Found]:
    """The outcome of `count` flips, by `workers` with a world each."""
    shares = [count // workers + (number < count % workers) for number in range(workers)]

    def work(number: int) -> list[Found]:
        with tempfile.TemporaryDirectory() as folder:
            home, found = Home(Path(folder)), []
            chosen = flips(home, shares[number], places, seed * 1_000 + number)
            for done in found_of(home, chosen):
                found.append(done)
                for fault, what in done.faults:
                    print(f"{done.flip}: {fault}: {what}", file=sys.stderr, flush=True)
            return found

    with ThreadPoolExecutor(workers) as threads:
        return [found for part in threads.map(work, range(workers)) for found in part]


def main() -> int:
    arguments = argparse.ArgumentParser(prog="benchmarks.flips", description=__doc__.split("\n")[0])
    arguments.add_argument("count", nargs="?", type=int, default=3_000, help="default 3000")
    arguments.add_argument("--place", choices=PLACES, help="there alone")
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    return report(asked.count, [asked.place] if asked.place else list(PLACES), asked.seed)


def report(count: int, places: Sequence[str], seed: int) -> int:
    """Show what came of flips, by their place; 1 where there is a fault."""
    began = time.perf_counter()
    found = run(count, places, seed, WORKERS)
    rows = []
    for name in places:
        own = [one for one in found if one.flip.place == name]
        faults = Counter(fault for one in own for fault, _ in one.faults)
        refused = sum(one.was_refused for one in own)
        rows.append((name, str(len(own)), str(refused), *(str(faults[name]) for name in FAULTS)))
    total = ["all", *(str(sum(int(row[n]) for row in rows)) for n in range(1, len(rows[0])))]
    show(
        f"{len(found):,} flipped bits, seed {seed}, in {time.perf_counter() - began:,.0f} s",
        ("where", "flips", "refused", *FAULTS),
        [*rows, total],
    )
    return 1 if any(one.faults for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
