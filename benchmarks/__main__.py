"""All benchmarks, one after the other; about an hour."""

from benchmarks import (
    allowance,
    api,
    calls,
    checks,
    history,
    imports,
    per_stock,
    publishing,
    seals,
    series,
    year,
)
from benchmarks.measuring import console, machine

STORED = (year, history, checks, per_stock, publishing, seals)


def main() -> None:
    console.print(f"\n{machine()}\n")
    for benchmark in (imports, *STORED, series, api, allowance, calls):
        benchmark.main()


if __name__ == "__main__":
    main()
