"""A process that runs AKShare's functions, so that a call can be ended whatever it is doing.

Most of those functions wait for ever, and nothing in them can be told to stop: the process can.
One call a line of JSON on standard input, one answer a line on standard output; the end of standard
input ends it at once. Here belongs the process's inside alone; who starts and ends it is `akshare`.
It imports nothing of the platform.
"""

import contextlib
import datetime as dt
import json
import os
import sys
import threading
from queue import SimpleQueue
from typing import Any

LONGEST_FAULT = 300


def main() -> None:
    with contextlib.redirect_stdout(sys.stderr):
        import akshare
        import pandas as pd

        _say({"ready": True})
        calls: SimpleQueue[dict[str, Any]] = SimpleQueue()
        threading.Thread(target=_listen, args=(calls,), daemon=True).start()
        while True:
            call = calls.get()
            try:
                frame = getattr(akshare, call["function"])(**call["arguments"])
                if not isinstance(frame, pd.DataFrame):
                    raise TypeError(f"got {type(frame).__name__}, not a table")
                _say({"columns": {str(name): _plain(frame[name]) for name in frame.columns}})
            except Exception as fault:
                text = f"{type(fault).__name__}: {fault}"[:LONGEST_FAULT]
                _say({"fault": text, "kinds": [kind.__name__ for kind in type(fault).__mro__]})


def _listen(calls: SimpleQueue[dict[str, Any]]) -> None:
    """Take calls as long as the owner is there, who may be killed while one is under way."""
    for line in sys.stdin:
        calls.put(json.loads(line))
    os._exit(0)


def _say(answer: dict[str, object]) -> None:
    assert sys.__stdout__ is not None
    sys.__stdout__.write(json.dumps(answer) + "\n")
    sys.__stdout__.flush()


def _plain(column: Any) -> list[object]:
    """The values as JSON has them: missing ones as null, days as text."""
    return [
        None
        if value is None or value != value
        else str(value)
        if isinstance(value, dt.date)
        else value
        for value in column.astype(object).tolist()
    ]


if __name__ == "__main__":
    main()
