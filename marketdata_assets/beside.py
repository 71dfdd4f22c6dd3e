"""A program beside its parent: it ends when the parent does, also when that is killed.

`python -m marketdata_assets.beside MODULE [argument ...]` runs a module as `python -m` does, as the
leader of a process group. Here belongs watching the parent alone, by a pipe on stdin that closes
with it. With the program ends all of its group: Dagster's code servers, and their runs.
"""

import os
import runpy
import signal
import sys
import threading

SECONDS_TO_END = 20

parent_is_gone = threading.Event()


def main() -> None:
    sys.argv = sys.argv[1:]
    # Until the program has its own way to end, and where it has none.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    finally:
        if parent_is_gone.is_set():
            _end_the_group()


def _end_with_the_parent() -> None:
    # Not sys.stdin: a thread that waits in it can't be left behind when Python ends.
    while os.read(0, 1024):
        pass
    parent_is_gone.set()
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(SECONDS_TO_END)
    _end_the_group()


def _end_the_group() -> None:
    os.killpg(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
