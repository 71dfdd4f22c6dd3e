"""Programs side by side, each started again when it ends by itself.

Here belongs when a program is started again and when that is given up, and that whatever a program
has started ends with it: Dagster's code servers outlive the daemon as long as a run of theirs, on a
full disk for good. Which programs there are is `dev` and `serve`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

SECONDS_BETWEEN_LOOKS = 0.5
# A program that ends sooner has not done its work.
SECONDS_OF_HEALTH = 60
# Before each new start of such a program; after the last somebody has to look.
PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0)
# For the programs to finish what they are at: nobody waits longer for a shell, and what a run has
# stored is whole at any moment.
SECONDS_TO_END = 3
PROCESSES = Path("/proc/self/stat")
CODE = Path(__file__).parents[1]
# Before a module and its arguments: a program that ends when this process does.
BESIDE = (sys.executable, "-m", "marketdata_assets.beside")
# Where Dagster would look for more `.env` files.
FILES_OF_SETTINGS = "DAGSTER_PROJECT_ENV_FILE_PATHS"


class Program:
    """A program that runs, or is started again in a while. Ends come with a line on stderr."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        folder: Path,
        held: Sequence[int],
    ) -> None:
        self._name, self._command, self._env, self._folder = name, command, env, folder
        self._held = held
        self._ended_soon = 0
        self._due: float | None = None
        self.process = self._start()

    def goes_on(self) -> bool:
        """Start it again when that is due. False when it has ended soon too often."""
        if self.process.poll() is None:
            return True
        now = time.monotonic()
        if self._due is None:
            self.kill()
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

    def is_at_work(self) -> bool:
        """Whether the program or anything that it has started is still there."""
        self.process.poll()
        try:
            os.killpg(self.process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return not PROCESSES.exists() or self.process.pid in _groups_at_work()

    def kill(self) -> None:
        """End the program and all that it has started, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        self._started = time.monotonic()
        return subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._env,
            # The pipe closes with this process, however that ends.
            stdin=subprocess.PIPE,
            pass_fds=self._held,
            # Ctrl-C is for this process, which ends the others, each with all of its group.
            start_new_session=True,
        )

    def _say(self, what_now: str) -> None:
        code = self.process.returncode
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        print(f"{self._name} has ended with {how}, {what_now}", file=sys.stderr, flush=True)


def child_environment() -> dict[str, str]:
    """The settings of this process, and the same code, wherever the child works."""
    env = {name: value for name, value in os.environ.items() if name != FILES_OF_SETTINGS}
    if str(CODE) == sysconfig.get_path("purelib"):
        # Installed: Python finds it by itself.
        return env
    paths = (str(CODE), env.get("PYTHONPATH"))
    return {**env, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def run_all(
    commands: Mapping[str, Sequence[str]],
    env: Mapping[str, str],
    folder: Path,
    held: Sequence[int] = (),
) -> int:
    """Run programs, by name, until the user ends them (0) or one can't be kept running (1).

    The file descriptors in `held` stay open in each of them.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    programs: list[Program] = []
    try:
        for name, command in commands.items():
            programs.append(Program(name, command, env, folder, held))
        while all(program.goes_on() for program in programs):
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        _end(programs)


def _end(programs: Sequence[Program]) -> None:
    """End the programs when each has finished what it is at, or at once with a second Ctrl-C."""
    end = time.monotonic() + SECONDS_TO_END
    try:
        for program in programs:
            program.process.terminate()
        while (late := any(program.is_at_work() for program in programs)) and (
            time.monotonic() < end
        ):
            time.sleep(0.1)
        if late:
            print(
                f"What was still at work after {SECONDS_TO_END} s is ended. A run is started again "
                "with the next dev.",
                file=sys.stderr,
            )
    except KeyboardInterrupt:
        pass
    finally:
        for program in programs:
            program.kill()


def _groups_at_work() -> set[int]:
    """The process groups that somebody is in who has not ended.

    Who has ended is there until process 1 takes notice, which in a container may be never.
    """
    groups = set()
    for process in PROCESSES.parent.parent.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # After the name, which may hold anything: the state, the parent and the group.
            fields = process.read_text("utf-8", errors="replace").rpartition(")")[2].split()
            if fields[0] not in "ZX":
                groups.add(int(fields[2]))
    return groups
