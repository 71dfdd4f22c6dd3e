"""A writer as a process of its own: writes versions of one partition, one after the other.

    python -m …writer FOLDER DATABASE LAKE NAME COUNT

It tells what came of each, in a line.
"""

import sys
from pathlib import Path

from marketdata_assets.hosts import Hosts
from marketdata_assets.storage.database_turns import DatabaseRefuses
from marketdata_assets.storage.shared_lake import SharedLake, WrittenMeanwhile
from marketdata_assets.tables import PRICE_LIMITS
from marketdata_assets_tests.storage.tables_for_tests import DAY, limits


def main() -> None:
    folder, database, address, name, count = sys.argv[1:]
    lake = SharedLake(Path(folder), "test", Hosts(database, address, ""))
    for number in range(1, int(count) + 1):
        try:
            lake.write(PRICE_LIMITS, DAY, limits(DAY, **{name: float(number)}))
            came = "stored"
        except WrittenMeanwhile:
            came = "conflict"
        except DatabaseRefuses:
            came = "refused"
        print(came, name, float(number), flush=True)


if __name__ == "__main__":
    main()
