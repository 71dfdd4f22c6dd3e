"""All benchmarks, one after the other; about forty minutes."""

from benchmarks import allowance, api, checks, imports, per_stock, publishing, seals, series, year
from benchmarks.measuring import console, machine


def main() -> None:
    console.print(f"\n{machine()}\n")
    for benchmark in (imports, year, checks, per_stock, publishing, seals, series, api, allowance):
        benchmark.main()


if __name__ == "__main__":
    main()
