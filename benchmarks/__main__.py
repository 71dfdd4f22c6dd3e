"""All benchmarks, one after the other; more than an hour. The figures are kept in `figures/`.

Names of benchmarks as arguments are run alone.
"""

import datetime as dt
import sys

from benchmarks import (
    allowance,
    api,
    calls,
    checks,
    client,
    distributed,
    first_minute,
    growth,
    history,
    imports,
    per_stock,
    publishing,
    ranges,
    seals,
    series,
    year,
)
from benchmarks.figures import FOLDER, write
from benchmarks.measuring import console, machine, shown

STORED = (year, history, checks, per_stock, publishing, seals)
ASKED = (series, client, api)
VENDOR = (allowance, calls, ranges)
ALL = (imports, first_minute, *STORED, *ASKED, *VENDOR, growth, distributed)


def main() -> None:
    console.print(f"\n{machine()}\n")
    path, tables = FOLDER / f"{dt.datetime.now():%Y-%m-%dT%H%M}.json", {}
    for benchmark in ALL:
        name = benchmark.__name__.rpartition(".")[2]
        if not sys.argv[1:] or name in sys.argv[1:]:
            shown.clear()
            try:
                benchmark.main()
            finally:
                # What one has shown that fails then is kept, and so are the others'.
                tables[name] = list(shown)
                write(path, tables)
    console.print(f"kept in {path}; compare with: python -m benchmarks.figures BEFORE AFTER")


if __name__ == "__main__":
    main()
