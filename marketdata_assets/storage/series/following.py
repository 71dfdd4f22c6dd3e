"""A host of many follows the series: what is newest is in its folder within seconds.

Here belongs when it is looked, by which of a host's processes, and whether that goes on; how a
generation comes is `shared_place`. The catalog of the host is written anew with each, and hourly.
"""

import logging
import threading
import time
from collections.abc import Sequence

from filelock import FileLock, Timeout

from marketdata_assets.errors import MarketdataError
from marketdata_assets.storage.catalog import publish_catalog
from marketdata_assets.storage.durable_files import make_folder
from marketdata_assets.storage.lake import Lake
from marketdata_assets.storage.series.generation import DamagedSeries
from marketdata_assets.storage.series.shared_place import SharedPlace
from marketdata_assets.storage.shared_lake import SharedLake
from marketdata_assets.tables import STORED_TABLES, Table

logger = logging.getLogger(__name__)

# Both hosts answer the same generation within five: a look takes milliseconds, and so does a day.
SECONDS_BETWEEN = 2.0
# A year's segment may take as long to come.
SECONDS_BEHIND = 120.0
# What was read meanwhile is in it then.
CATALOG_LASTS = 3_600.0


class NotFollowing(MarketdataError, status=503):
    """For a while nobody has seen which generations of the series are the newest."""


class Following:
    """The series of `tables` below the folder of a shared lake, one process of the host at it."""

    def __init__(self, lake: Lake, tables: Sequence[Table]) -> None:
        assert isinstance(lake, SharedLake)
        self._lake = lake
        self._places = [SharedPlace(lake, table) for table in tables]
        folder = lake.root / "series"
        make_folder(folder)
        # Written when all was seen to be the newest.
        self._seen = folder / ".seen"
        self._lock = FileLock(folder / ".following.lock")

    def begin(self) -> None:
        """Bring what is newest, then go on in a thread for as long as the process lives.

        Where all was brought once before, that is served until more comes. Raises what keeps it
        from coming otherwise: `StoreRefuses`, `DamagedSeries`, `DiskRefuses`.
        """
        try:
            with self._lock:
                self._look()
        except MarketdataError as error:
            if not self._seen.exists():
                raise
            logger.warning("%s", error)
        threading.Thread(target=self._go_on, name="series following", daemon=True).start()

    def prove(self) -> None:
        """Raise `NotFollowing` where this host may be behind the others."""
        behind = time.time() - self._seen.stat().st_mtime
        if behind > SECONDS_BEHIND:
            raise NotFollowing(
                f"For {behind:.0f} s this host has not seen which series are the newest, and "
                "answers from those that it has. Look at its log, and at the store of "
                "MARKETDATA_LAKE."
            )

    def _look(self) -> bool:
        """Bring what is newer; whether anything was."""
        came, damaged = False, []
        for place in self._places:
            # One that is damaged keeps no other from coming.
            try:
                came |= place.pull()
            except DamagedSeries as error:
                damaged.append(error)
        if damaged:
            raise damaged[0]
        self._seen.touch()
        return came

    def _go_on(self) -> None:
        said, written = "", 0.0
        while True:
            time.sleep(SECONDS_BETWEEN)
            try:
                with self._lock.acquire(timeout=0):
                    if self._look() or time.time() - written > CATALOG_LASTS:
                        written = time.time()
                        held = {name: self._lake.held(one) for name, one in STORED_TABLES.items()}
                        publish_catalog(self._lake.root, held)
                said = ""
            except Timeout:
                # Another process of this host is at it.
                continue
            except Exception as error:
                if str(error) != said:
                    logger.warning("%s", said := str(error))
