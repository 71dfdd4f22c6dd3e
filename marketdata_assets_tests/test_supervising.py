"""Programs that end by themselves, kept running by a parent; all are real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from marketdata_assets.run_launcher import identity_of

PARENT = """
import os, sys
from pathlib import Path
from marketdata_assets import supervising

supervising.PAUSES, supervising.SECONDS_BETWEEN_LOOKS = (0.0, 0.1, 0.2), 0.05
supervising.SECONDS_TO_END = 1
programs = dict(zip(sys.argv[2::2], ([sys.executable, "-c", code] for code in sys.argv[3::2])))
sys.exit(supervising.run_all(programs, os.environ, Path(sys.argv[1])))
"""
LASTING = "import time; open('lasting', 'a').write('x'); time.sleep(600)"
# Ends at its first two starts, and the parent with it at its third.
UNSTEADY = """
import os, signal, sys
starts = open('starts', 'a+'); starts.write('x'); starts.flush(); starts.seek(0)
number = len(starts.read())
if number == 1: sys.exit(3)
if number == 2: os.kill(os.getpid(), signal.SIGKILL)
os.kill(os.getppid(), signal.SIGINT)
signal.pause()
"""
# Starts what ignores every word to end, as a code server on a full disk; then does what follows.
WITH_A_CHILD = """
import os, signal, subprocess, sys
deaf = "import signal; [signal.signal(s, signal.SIG_IGN) for s in (2, 15)]; print(flush=True)"
with subprocess.Popen(
    [sys.executable, "-c", deaf + "; import time; time.sleep(600)"], stdout=subprocess.PIPE
) as child:
    child.stdout.readline()
    open("children", "a").write(f"{child.pid}\\n")
    exec(sys.argv[1])
"""
BESIDE = """
import os, signal, subprocess, sys
command = [sys.executable, "-m", "marketdata_assets.supervising", "program", sys.argv[1]]
subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
signal.pause()
"""


def parent(folder: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    """Run programs, given by name as Python code, until they have ended."""
    pairs = [part for program in programs.items() for part in program]
    return subprocess.run(
        [sys.executable, "-c", PARENT, str(folder), *pairs],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_program_that_ends_is_started_again_with_a_line(tmp_path: Path) -> None:
    ran = parent(tmp_path, Lasting=LASTING, Unsteady=UNSTEADY)
    assert ran.returncode == 0
    assert ran.stderr.splitlines() == [
        "Unsteady has ended with exit code 3, and is started again in 0 s.",
        "Unsteady has ended with signal SIGKILL, and is started again in 0.1 s.",
    ]
    assert (tmp_path / "lasting").read_text("utf-8") == "x"


def test_one_that_never_lasts_ends_all_and_says_so(tmp_path: Path) -> None:
    ran = parent(
        tmp_path, Lasting=f"import os; print(os.getpid(), flush=True); {LASTING}", Bad="1/0"
    )
    assert ran.returncode == 1
    lines = [line for line in ran.stderr.splitlines() if line.startswith("Bad has ended")]
    assert [line.split()[-2:] for line in lines[:3]] == [["0", "s."], ["0.1", "s."], ["0.2", "s."]]
    assert lines[3] == (
        "Bad has ended with exit code 1, 4 times in a row soon after its start: all programs are "
        "ended. What it said is above."
    )
    assert ran.stderr.index("ZeroDivisionError") < ran.stderr.index(lines[0])
    try:
        os.kill(int(ran.stdout), signal.SIGKILL)
    except ProcessLookupError:
        return
    raise AssertionError("the other program went on")


def test_what_a_job_in_the_background_starts_can_be_interrupted(tmp_path: Path) -> None:
    program = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    (tmp_path / "program.py").write_text(program, "utf-8")
    beside = [sys.executable, "-m", "marketdata_assets.supervising", "program"]
    with subprocess.Popen(
        ["env", "--ignore-signal=INT", *beside],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.read() == b"True\n"


def with_a_child(then: str) -> str:
    """The code of a program that starts another one, and what it does then."""
    return f"import sys; sys.argv[1:] = [{then!r}]; exec({WITH_A_CHILD!r})"


def wait_until_gone(children: Path, number: int) -> None:
    """Raises `TimeoutError` when one of so many processes goes on."""
    pids = [int(pid) for pid in children.read_text("ascii").split()]
    assert len(pids) == number
    end = time.monotonic() + 30
    while any(identity_of(pid) for pid in pids):
        if time.monotonic() > end:
            raise TimeoutError("a process goes on without its parent")
        time.sleep(0.05)


def test_what_a_program_has_started_ends_with_it_and_with_all(tmp_path: Path) -> None:
    """It is killed at its first start, and the user ends all at its second."""
    then = "import os, signal\nif len(open('children').readlines()) == 1: os._exit(3)\n"
    then += "os.kill(os.getppid(), signal.SIGINT); signal.pause()"
    ran = parent(tmp_path, Server=with_a_child(then))
    assert ran.returncode == 0
    assert ran.stderr.splitlines() == [
        "Server has ended with exit code 3, and is started again in 0 s.",
        "What was still at work after 1 s is ended. A run is started again with the next start.",
    ]
    wait_until_gone(tmp_path / "children", 2)


@pytest.mark.slow
def test_what_a_program_has_started_ends_also_when_the_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(WITH_A_CHILD, "utf-8")
    with subprocess.Popen(
        [sys.executable, "-c", BESIDE, "print(flush=True); signal.pause()"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    ) as killed:
        assert killed.stdout
        killed.stdout.readline()
        killed.kill()
    wait_until_gone(tmp_path / "children", 1)
