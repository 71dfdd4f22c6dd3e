"""What is printed on one host is read on another, as Dagster's UI asks for it."""

import subprocess
import sys

import pytest

pytest.importorskip("obstore", reason="the extra `distributed` is not installed")

from dagster._core.storage.compute_log_manager import ComputeIOType

from marketdata_assets.hosts import Hosts
from marketdata_assets.storage.printed_objects import PrintedObjects
from marketdata_assets_tests.distributed.running import settings_of

STEP = """
import os, sys
from marketdata_assets.storage.printed_objects import PrintedObjects
with PrintedObjects().capture_logs(["run", "compute_logs", "step"]):
    print("of the step")
    os.system("echo of a program")
    print("a warning", file=sys.stderr)
    if sys.argv[1:]:
        raise ValueError("the step has failed")
print("after the step")
"""


@pytest.fixture
def printed(shared: Hosts, monkeypatch: pytest.MonkeyPatch) -> PrintedObjects:
    for name, value in zip(Hosts._fields, shared, strict=True):
        monkeypatch.setenv(f"MARKETDATA_{name.upper()}", value)
    return PrintedObjects()


def test_what_a_step_and_its_programs_print_is_read_by_stream(
    shared: Hosts, printed: PrintedObjects
) -> None:
    key = ["run", "compute_logs", "step"]
    assert printed.get_log_data(key).stdout is None
    assert not printed.is_capture_complete(key)
    step = [sys.executable, "-c", STEP]
    settings = settings_of(shared)
    told = subprocess.run(step, env=settings, capture_output=True, text=True, check=True)
    assert "after the step" in told.stdout
    data = printed.get_log_data(key)
    assert sorted((data.stdout or b"").decode().splitlines()) == ["of a program", "of the step"]
    assert (data.stderr or b"").decode() == "a warning\n"
    assert printed.get_log_data(key, data.cursor).stdout == b""
    assert printed.is_capture_complete(key)
    assert (printed.get_log_metadata(key).stdout_location or "").startswith(shared.lake)
    printed.delete_logs(prefix=["run"])
    assert not printed.is_capture_complete(key)


def test_a_step_that_ends_by_an_error_ends(shared: Hosts, printed: PrintedObjects) -> None:
    step = [sys.executable, "-c", STEP, "fails"]
    told = subprocess.run(step, env=settings_of(shared), capture_output=True, text=True)
    assert told.returncode == 1
    assert "the step has failed" in told.stderr


def test_a_step_ends_also_where_sigterm_is_ignored(shared: Hosts, printed: PrintedObjects) -> None:
    step = ["env", "--ignore-signal=TERM", sys.executable, "-c", STEP]
    subprocess.run(step, env=settings_of(shared), check=True, timeout=300)
    assert printed.is_capture_complete(["run", "compute_logs", "step"])


def test_what_a_sensor_says_is_found_by_its_folder_and_silence_is_no_object(
    printed: PrintedObjects,
) -> None:
    for moment, said in (("1", "a look\n"), ("2", "")):
        with printed.open_log_stream(["looks", moment], ComputeIOType.STDERR) as stream:
            assert stream is not None
            stream.write(said)
    assert printed.get_log_keys_for_log_key_prefix(["looks"], ComputeIOType.STDERR) == [
        ["looks", "1"]
    ]
    assert printed.get_log_data(["looks", "1"]).stderr == b"a look\n"
