"""A caller as a process of its own: takes calls of one allowance until its time is over.

    python -m …caller FILE SECONDS

It tells how many it had.
"""

import itertools
import sys
import threading
import time
from pathlib import Path

from marketdata_assets.resources.rate_limit import Allowance

CALLS, THREADS = 200, 3


def main() -> None:
    file, seconds = sys.argv[1:]
    allowance, had = Allowance(CALLS, Path(file)), itertools.count()

    def call() -> None:
        while True:
            allowance.acquire()
            next(had)

    for _ in range(THREADS):
        threading.Thread(target=call, daemon=True).start()
    time.sleep(float(seconds))
    print(next(had), flush=True)


if __name__ == "__main__":
    main()
