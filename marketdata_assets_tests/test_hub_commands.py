"""The commands about the published dataset, over the hub of a profile's folder."""

import datetime as dt
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from marketdata_assets import hub_commands
from marketdata_assets.assets.hf_dataset import publish_days
from marketdata_assets.environment import hugging_face, lake_resource
from marketdata_assets.hub_commands import in_a_sentence
from marketdata_assets.publishing import layout
from marketdata_assets.storage.durable_files import DiskRefuses
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.disks import full_disk
from marketdata_assets_tests.hubs import REPO, TOKEN, hub_at
from marketdata_assets_tests.publishing.prices import find, store
from marketdata_sandbox.hub import faults
from marketdata_sandbox.hub.embedded import LOCAL_REPOSITORY
from marketdata_sandbox.hub.store import HubStore

OLD = sessions_between(dt.date(2005, 1, 4), dt.date(2005, 1, 6))
NEW = sessions_between(dt.date(2023, 12, 28), dt.date(2024, 1, 4))
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """The sandbox's, where the commands look for it."""
    for name in ("TUSHARE_TOKEN", "HF_TOKEN", "HF_DATASET_REPO", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MARKETDATA_HOME", str(tmp_path))
    return lake_resource().open()


def hub(lake: Lake) -> HubStore:
    return HubStore(lake.root / "hub")


def marker(lake: Lake, repository: str = LOCAL_REPOSITORY) -> str:
    entry = hub(lake).at(repository, "main").files[layout.MARKER]
    return hub(lake).blob(entry.sha256).read_text()


def titles(lake: Lake) -> list[str]:
    return [commit.title for commit in hub(lake).history(LOCAL_REPOSITORY)[::-1]]


def succeeds(command: Callable[..., int], capsys: Capture) -> list[str]:
    capsys.readouterr()
    assert in_a_sentence(command) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out.splitlines()


def test_every_stored_day_is_published_a_commit_a_year_oldest_first(
    lake: Lake, capsys: Capture
) -> None:
    store(lake, OLD + NEW)
    find(lake, NEW[0], ("daily_kline", "600000.SH", "bounds", "held"))
    *years, summary = succeeds(hub_commands.publish, capsys)
    assert [line.split()[:4] for line in years] == [
        ["2005", "3", "days", "committed"],
        ["2023", "2", "days", "committed"],
        ["2024", "3", "days", "committed"],
    ]
    assert summary == (f"{LOCAL_REPOSITORY}: all 8 stored days are published; 3 year(s) committed")
    # The embedded hub keeps the last two.
    assert titles(lake)[-2:] == [
        f"{NEW[0]} … {NEW[1]}, 2 days",
        f"{NEW[2]} … {NEW[-1]}, 3 days",
    ]
    assert marker(lake) == f"{NEW[-1]:%Y%m%d}"
    assert layout.findings(2023) in hub(lake).at(LOCAL_REPOSITORY, "main").files
    assert succeeds(hub_commands.verify, capsys)[0].startswith("0 difference(s)")


@pytest.mark.parametrize("room", [0, 100, 10_000])
def test_a_full_disk_is_told_at_once_and_publishing_goes_on_with_room(
    lake: Lake, capsys: Capture, room: int
) -> None:
    store(lake, OLD)
    folder = lake.root / "publishing"
    with full_disk(room), pytest.raises((DiskRefuses, SystemExit)) as refused:
        sys.exit(in_a_sentence(hub_commands.publish))
    said = str(refused.value) + capsys.readouterr().err
    assert "Make room or give write permission" in said
    assert str(folder) in said or "The disk of the hub refuses" in said
    succeeds(hub_commands.publish, capsys)
    assert succeeds(hub_commands.verify, capsys)[0].startswith("0 difference(s)")


def test_what_other_programs_left_is_not_published_and_no_obstacle(
    lake: Lake, capsys: Capture
) -> None:
    store(lake, OLD)
    succeeds(hub_commands.publish, capsys)
    base = lake.root / "publishing" / LOCAL_REPOSITORY.replace("/", "--") / "base"
    for name in ("._prices-2005.parquet", "prices-2005 (conflicted copy).parquet", "Thumbs.db"):
        (base / "data" / name).write_bytes(b"?")
        (lake.root / "findings").mkdir(exist_ok=True)
        (lake.root / "findings" / name).write_bytes(b"?")
        (lake.root / name).write_bytes(b"?")
    store(lake, OLD[:1], version=1)
    succeeds(hub_commands.publish, capsys)
    assert not [
        path
        for path in hub(lake).at(LOCAL_REPOSITORY, "main").files
        if path.rpartition("/")[2].startswith(("._", "Thumbs", "prices-2005 "))
    ]
    assert succeeds(hub_commands.verify, capsys)[0].startswith("0 difference(s)")


def test_publishing_again_commits_only_what_differs(lake: Lake, capsys: Capture) -> None:
    store(lake, OLD + NEW)
    succeeds(hub_commands.publish, capsys)
    head = hub(lake).head(LOCAL_REPOSITORY)
    assert succeeds(hub_commands.publish, capsys)[-1].endswith("; 3 year(s) already there")
    assert hub(lake).head(LOCAL_REPOSITORY) == head
    store(lake, OLD[:1], version=1)
    told = succeeds(hub_commands.publish, capsys)
    assert told[0].split()[3] == "committed"
    assert told[-1].endswith("; 1 year(s) committed, 2 year(s) already there")
    assert marker(lake) == f"{NEW[-1]:%Y%m%d}"


def test_an_emptied_repository_is_filled_again_and_the_lake_out_of_it(
    lake: Lake, capsys: Capture
) -> None:
    store(lake, OLD + NEW)
    succeeds(hub_commands.publish, capsys)
    everything = hub(lake).at(LOCAL_REPOSITORY, "main").files
    hub(lake).commit(LOCAL_REPOSITORY, "empty", None, {}, everything)
    assert in_a_sentence(hub_commands.verify) == 1
    assert "nothing was published here yet" in capsys.readouterr().err
    succeeds(hub_commands.publish, capsys)
    assert succeeds(hub_commands.verify, capsys)[0].startswith("0 difference(s)")
    lake.path(DAILY_PRICES, OLD[1]).unlink()
    [told] = succeeds(hub_commands.restore_lake, capsys)
    assert told.startswith("daily_prices: 8 day(s) restored")
    assert lake.days(DAILY_PRICES) == OLD + NEW


def test_another_repository_keeps_what_it_has_chosen_for_its_csv(
    lake: Lake, capsys: Capture
) -> None:
    store(lake, NEW)
    for number, choices in enumerate((layout.Choices(""), layout.Choices(csv=False))):
        name = f"local/other-{number}"
        publish_days(hugging_face(), lake, NEW[:1], choices, name)
        assert succeeds(lambda name=name: hub_commands.publish(name), capsys)
        files = hub(lake).at(name, "main").files
        assert (layout.CSV in files) is choices.csv
        if choices.csv:
            csv = hub(lake).blob(files[layout.CSV].sha256).read_text("utf-8")
            # All six shares, and not those of the main board alone.
            assert len(csv.splitlines()) == 1 + 6 * len(NEW)


@pytest.mark.parametrize("command", ["verify", "restore_lake"])
def test_without_a_dataset_a_command_says_so(command: str, lake: Lake, capsys: Capture) -> None:
    assert in_a_sentence(getattr(hub_commands, command)) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        f"{LOCAL_REPOSITORY} is not there: nothing was published yet. Materialize hf_dataset, or "
        "run the publish command.\n"
    )


