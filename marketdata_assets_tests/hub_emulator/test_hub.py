"""The local hub, spoken to by the real client: what is committed, listed, downloaded, refused."""

import hashlib
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from marketdata_assets.resources.hub_errors import NoRoom, read_error
from marketdata_assets_tests.disks import full_disk
from marketdata_assets_tests.hub_emulator import faults
from marketdata_assets_tests.hub_emulator.server import HubServer
from marketdata_assets_tests.hub_emulator.store import HubStore, git_blob_id
from marketdata_assets_tests.hubs import REPO, TOKEN, client_of, hub_at

SMALL, LARGE = b"20240105", bytes(range(256)) * 20


@pytest.fixture
def api(hub_server: HubServer) -> Iterator[HfApi]:
    with client_of(hub_server) as api:
        api.create_repo(REPO, repo_type="dataset", exist_ok=True)
        yield api


def head(api: HfApi) -> str:
    return str(api.repo_info(REPO, repo_type="dataset").sha)


def commit(api: HfApi, parent: str | None = None, **files: bytes) -> str:
    additions = [CommitOperationAdd(name, content) for name, content in files.items()]
    return api.create_commit(
        REPO, additions, commit_message="more", repo_type="dataset", parent_commit=parent
    ).oid


def downloaded(api: HfApi, path: str, revision: str, folder: Path) -> bytes:
    file = api.hf_hub_download(
        REPO, path, repo_type="dataset", revision=revision, local_dir=folder / revision
    )
    return Path(file).read_bytes()


def test_a_commit_holds_small_and_large_files_as_they_were_sent(api: HfApi, tmp_path: Path) -> None:
    sha = commit(api, head(api), marker=SMALL, large=LARGE)
    assert head(api) == sha
    assert downloaded(api, "marker", sha, tmp_path) == SMALL
    assert downloaded(api, "large", sha, tmp_path) == LARGE


def test_a_tree_tells_sizes_and_hashes(api: HfApi) -> None:
    sha = commit(api, marker=SMALL, large=LARGE)
    listed = {f.path: f for f in api.list_repo_tree(REPO, repo_type="dataset", revision=sha)}
    assert set(listed) == {".gitattributes", "marker", "large"}
    assert listed["marker"].blob_id == git_blob_id(SMALL)
    assert listed["marker"].lfs is None
    assert listed["large"].lfs.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert listed["large"].size == len(LARGE)


def test_an_old_commit_keeps_its_files(api: HfApi, tmp_path: Path) -> None:
    before = commit(api, large=LARGE)
    commit(api, large=LARGE[1:])
    assert downloaded(api, "large", before, tmp_path) == LARGE


def test_only_one_of_two_commits_on_the_same_parent_is_made(api: HfApi) -> None:
    parent = head(api)
    first = commit(api, parent, marker=b"1")
    with pytest.raises(HfHubHTTPError) as refusal:
        commit(api, parent, marker=b"2")
    assert refusal.value.response.status_code == 412
    assert head(api) == first


def test_what_is_unchanged_is_not_sent_and_makes_no_commit(
    api: HfApi, hub_server: HubServer
) -> None:
    sha = commit(api, large=LARGE)
    hub_server.requests.clear()
    assert commit(api, large=LARGE) == sha
    assert "commit" not in hub_server.stages()
    assert "upload" not in hub_server.stages()


def test_content_that_is_known_is_not_uploaded_again(api: HfApi, hub_server: HubServer) -> None:
    commit(api, large=LARGE)
    hub_server.requests.clear()
    commit(api, copy=LARGE)
    assert "upload" not in hub_server.stages()
    assert "commit" in hub_server.stages()


def test_a_file_can_be_deleted(api: HfApi) -> None:
    commit(api, large=LARGE)
    api.create_commit(
        REPO, [CommitOperationDelete("large")], commit_message="less", repo_type="dataset"
    )
    assert api.list_repo_files(REPO, repo_type="dataset") == [".gitattributes"]


def test_the_history_is_told_newest_first(api: HfApi) -> None:
    shas = [head(api), commit(api, a=b"1"), commit(api, a=b"2")]
    history = api.list_repo_commits(REPO, repo_type="dataset")
    assert [one.commit_id for one in history] == shas[::-1]


