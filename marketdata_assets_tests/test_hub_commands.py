"""The commands about the published dataset, over the folder of a profile and over a hub."""

import datetime as dt
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from marketdata_assets import hub_commands
from marketdata_assets.assets.hf_dataset import publish_days
from marketdata_assets.environment import lake_resource
from marketdata_assets.errors import MarketdataError
from marketdata_assets.publishing import layout
from marketdata_assets.storage.lake import Lake
from marketdata_assets.tables import DAILY_PRICES
from marketdata_assets.trading_calendar import sessions_between
from marketdata_assets_tests.disks import full_disk
from marketdata_assets_tests.hub_emulator import faults
from marketdata_assets_tests.hub_emulator.server import HubServer
from marketdata_assets_tests.hub_emulator.store import Entry, git_blob_id
from marketdata_assets_tests.hubs import REPO, TOKEN, hub_at
from marketdata_assets_tests.published_folder import is_whole, keys, marker
from marketdata_assets_tests.publishing.prices import find, store

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


@pytest.fixture
def server(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that has the dataset of the settings."""
    monkeypatch.setenv("HF_DATASET_REPO", REPO)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with hub_at(lake.root / "hub") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def published(server: HubServer, path: str, repository: str = REPO) -> str:
    store = server.protocol.store
    return store.blob(store.at(repository, "main").files[path].sha256).read_text("utf-8")


def hub() -> int:
    return hub_commands.serve_hub(0)


def succeeds(command: Callable[..., int], capsys: Capture) -> list[str]:
    capsys.readouterr()
    assert command() == 0
    told = capsys.readouterr()
    assert told.err == ""
    return told.out.splitlines()


def refused(command: Callable[[], int]) -> str:
    """What stands in a command's way."""
    with pytest.raises(MarketdataError) as obstacle:
        command()
    return str(obstacle.value)


def test_every_stored_day_is_published_a_year_at_a_time_oldest_first(
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
    assert summary == "dataset: all 8 stored days are published; 3 year(s) committed"
    assert sorted({day for day, _ in keys(lake.root)}) == OLD + NEW
    assert is_whole(lake.root)
    assert marker(lake.root) == f"{NEW[-1]:%Y%m%d}"
    assert (lake.root / "dataset" / layout.findings(2023)).exists()
    assert succeeds(hub_commands.verify, capsys)[0].startswith("0 difference(s)")


@pytest.mark.parametrize("room", [0, 100, 10_000])
def test_a_full_disk_is_told_at_once_and_publishing_goes_on_with_room(
    lake: Lake, capsys: Capture, room: int
) -> None:
    store(lake, OLD)
    folder = lake.root / "dataset"
    with full_disk(room):
        said = refused(hub_commands.publish)
    assert "Make room or give write permission" in said
    assert str(folder) in said
    succeeds(hub_commands.publish, capsys)
    assert succeeds(hub_commands.verify, capsys)[0].startswith("0 difference(s)")


def test_a_disk_that_fills_up_with_a_csv_that_is_taken_over_is_no_fault_of_the_csv(
    lake: Lake, capsys: Capture
) -> None:
    store(lake, NEW)
    succeeds(hub_commands.publish, capsys)
    (lake.root / "dataset" / layout.MANIFEST).unlink()
    with full_disk(100):
        assert "Make room or give write permission" in refused(hub_commands.publish)
    succeeds(hub_commands.publish, capsys)
    assert succeeds(hub_commands.verify, capsys)[0].startswith("0 difference(s)")


def test_what_other_programs_left_is_no_obstacle_and_told_where_readers_would_take_it(
    lake: Lake, capsys: Capture
) -> None:
    store(lake, OLD)
    succeeds(hub_commands.publish, capsys)
    dataset = lake.root / "dataset"
    for name in ("._prices-2005.parquet", "prices-2005 (conflicted copy).parquet", "Thumbs.db"):
        (dataset / "data" / name).write_bytes(b"?")
        (lake.root / "findings").mkdir(exist_ok=True)
        (lake.root / "findings" / name).write_bytes(b"?")
        (lake.root / name).write_bytes(b"?")
    store(lake, OLD[:1], version=1)
    succeeds(hub_commands.publish, capsys)
    assert hub_commands.verify() == 1
    [line, _] = capsys.readouterr().out.splitlines()
    assert line == (
        "differs: data/prices-2005 (conflicted copy).parquet is in the dataset and not in the "
        "manifest"
    )
    (dataset / "data" / "prices-2005 (conflicted copy).parquet").unlink()
    assert succeeds(hub_commands.verify, capsys)[0].startswith("0 difference(s)")


def test_publishing_again_commits_only_what_differs(lake: Lake, capsys: Capture) -> None:
    store(lake, OLD + NEW)
    succeeds(hub_commands.publish, capsys)
    before = (lake.root / "dataset" / layout.MANIFEST).stat()
    assert succeeds(hub_commands.publish, capsys)[-1].endswith("; 3 year(s) already there")
    assert (lake.root / "dataset" / layout.MANIFEST).stat() == before
    store(lake, OLD[:1], version=1)
    told = succeeds(hub_commands.publish, capsys)
    assert told[0].split()[3] == "committed"
    assert told[-1].endswith("; 1 year(s) committed, 2 year(s) already there")
    assert marker(lake.root) == f"{NEW[-1]:%Y%m%d}"


def test_an_emptied_repository_is_filled_again_and_the_lake_out_of_it(
    server: HubServer, lake: Lake, capsys: Capture
) -> None:
    store(lake, OLD + NEW)
    succeeds(hub_commands.publish, capsys)
    hub = server.protocol.store
    assert hub.history(REPO)[0].title == f"{NEW[2]} … {NEW[-1]}, 3 days"
    hub.commit(REPO, "empty", None, {}, hub.at(REPO, "main").files)
    assert "nothing was published here yet" in refused(hub_commands.verify)
    succeeds(hub_commands.publish, capsys)
    assert succeeds(hub_commands.verify, capsys)[0].startswith("0 difference(s)")
    lake.path(DAILY_PRICES, OLD[1]).unlink()
    [told] = succeeds(hub_commands.restore_lake, capsys)
    assert told.startswith("daily_prices: 8 day(s) restored")
    assert lake.days(DAILY_PRICES) == OLD + NEW


@pytest.mark.parametrize("path", [layout.shard(2005), layout.CSV])
@pytest.mark.parametrize("lfs", [True, False])
def test_a_file_that_was_changed_on_the_hub_differs_though_a_copy_of_it_is_here(
    server: HubServer, lake: Lake, capsys: Capture, path: str, lfs: bool
) -> None:
    store(lake, OLD)
    succeeds(hub_commands.publish, capsys)
    hub = server.protocol.store
    before = hub.blob(hub.at(REPO, "main").files[path].sha256).read_bytes()
    for changed in (before[:-1] + b"?", b"another"):
        sha256, size = hub.put_bytes(changed)
        entry = Entry(sha256, size, git_blob_id(changed), lfs)
        hub.commit(REPO, "by hand", None, {path: entry})
        assert hub_commands.verify() == 1
        assert capsys.readouterr().out.startswith(f"differs: {path} is not what the manifest says")


def test_another_repository_keeps_what_it_has_chosen_for_its_csv(
    server: HubServer, lake: Lake, capsys: Capture
) -> None:
    store(lake, NEW)
    everything = layout.Choices("", csv_all_columns=True)
    for number, choices in enumerate((everything, layout.Choices(csv=False))):
        name = f"local/other-{number}"
        server.protocol.store.create(name)
        publish_days(hub_commands.configured(), lake, NEW[:1], choices, name)
        assert succeeds(lambda name=name: hub_commands.publish(name), capsys)
        files = server.protocol.store.at(name, "main").files
        assert (layout.CSV in files) is choices.csv
        if choices.csv:
            csv = published(server, layout.CSV, name)
            # All six shares, and not those of the main board alone.
            assert len(csv.splitlines()) == 1 + 6 * len(NEW)
            assert csv.splitlines()[0].split(",") == DAILY_PRICES.column_names


@pytest.mark.parametrize("command", [hub_commands.verify, hub_commands.restore_lake, hub])
def test_without_a_dataset_a_command_says_so(
    command: Callable[[], int], lake: Lake, capsys: Capture
) -> None:
    assert refused(command) == (
        "there is no manifest.json: nothing was published here yet. Materialize hf_dataset, or "
        "run the publish command."
    )
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["..", "prices", "some one/prices", "a/b/c"])
def test_a_repository_that_can_have_no_such_name_is_told_before_anything_is_written(
    server: HubServer, lake: Lake, name: str
) -> None:
    store(lake, OLD)
    before = set(lake.root.iterdir())
    said = f"--repository is {name!r}: write it as owner/name."
    assert refused(lambda: hub_commands.publish(name)) == said
    assert set(lake.root.iterdir()) == before


def test_an_empty_lake_has_nothing_to_publish(lake: Lake, capsys: Capture) -> None:
    said = "daily_prices is not stored. Materialize daily_prices first."
    assert refused(hub_commands.publish) == said


def test_a_hub_without_credentials_is_said_and_not_traced(
    lake: Lake, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(lake, NEW[:1])
    monkeypatch.setenv("HF_DATASET_REPO", "someone/prices")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert refused(hub_commands.publish).startswith(
        "HF_TOKEN is '': set it together with HF_DATASET"
    )


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
    server: HubServer,
    lake: Lake,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store(lake, NEW[:1])
    monkeypatch.setenv("HF_DATASET_REPO", "someone/else")
    monkeypatch.setenv("HF_TOKEN", token)
    told = refused(getattr(hub_commands, command))
    assert told.startswith("Hub dataset someone/else: HTTP 40")
    assert cure in told
    assert token not in told + capsys.readouterr().out


def test_a_year_that_can_not_be_sent_ends_it_and_what_was_sent_stays(
    server: HubServer, lake: Lake, capsys: Capture
) -> None:
    store(lake, OLD + NEW)
    done = [faults.then(threading.Event())]
    server.faults = {"commit": deque([*done, faults.refusal(403)])}
    assert "Give the token of HF_TOKEN write access" in refused(hub_commands.publish)
    assert capsys.readouterr().out.startswith("2005    3 days  committed")
    assert published(server, layout.MARKER) == f"{OLD[-1]:%Y%m%d}"
    assert succeeds(hub_commands.publish, capsys)[-1].endswith(
        "; 1 year(s) already there, 2 year(s) committed"
    )