def test_an_empty_lake_has_nothing_to_publish(lake: Lake, capsys: Capture) -> None:
    assert in_a_sentence(hub_commands.publish) == 1
    said = "daily_prices is not stored. Materialize daily_prices first.\n"
    assert capsys.readouterr().err == said


def test_a_hub_without_credentials_is_said_and_not_traced(
    lake: Lake, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(lake, NEW[:1])
    monkeypatch.setenv("HF_DATASET_REPO", "someone/prices")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert in_a_sentence(hub_commands.publish) == 1
    assert capsys.readouterr().err.startswith("HF_TOKEN is '': set it together with HF_DATASET")


@pytest.mark.parametrize("command", ["publish", "verify", "restore_lake"])
@pytest.mark.parametrize(
    ("token", "cure"),
    [(TOKEN, "Create the dataset at https"), ("hf_another", "Set HF_TOKEN to a valid token")],
    ids=["no dataset", "no access"],
)
def test_what_the_hub_refuses_is_said(
    command: str,
    token: str,
    cure: str,
    lake: Lake,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store(lake, NEW[:1])
    monkeypatch.setenv("HF_DATASET_REPO", REPO)
    monkeypatch.setenv("HF_TOKEN", token)
    with hub_at(lake.root / "hub") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        assert in_a_sentence(getattr(hub_commands, command)) == 1
    told = capsys.readouterr()
    assert told.err.startswith(f"Hub dataset {REPO}: HTTP 40")
    assert cure in told.err
    assert token not in told.out + told.err


def test_a_year_that_can_not_be_sent_ends_it_and_what_was_sent_stays(
    lake: Lake, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(lake, OLD + NEW)
    monkeypatch.setenv("HF_DATASET_REPO", REPO)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with hub_at(lake.root / "hub") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        server.protocol.store.create(REPO)
        done = [faults.then(threading.Event())]
        server.faults = {"commit": deque([*done, faults.refusal(403)])}
        assert in_a_sentence(hub_commands.publish) == 1
        told = capsys.readouterr()
        assert told.out.startswith("2005    3 days  committed")
        assert "Give the token of HF_TOKEN write access" in told.err
        assert marker(lake, REPO) == f"{OLD[-1]:%Y%m%d}"
        assert succeeds(hub_commands.publish, capsys)[-1].endswith(
            "; 1 year(s) already there, 2 year(s) committed"
        )
