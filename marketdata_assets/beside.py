"""A program beside its parent: it ends when the parent does, also when that is killed.

`python -m marketdata_assets.beside MODULE [argument ...]` runs a module as `python -m` does. Here
belongs watching the parent alone, by a pipe on stdin that closes with it.
"""

import os
import runpy
import signal
import sys
import threading

SECONDS_TO_END = 20


def main() -> None:
    sys.argv = sys.argv[1:]
    watching = threading.Thread(target=_end_with_the_parent, daemon=True)
    watching.start()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_the_parent() -> None:
    # Not sys.stdin: a thread that waits in it can't be left behind when Python ends.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(SECONDS_TO_END)
    os._exit(1)


if __name__ == "__main__":
    main()
