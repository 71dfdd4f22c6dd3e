"""A host that answers requests as a process of its own, until none is open.

    python -m …answerer ROOT SECONDS

It claims as if it were so many seconds later, and tells which requests it has concluded.
"""

import datetime as dt
import sys
from pathlib import Path

from marketdata_assets.serving.requests import Requests

AT_ONCE = 10


def main() -> None:
    root, later = Path(sys.argv[1]), dt.timedelta(seconds=float(sys.argv[2]))
    requests = Requests(root)
    while any(requests.open_counts().values()):
        for claimed in requests.claim(AT_ONCE, dt.datetime.now(dt.UTC) + later):
            if requests.finish(claimed.id):
                print(claimed.id, flush=True)


if __name__ == "__main__":
    main()
