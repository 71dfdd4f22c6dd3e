"""Programs side by side, each started again when it ends by itself.

Here belongs when a program is started again and when that is given up. Which programs there are,
and with which settings, is `dev`.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

SECONDS_BETWEEN_LOOKS = 0.5
# A program that ends sooner has not done its work.
SECONDS_OF_HEALTH = 60
# Before each new start of such a program; after the last somebody has to look.
PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0)


class Program:
    """A program that runs, or is started again in a while. Ends come with a line on stderr."""

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], folder: Path
    ) -> None:
        self._name, self._command, self._env, self._folder = name, command, env, folder
        self._ended_soon = 0
        self._due: float | None = None
        self.process = self._start()

    def goes_on(self) -> bool:
        """Start it again when that is due. False when it has ended soon too often."""
        if self.process.poll() is None:
            return True
        now = time.monotonic()
        if self._due is None:
            is_soon = now - self._started < SECONDS_OF_HEALTH
            self._ended_soon = self._ended_soon + 1 if is_soon else 1
            if self._ended_soon > len(PAUSES):
                self._say(
                    f"{self._ended_soon} times in a row soon after its start: all programs are "
                    "ended. What it said is above."
                )
                return False
            pause = PAUSES[self._ended_soon - 1]
            self._say(f"and is started again in {pause:g} s.")
            self._due = now + pause
        if now >= self._due:
            self._due = None
            self.process = self._start()
        return True

    def _start(self) -> subprocess.Popen[bytes]:
        self._started = time.monotonic()
        return subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._env,
            # The pipe closes with this process, however that ends.
            stdin=subprocess.PIPE,
            # Ctrl-C is for this process, which ends the others one after the other.
            start_new_session=True,
        )

    def _say(self, what_now: str) -> None:
        code = self.process.returncode
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        print(f"{self._name} has ended with {how}, {what_now}", file=sys.stderr, flush=True)


def run_all(commands: Mapping[str, Sequence[str]], env: Mapping[str, str], folder: Path) -> int:
    """Run programs, by name, until the user ends them (0) or one can't be kept running (1)."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    programs: list[Program] = []
    try:
        for name, command in commands.items():
            programs.append(Program(name, command, env, folder))
        while all(program.goes_on() for program in programs):
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        _end([program.process for program in programs])


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End the programs when each has finished what it is at, or at once with a second Ctrl-C."""
    for process in processes:
        process.terminate()
    try:
        for process in processes:
            process.wait()
    except KeyboardInterrupt:
        for process in processes:
            process.kill()
