import os
import time
from pathlib import Path

from marketdata_assets_tests.hub_emulator.store import YOUNG_SECONDS, Entry, HubStore, git_blob_id

REPO = "owner/name"


def commit_of(store: HubStore, content: bytes) -> Path:
    """Commit one file of that content, put there a while ago; where its content lies."""
    sha256, size = store.put_bytes(content)
    blob = store.blob(sha256)
    long_ago = time.time() - YOUNG_SECONDS - 60
    os.utime(blob, (long_ago, long_ago))
    entry = Entry(sha256, size, git_blob_id(content), True)
    store.commit(REPO, "a day", store.head(REPO), {"data/prices.parquet": entry})
    return blob


def test_only_the_latest_contents_stay_and_the_history_is_told_whole(tmp_path: Path) -> None:
    store = HubStore(tmp_path, kept_commits=2)
    store.create(REPO)
    blobs = [commit_of(store, content) for content in (b"one", b"two", b"three")]
    assert [blob.exists() for blob in blobs] == [False, True, True]
    assert len(store.history(REPO)) == 4


def test_without_a_number_everything_stays(tmp_path: Path) -> None:
    store = HubStore(tmp_path)
    store.create(REPO)
    blobs = [commit_of(store, content) for content in (b"one", b"two", b"three")]
    assert all(blob.exists() for blob in blobs)


def test_what_is_uploaded_for_the_next_commit_stays(tmp_path: Path) -> None:
    store = HubStore(tmp_path, kept_commits=1)
    store.create(REPO)
    upcoming, _ = store.put_bytes(b"about to be committed")
    commit_of(store, b"one")
    assert store.blob(upcoming).exists()
