"""A run as a process of its own, whose steps are done by workers.

python -m …coordinator FIRST LAST ASSET…
"""

import sys

import dagster as dg

from marketdata_assets.__main__ import prepare
from marketdata_assets.tables.declaration import Chain


def days() -> dg.JobDefinition:
    from marketdata_assets.definitions import defs

    return defs.resolve_job_def(Chain.STOCKS)


def main() -> int:
    from marketdata_assets_tests.distributed import coordinator

    first, last, *assets = sys.argv[1:]
    prepare()
    with dg.DagsterInstance.get() as instance:
        result = dg.execute_job(
            dg.reconstructable(coordinator.days),
            instance,
            asset_selection=[dg.AssetKey(name) for name in assets],
            tags={
                "dagster/asset_partition_range_start": first,
                "dagster/asset_partition_range_end": last,
            },
        )
    return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(main())
