"""The file in which all processes of this machine count the calls of one token.

Here belong its name, and what can be read of it. Who counts in it is `resources.rate_limit`.
"""

import hashlib
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import platformdirs

SECONDS_COUNTED = 60


def shared_path(token: str, url: str, folder: str | None = None) -> Path:
    """The counter's file for a token at a server; the token can't be read from the name."""
    digest = hashlib.sha256(f"{url.rstrip('/')} {token}".encode()).hexdigest()[:16]
    state = Path(folder or platformdirs.user_state_dir("marketdata-assets"))
    return state / f"allowance-{digest}.sqlite"


def calls_of_the_last_minute(counter: Path) -> int:
    """How many calls were counted in the last 60 s; 0 where nobody has counted yet."""
    if not counter.exists():
        return 0
    since = (time.time() - SECONDS_COUNTED) * 1000
    with closing(sqlite3.connect(f"{counter.as_uri()}?mode=ro", uri=True)) as connection:
        # The one table, which its library names.
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return sum(
            connection.execute(
                f'SELECT count(*) FROM "{name}" WHERE item_timestamp > ?', (since,)
            ).fetchone()[0]
            for (name,) in names
        )
