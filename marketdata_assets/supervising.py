"""Programs side by side, each started again when it ends by itself, and ended with its parent.

    python -m marketdata_assets.supervising MODULE [argument ...]

runs a module as `python -m` does, as the leader of a process group. It ends when its parent does,
also when that is killed: a pipe on stdin closes with it. With the program ends all of its group.

Here belongs when a program is started again and when that is given up, and that whatever a program
has started ends with it: Dagster's code servers outlive the daemon as long as a run of theirs, on a
full disk for good. Which programs there are is `dev` and `serve`.
"""

import contextlib
import os
import runpy
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from marketdata_assets.command_texts import text

SECONDS_BETWEEN_LOOKS = 0.5
# A program that ends sooner has not done its work.
SECONDS_OF_HEALTH = 60
# Before each new start of such a program; after the last somebody has to look.
PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0)
# For the programs to finish what they are at: nobody waits longer for a shell, and what a run has
# stored is whole at any moment.
SECONDS_TO_END = 3
# For a program whose parent is gone.
SECONDS_TO_END_ALONE = 20
GIVEN_UP = (
    "{count} times in a row soon after its start: all programs are ended. What it said is above."
)
STILL_AT_WORK = (
    "What was still at work after {seconds} s is ended. A run is started again with the next start."
)
PROCESSES = Path("/proc/self/stat")
CODE = Path(__file__).parents[1]
# Before a module and its arguments: a program that ends when this process does.
BESIDE = (sys.executable, "-m", "marketdata_assets.supervising")
# Where Dagster would look for more `.env` files.
FILES_OF_SETTINGS = "DAGSTER_PROJECT_ENV_FILE_PATHS"

parent_is_gone = threading.Event()


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
                self._say(text(GIVEN_UP, count=self._ended_soon))
                return False
            pause = PAUSES[self._ended_soon - 1]
            self._say(text("and is started again in {pause:g} s.", pause=pause))
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
        how = text("exit code {code}", code=code)
        if code < 0:
            how = text("signal {name}", name=signal.Signals(-code).name)
        ended = text(
            "{program} has ended with {how}, {now}", program=self._name, how=how, now=what_now
        )
        print(ended, file=sys.stderr, flush=True)


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
    is_wanted: Callable[[], bool] = lambda: True,
) -> int:
    """Run programs, by name, until the user ends them (0), one can't be kept running or they are
    wanted no longer (1).

    The file descriptors in `held` stay open in each of them.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    programs: list[Program] = []
    try:
        for name, command in commands.items():
            programs.append(Program(name, command, env, folder, held))
        while is_wanted() and all(program.goes_on() for program in programs):
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
            print(text(STILL_AT_WORK, seconds=SECONDS_TO_END), file=sys.stderr)
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


def main() -> None:
    """Be a program beside its parent."""
    sys.argv = sys.argv[1:]
    # A shell's job in the background ignores it, and Dagster has SIGTERM do what SIGINT does: none
    # of its programs could be ended.
    signal.signal(signal.SIGINT, signal.default_int_handler)
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
    threading.Event().wait(SECONDS_TO_END_ALONE)
    _end_the_group()


def _end_the_group() -> None:
    os.killpg(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
