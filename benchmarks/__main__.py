"""All benchmarks, one after the other; about thirty minutes."""

from benchmarks import allowance, checks, imports, per_stock, publishing, series, year
from benchmarks.measuring import console, machine


def main() -> None:
    console.print(f"\n{machine()}\n")
    for benchmark in (imports, year, checks, per_stock, publishing, series, allowance):
        benchmark.main()


if __name__ == "__main__":
    main()
