"""A worker, a daemon or a run of several hosts as processes with a folder of their own.

Here belongs how they are started, and how they die. What they do is the command's.
"""

import contextlib
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from marketdata_assets_tests.killed_dev import processes_of

SECONDS_TO_FINISH = 600


class Program:
    """`python -m COMMAND`, which runs on in `folder`, with all that it starts."""

    def __init__(self, folder: Path, settings: Mapping[str, str], *command: str) -> None:
        self.folder, self._command = folder, command
        self._settings = {**settings, "MARKETDATA_HOME": str(folder)}
        folder.mkdir()
        self._log = folder / "log"
        self._log.touch()
        self.start()

    def start(self) -> None:
        self._said_before = self._log.stat().st_size
        self._process = self._started()

    def _started(self) -> Any:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *self._command],
                cwd=self.folder,
                env=self._settings,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def terminate(self) -> None:
        """Tell it to end."""
        self._process.terminate()

    def wait(self) -> int:
        """What it ends with."""
        return self._process.wait(SECONDS_TO_FINISH)

    def kill(self) -> None:
        """End all of its processes, without a word to anybody."""
        while pids := processes_of(self.folder):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait()

    def said(self) -> str:
        """What it has said since it was started."""
        return self._log.read_bytes()[self._said_before :].decode(errors="replace")


class Fork(Program):
    """The same in an instant: what it imports is there already, in the server of `processes`."""

    def __init__(
        self,
        processes: ForkServerContext,
        folder: Path,
        settings: Mapping[str, str],
        *command: str,
    ) -> None:
        self._processes = processes
        super().__init__(folder, settings, *command)

    def _started(self) -> Any:
        arguments = (self.folder, self._settings, self._command)
        process = self._processes.Process(target=_become, args=arguments)
        process.start()
        return process

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def wait(self) -> int:
        self._process.join(SECONDS_TO_FINISH)
        return self._process.exitcode

    def kill(self) -> None:
        while self._process.is_alive():
            # It has a group of its own in a moment.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.join(0.1)


def _become(folder: Path, settings: Mapping[str, str], command: Sequence[str]) -> None:
    """Be `python -m COMMAND` from here on."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(settings)
    with (folder / "log").open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    # It is what the settings of its import have made it.
    sys.modules.pop("marketdata_assets.definitions", None)
    sys.argv = list(command)
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
