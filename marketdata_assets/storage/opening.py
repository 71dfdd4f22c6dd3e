"""The lake of a profile: files on one machine, objects where several hosts share it.

Here belongs the choice. Neither of the two is imported by whoever only reads a folder.
"""

from pathlib import Path

from marketdata_assets.hosts import hosts
from marketdata_assets.storage.lake import Lake


def open_lake(root: Path, origin: str, run: str = "") -> Lake:
    """The lake whose folder on this machine is `root`, for a step of Dagster's `run` if it is one.

    Raises `SettingError`.
    """
    if (shared := hosts()) is None:
        return Lake(root, origin)
    from marketdata_assets.storage.shared_lake import SharedLake

    return SharedLake(root, origin, shared, run)
