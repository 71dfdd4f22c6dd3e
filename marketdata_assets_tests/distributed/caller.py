"""A caller as a process of its own: takes calls of one allowance until its time is over.

    python -m …caller NAME CALLS MILLISECONDS SECONDS

It has three threads, which may together with all others make so many calls in so many milliseconds,
and tells when each was allowed, in seconds since 1970.
"""

import os
import sys
import threading
import time

from pyrate_limiter import Limiter, Rate

from marketdata_assets.hosts import hosts
from marketdata_assets.resources.rate_limit import SharedCounter

THREADS = 3


def main() -> None:
    name, calls, window, seconds = sys.argv[1:]
    shared = hosts()
    assert shared is not None
    limiter = Limiter(SharedCounter(shared.database, name, [Rate(int(calls), int(window))]))
    allowed: list[float] = []

    def call() -> None:
        while True:
            limiter.try_acquire("call")
            allowed.append(time.time())

    for _ in range(THREADS):
        threading.Thread(target=call, daemon=True).start()
    time.sleep(float(seconds))
    print(*allowed, flush=True)
    # Some wait for a call, and need not be waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