def test_what_does_not_exist_is_said_by_its_kind(api: HfApi, tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError):
        api.repo_info("someone/else", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        api.repo_info(REPO, repo_type="dataset", revision="0" * 40)
    with pytest.raises(RemoteEntryNotFoundError):
        downloaded(api, "nothing", head(api), tmp_path)


def test_a_wrong_token_is_refused(hub_server: HubServer, api: HfApi) -> None:
    with pytest.raises(HfHubHTTPError) as refusal:
        api.repo_info(REPO, repo_type="dataset", token="hf_wrong")
    assert refusal.value.response.status_code == 401


def test_a_part_of_a_file_can_be_asked_for(api: HfApi, hub_server: HubServer) -> None:
    from huggingface_hub import HfFileSystem

    commit(api, large=LARGE)
    files = HfFileSystem(endpoint=hub_server.url, token=TOKEN, skip_instance_cache=True)
    with files.open(f"datasets/{REPO}/large", block_size=64) as file:
        file.seek(1_000)
        assert file.read(10) == LARGE[1_000:1_010]


def test_an_upload_that_is_dropped_is_sent_again_by_the_client(
    api: HfApi, hub_server: HubServer, tmp_path: Path
) -> None:
    hub_server.faults["upload"] = deque([faults.dropped()])
    sha = commit(api, large=LARGE)
    assert downloaded(api, "large", sha, tmp_path) == LARGE
    assert hub_server.stages().count("upload") == 2


def test_content_that_is_not_what_its_hash_says_is_not_stored(tmp_path: Path) -> None:
    store = HubStore(tmp_path)
    file = tmp_path / "file"
    file.write_bytes(b"other")
    with file.open("rb") as stream:
        assert not store.put_stream("0" * 64, stream, 5)
    assert not store.blob("0" * 64).exists()


def test_two_servers_over_one_folder_are_one_hub(api: HfApi, tmp_path: Path) -> None:
    sha = commit(api, marker=SMALL)
    with hub_at(tmp_path / "hub") as other:
        file = hf_hub_download(
            REPO,
            "marker",
            repo_type="dataset",
            revision=sha,
            endpoint=other.url,
            token=TOKEN,
            local_dir=tmp_path / "there",
        )
    assert Path(file).read_bytes() == SMALL


def test_the_link_to_a_commit_opens_and_leads_to_its_files(
    hub_server: HubServer, api: HfApi
) -> None:
    sha = commit(api, marker=SMALL, large=LARGE)
    for path in (f"/datasets/{REPO}/commit/{sha}", f"/datasets/{REPO}"):
        page = asked(hub_server, path)
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        found = {
            link: asked(hub_server, link).content for link in re.findall('href="(.+?)"', page.text)
        }
        assert {SMALL, LARGE} <= set(found.values())
        assert all(f"/resolve/{sha}/" in link for link in found)
    assert asked(hub_server, f"/datasets/{REPO}/commit/{'0' * 40}").status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8766", ""])
def test_a_page_of_another_site_is_refused(hub_server: HubServer, api: HfApi, host: str) -> None:
    refused = asked(hub_server, f"/datasets/{REPO}", Host=host)
    assert refused.status_code == 403
    assert "127.0.0.1 and localhost only" in refused.json()["error"]
    for own in ("localhost", "127.0.0.1:1", "[::1]:8766"):
        assert asked(hub_server, f"/datasets/{REPO}", Host=own).status_code == 200


def asked(hub_server: HubServer, path: str, **headers: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {TOKEN}", **headers}
    return requests.get(hub_server.url + path, headers=headers, timeout=20)


@pytest.mark.parametrize("content", [LARGE, bytes(5 << 20)], ids=["small", "large"])
def test_a_full_disk_of_the_hub_is_told_at_once_and_nothing_is_left(
    api: HfApi, hub_server: HubServer, tmp_path: Path, content: bytes
) -> None:
    before = head(api)
    # The client wraps what an upload raises.
    with pytest.raises(RuntimeError) as refused, full_disk(1_000):
        commit(api, before, large=content)
    told = read_error(REPO, refused.value)
    assert isinstance(told, NoRoom)
    assert "The disk of the hub refuses: File too large. Make room" in str(told)
    assert list((tmp_path / "hub").rglob("*.unfinished")) == []
    sha = commit(api, head(api), large=content)
    assert downloaded(api, "large", sha, tmp_path) == content


def test_what_other_programs_left_in_the_hubs_folder_is_no_obstacle(tmp_path: Path) -> None:
    store = HubStore(tmp_path, kept_commits=1)
    store.create(REPO)
    for name in (
        "blobs/.DS_Store",
        "blobs/aa/@eaDir/thumb.jpg",
        "repos/desktop.ini",
        "repos/someone/.stversions/prices/head",
        f"repos/{REPO}/head (conflicted copy)",
        f"repos/{REPO}/commits/._x.json",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"?")
    store.put_bytes(SMALL)
    made = store.commit(REPO, "more", None, {})
    assert store.head(REPO) == made.sha
