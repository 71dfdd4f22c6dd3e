"""The published folder over HTTP, as programs and people of this machine ask for it."""

import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import requests

from marketdata_assets.assets.hf_dataset import publish_days
from marketdata_assets.publishing import layout
from marketdata_assets.storage.lake import Lake
from marketdata_assets_tests.published_folder import dataset_folder
from marketdata_assets_tests.publishing.prices import SHARES, store

DAYS = [dt.date(2023, 12, 29), dt.date(2024, 1, 2)]
SHARD = layout.shard(2024)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served") / "sandbox"
    lake = Lake(root, "sandbox: simulated, not a real market")
    store(lake, DAYS)
    publish_days(dataset_folder(root), lake, DAYS)
    (root / "beside.txt").write_text("not published")
    (root / "dataset" / "data" / "._prices-2024.parquet").write_text("not published")
    return root


@pytest.fixture(scope="module")
def url(root: Path) -> Iterator[str]:
    """The command `hub`, at the address it tells."""
    code = "from marketdata_assets.hub_commands import serve_hub; serve_hub(0)"
    env = {**os.environ, "MARKETDATA_HOME": str(root.parent), "TUSHARE_TOKEN": ""}
    serving = subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True
    )
    assert serving.stdout is not None
    told = serving.stdout.readline()
    assert told.startswith(f"The dataset in {root / 'dataset'}: http://127.0.0.1:")
    yield told.split(": ", 1)[1].split()[0]
    serving.send_signal(signal.SIGINT)
    assert serving.wait(60) == 0
    serving.stdout.close()


def asked(url: str, path: str, method: str = "GET", **headers: str) -> requests.Response:
    return requests.request(method, f"{url}/{path}", headers=headers, timeout=30)


def test_pandas_reads_a_year_by_its_address(url: str) -> None:
    rows = pd.read_parquet(f"{url}/{SHARD}")
    assert len(rows) == len(SHARES)
    assert str(rows["date"].iloc[0])[:10] == "2024-01-02"


@pytest.mark.parametrize("path", [SHARD, layout.CSV, layout.MARKER, layout.MANIFEST, layout.CARD])
def test_a_file_is_answered_whole_and_its_size_without_it(url: str, root: Path, path: str) -> None:
    content = (root / "dataset" / path).read_bytes()
    answer, head = asked(url, path), asked(url, path, "HEAD")
    assert answer.content == content
    assert head.status_code == 200
    assert head.headers["Content-Length"] == str(len(content))
    assert head.headers["Accept-Ranges"] == "bytes"
    assert head.headers["ETag"] == answer.headers["ETag"]


def test_a_part_of_a_file_can_be_asked_for(url: str, root: Path) -> None:
    content = (root / "dataset" / SHARD).read_bytes()
    for said, part in {"bytes=4-9": content[4:10], "bytes=-8": content[-8:]}.items():
        answer = asked(url, SHARD, Range=said)
        assert answer.status_code == 206
        assert answer.content == part
    assert asked(url, SHARD, Range="bytes=999999999-").status_code == 416


def test_pages_lead_to_every_file_and_to_nothing_else(url: str, root: Path) -> None:
    found: set[str] = set()
    pages = ["/"]
    while pages:
        page = asked(url, pages.pop().removeprefix("/"))
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        for line in page.text.split("<li>")[1:]:
            link = line.split('"')[1]
            (pages.append if ">" in line and "/</a>" in line else found.add)(link)
    files = {str(p.relative_to(root / "dataset")) for p in (root / "dataset").rglob("*.*")}
    hidden = {".work", ".work/.lock", "data/._prices-2024.parquet"}
    assert {link.removeprefix("/") for link in found} == files - hidden


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "n" * 300,
        ".work/.lock",
        "data/._prices-2024.parquet",
        "../beside.txt",
        "%2e%2e/beside.txt",
    ],
)
def test_nothing_beside_the_dataset_is_answered(url: str, path: str) -> None:
    connection = requests.Request("GET", url).prepare()
    connection.url = f"{url}/{path}"
    with requests.Session() as session:
        assert session.send(connection, timeout=30).status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8766", ""])
def test_a_page_of_another_site_is_refused(url: str, host: str) -> None:
    refused = asked(url, SHARD, Host=host)
    assert refused.status_code == 403
    assert "127.0.0.1 and localhost only" in refused.text
    for own in ("localhost", "127.0.0.1:1", "[::1]:8766"):
        assert asked(url, SHARD, Host=own).status_code == 200


def test_nothing_can_be_sent(url: str) -> None:
    assert asked(url, SHARD, "PUT").status_code == 405
