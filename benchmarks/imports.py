"""How long importing the definitions takes, beside importing Dagster alone."""

import statistics
import subprocess
import sys
import time

from benchmarks.measuring import show

RUNS = 5


def main() -> None:
    ours, dagster = "import marketdata_assets.definitions", "import dagster"
    seconds: dict[str, list[float]] = {ours: [], dagster: []}
    for _ in range(RUNS):
        for statement, taken in seconds.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            taken.append(time.perf_counter() - began)
    medians = {statement: statistics.median(taken) for statement, taken in seconds.items()}
    show(
        f"import time, median of {RUNS} fresh processes",
        ("", "seconds", "ratio"),
        [(s, f"{m:.2f}", f"{m / medians[dagster]:.2f}") for s, m in medians.items()],
    )


if __name__ == "__main__":
    main()
