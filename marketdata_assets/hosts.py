"""Whether this is one machine or one host of many, and where what the hosts share is.

    MARKETDATA_DATABASE    postgresql://user:password@host/database    turns, clock, counters, runs
    MARKETDATA_LAKE        s3://bucket/prefix                          every partition
    MARKETDATA_BROKER      amqp://user:password@host                   the steps of runs

All three or none. The endpoint and the credentials of S3 are those of the usual AWS variables. Here
belongs the choice alone; what a host does with it is said where it is done, and imported there.
"""

import importlib.util
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from marketdata_assets.settings import SettingError

FORMS = {
    "MARKETDATA_DATABASE": ("postgresql", "postgresql://user:password@host/database"),
    "MARKETDATA_LAKE": ("s3", "s3://bucket/prefix"),
    "MARKETDATA_BROKER": ("amqp", "amqp://user:password@host"),
}


class Hosts(NamedTuple):
    """What the hosts share: three addresses."""

    database: str
    lake: str
    broker: str

    @property
    def database_of_dagster(self) -> str:
        """The same database, by the driver that Dagster's listening for events works with."""
        return self.database.replace("postgresql://", "postgresql+psycopg2://", 1)

    def lake_of(self, root: Path) -> str:
        """Where the profile is whose folder on a host is `root`: two profiles never meet."""
        return f"{self.lake.rstrip('/')}/{root.name}"


def hosts(env: Mapping[str, str] = os.environ) -> Hosts | None:
    """What is shared, None on one machine.

    Raises `SettingError` naming the setting that is missing or can't be read, without a password.
    """
    given = {name: (env.get(name) or "").strip() for name in FORMS}
    if not any(given.values()):
        return None
    for name, (scheme, form) in FORMS.items():
        if not given[name]:
            others = ", ".join(other for other in FORMS if other != name)
            raise SettingError(
                name, "", "set it together with {others}, or none of them", others=others
            )
        if not _is_address(given[name], scheme):
            raise SettingError(name, "***", "write an address, like {default}", default=form)
    if importlib.util.find_spec("obstore") is None:
        how = "several hosts need more packages, install marketdata-assets[distributed]"
        raise SettingError("MARKETDATA_LAKE", given["MARKETDATA_LAKE"], how)
    return Hosts(*given.values())


def only_one_machine(what: str) -> None:
    """Raise `SettingError` where several hosts are set: `what` is of one machine."""
    if shared := hosts():
        how = "{command} is of one machine and would know nothing of the others, unset it here"
        raise SettingError("MARKETDATA_LAKE", shared.lake, how, command=what)


def several_hosts(what: str) -> Hosts:
    """What is shared. Raises `SettingError` on one machine: `what` is of several hosts."""
    if shared := hosts():
        return shared
    how = "{command} is of several hosts, set what they share; one machine runs marketdata dev"
    raise SettingError(next(iter(FORMS)), "", how, command=what)


def _is_address(text: str, scheme: str) -> bool:
    try:
        parts = urlsplit(text)
        # A driver would say what it can't read: a part of the password, or all of it.
        is_read = text.startswith(f"{scheme}://") and " " not in parts.netloc
        # The address of the lake is shown, so it is not where a password belongs.
        is_read &= scheme != "s3" or "@" not in parts.netloc
        is_encoded = not re.search("%(?![0-9A-Fa-f]{2})", text)
        return is_read and bool(parts.hostname) and parts.port != 0 and is_encoded
    except ValueError:
        return False
