"""Programs that end by themselves, kept running by a parent; all are real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

PARENT = """
import os, sys
from pathlib import Path
from marketdata_assets import supervising

supervising.PAUSES, supervising.SECONDS_BETWEEN_LOOKS = (0.0, 0.1, 0.2), 0.05
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
