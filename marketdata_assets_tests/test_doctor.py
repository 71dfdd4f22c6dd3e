"""What stands in the way of an evening, looked for with the real clients at local servers."""

import datetime as dt
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from marketdata_assets.doctor import Look, Outcome, looks
from marketdata_assets.listening import listen
from marketdata_assets.operator_commands import diagnose
from marketdata_assets.tables import NAME_CHANGES
from marketdata_assets.trading_calendar import last_published_session
from marketdata_assets_tests.hubs import REPO, hub_at
from marketdata_assets_tests.hubs import TOKEN as HUB_TOKEN
from marketdata_assets_tests.resources.ssh_server import FarEnd
from marketdata_assets_tests.small_funds import SmallFunds
from marketdata_sandbox.columns import Columns
from marketdata_sandbox.protocol import TushareProtocol
from marketdata_sandbox.server import TushareServer

TOKEN = "secret-token-91c4"
FUND_AUTOMATIONS = {
    "etf_chain_schedule",
    "late_navs_sensor",
    "missing_etf_partitions_sensor",
}


class NamedFunds(SmallFunds):
    """Nobody has ever changed a name."""

    def namechange(self, today: dt.date) -> Columns:
        return {name: [] for name in NAME_CHANGES.column_names}


class Patient:
    """A profile with a folder and ports of its own, over servers that are started for it."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch, open_until_end: ExitStack) -> None:
        self._home, self._patch, self._open = home, patch, open_until_end
        for name in ("TUSHARE_TOKEN", "HF_DATASET_REPO", "HF_ENDPOINT", "SSH_ENABLED"):
            patch.delenv(name, raising=False)
        self.set(
            MARKETDATA_HOME=str(home),
            XDG_STATE_HOME=str(home / "state"),
            NO_PROXY="127.0.0.1",
            API_PORT=str(free_port()),
        )

    def set(self, **settings: str) -> None:
        for name, value in settings.items():
            self._patch.setenv(name, value)

    def asks_a_vendor(self, points: int = 5_000, token: str = TOKEN) -> TushareServer:
        protocol = TushareProtocol(NamedFunds(), token=TOKEN, points=points)
        server = self._open.enter_context(TushareServer(protocol).running())
        self.set(TUSHARE_URL=server.url, TUSHARE_TOKEN=token)
        return server

    def looked_at(self, now: dt.datetime | None = None, port: int = 0) -> dict[str, Look]:
        (self._home / "sandbox").mkdir(exist_ok=True)
        (self._home / "live-127.0.0.1").mkdir(exist_ok=True)
        found = list(looks(os.environ, port or free_port(), now or dt.datetime.now(dt.UTC)))
        assert TOKEN not in repr(found)
        assert HUB_TOKEN not in repr(found)
        assert len({one.what for one in found}) == len(found)
        return {one.what: one for one in found}


@pytest.fixture
def patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Patient]:
    with ExitStack() as open_until_end:
        yield Patient(tmp_path, monkeypatch, open_until_end)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stopping(found: dict[str, Look]) -> list[str]:
    return [name for name, one in found.items() if one.outcome is Outcome.STOPS]


def test_nothing_stops_the_sandbox_which_asks_nobody(patient: Patient) -> None:
    found = patient.looked_at()
    assert stopping(found) == []
    assert found["account"].seen == "the sandbox needs none"
    assert found["daily_chain_schedule"].seen.startswith("runs next ")
    assert found["dev"].cure == "marketdata dev"


def test_an_account_of_5000_points_may_ask_everything_and_faster(patient: Patient) -> None:
    patient.asks_a_vendor(points=5_000)
    found = patient.looked_at()
    assert stopping(found) == []
    calls = [one for name, one in found.items() if name.startswith("call ")]
    assert len(calls) > 20
    assert {one.outcome for one in calls} == {Outcome.FINE}
    assert "TUSHARE_CALLS_PER_MINUTE=500" in found["allowance"].cure
    assert found["clock"].outcome is Outcome.FINE


def test_with_2000_points_the_funds_are_to_be_switched_off_and_the_evening_is_made(
    patient: Patient,
) -> None:
    patient.asks_a_vendor(points=2_000)
    found = patient.looked_at()
    assert stopping(found) == []
    assert found["call fund_daily"].cure == "needs an account of 5,000 points"
    assert found["call stock_st"].cure == "needs an account of 3,000 points"
    off = {name for name, one in found.items() if "switch it off" in one.cure}
    assert off == FUND_AUTOMATIONS


def test_too_few_points_for_shares_stop_the_evening(patient: Patient) -> None:
    patient.asks_a_vendor(points=120)
    found = patient.looked_at()
    assert {"call daily_basic", "daily_chain_schedule", "missing_partitions_sensor"} <= set(
        stopping(found)
    )
    assert found["call daily_basic"].cure == "needs an account of 2,000 points"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_token_that_is_refused_or_nobody_who_answers_is_told_once(
    patient: Patient, is_there: bool
) -> None:
    server = patient.asks_a_vendor(token="another-token-1234")
    patient.set(EXTRA_TABLES="dividends")
    if not is_there:
        patient.set(TUSHARE_URL=f"http://127.0.0.1:{free_port()}")
    found = patient.looked_at()
    assert "token" in stopping(found)
    cure = "TUSHARE_TOKEN" if is_there else "check the network"
    assert cure in found["token"].cure
    assert not [name for name in found if name.startswith("call ")]
    assert len(server.requests) == is_there
    for name in ("daily_chain_schedule", "etf_chain_schedule", "extra_tables_sensor"):
        assert found[name].outcome is Outcome.STOPS
        assert found[name].seen == "can't run: see token above"


def test_a_clock_that_is_an_hour_off_stops_the_evening(patient: Patient) -> None:
    patient.asks_a_vendor()
    found = patient.looked_at(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    assert stopping(found) == ["clock"]
    assert "timedatectl" in found["clock"].cure


def test_a_calendar_that_ends_is_told_before_and_stops_the_evening_after(patient: Patient) -> None:
    last = dt.datetime.combine(last_published_session(), dt.time(4), dt.UTC)
    assert patient.looked_at(last - dt.timedelta(days=9))["calendar"].outcome is Outcome.NOTE
    assert patient.looked_at(last + dt.timedelta(days=1))["calendar"].outcome is Outcome.STOPS


@pytest.mark.parametrize(
    ("may_write", "token", "says"),
    [
        (True, HUB_TOKEN, "may be written"),
        (False, HUB_TOKEN, "write access"),
        (True, "hf_x", "401"),
    ],
)
def test_the_hub_is_asked_whether_the_token_may_write(
    patient: Patient, tmp_path: Path, may_write: bool, token: str, says: str
) -> None:
    with hub_at(tmp_path / "hub") as hub:
        hub.protocol.may_write = may_write
        patient.set(HF_ENDPOINT=hub.url, HF_DATASET_REPO=REPO, HF_TOKEN=token)
        look = patient.looked_at()["Hub"]
    assert says in look.seen
    assert (look.outcome is Outcome.FINE) == (may_write and token == HUB_TOKEN)


def test_the_tunnel_is_built_or_the_setting_named(patient: Patient, tmp_path: Path) -> None:
    folder = tmp_path / "ssh"
    folder.mkdir()
    patient.asks_a_vendor()
    with FarEnd(folder).running() as far_end:
        patient.set(
            SSH_ENABLED="true",
            SSH_HOST="127.0.0.1",
            SSH_PORT=str(far_end.port),
            SSH_USERNAME="me",
            SSH_KEY_PATH=str(far_end.user_key),
            SSH_KNOWN_HOSTS=str(far_end.known_hosts),
        )
        assert patient.looked_at()["SSH tunnel"].outcome is Outcome.FINE
        far_end.user_key.chmod(0o644)
        look = patient.looked_at()["SSH tunnel"]
    # Histories from China come without it.
    assert look.outcome is Outcome.NOTE
    assert "chmod 600" in look.seen


@pytest.mark.parametrize("name", ["dev", "daemon"])
def test_ports_beside_what_runs_may_be_taken(patient: Patient, tmp_path: Path, name: str) -> None:
    held = tmp_path / "sandbox" / "dagster" / "programs.lock"
    held.parent.mkdir(parents=True)
    with listen("127.0.0.1", 0, "host", "port") as taken, held.open("w") as lock:
        patient.set(API_PORT=str(taken.getsockname()[1]))
        lock.write(name)
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = patient.looked_at()
    assert stopping(found) == []
    assert "dev" not in found
    assert ("ports" in found) == (name == "dev")
    if name == "daemon":
        assert found["port of the API"].outcome is Outcome.NOTE


def test_doctor_ends_with_what_comes_next(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    patient.looked_at()
    assert diagnose(free_port()) == 0
    assert "Next: marketdata demo" in capsys.readouterr().out
    patient.set(TUSHARE_TOKEN=TOKEN, TUSHARE_CALLS_PER_MINUTE="many")
    assert diagnose(free_port()) == 1
    assert "look again: marketdata doctor" in capsys.readouterr().out


def test_a_taken_port_and_a_setting_that_cant_be_read_are_named(patient: Patient) -> None:
    with listen("127.0.0.1", 0, "host", "port") as taken:
        patient.set(API_PORT=str(taken.getsockname()[1]))
        found = patient.looked_at()
    assert stopping(found) == ["port of the API"]
    assert "API_PORT" in found["port of the API"].seen
    port = free_port()
    patient.set(API_PORT=str(port))
    assert stopping(patient.looked_at(port=port)) == ["port of the API"]
    patient.set(TUSHARE_TOKEN=TOKEN, TUSHARE_CALLS_PER_MINUTE="many")
    assert stopping(patient.looked_at()) == ["settings"]


@pytest.mark.parametrize("language", ["C.UTF-8", "zh_CN.UTF-8"])
def test_doctor_cuts_no_path_however_long_it_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    language: str,
) -> None:
    home = tmp_path / "a-folder-with-a-name-that-is-longer-than-a-line-of-the-terminal"
    (home / "sandbox").mkdir(parents=True)
    monkeypatch.setenv("MARKETDATA_HOME", str(home))
    monkeypatch.setenv("LC_ALL", language)
    diagnose(free_port())
    assert str(home / "sandbox") in "".join(capsys.readouterr().out.split())
