"""What is told about repositories, their commits and files, and how one is made."""

import json
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs

from marketdata_assets_tests.hub_emulator.messages import Answer, Request, as_json, refused
from marketdata_assets_tests.hub_emulator.served import Served
from marketdata_assets_tests.hub_emulator.store import Commit, git_blob_id, lfs_pointer


def whoami(hub: Served, request: Request) -> Answer:
    return as_json({"type": "user", "name": "local", "orgs": []})


def may_write(hub: Served, request: Request, repo: str) -> Answer:
    hub.store.head(repo)
    return as_json({}) if hub.may_write else refused(403, "Forbidden: no write access")


def create(hub: Served, request: Request) -> Answer:
    asked = request.json()
    repo = f"{asked.get('organization') or 'local'}/{asked['name']}"
    url = f"{request.base_url}/datasets/{repo}"
    if hub.store.create(repo):
        return as_json({"url": url, "name": repo})
    return as_json({"url": url, "error": "You already created this dataset repo"}, 409)


def info(hub: Served, request: Request, repo: str, revision: str | None = None) -> Answer:
    commit = hub.store.at(repo, revision or "main")
    siblings = [{"rfilename": path} for path in commit.files]
    return as_json(
        {
            "id": repo,
            "author": repo.partition("/")[0],
            "sha": commit.sha,
            "lastModified": commit.date,
            "private": False,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "siblings": siblings,
        }
    )


def refs(hub: Served, request: Request, repo: str) -> Answer:
    branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": hub.store.head(repo)}
    return as_json({"branches": [branch], "tags": [], "converts": [], "pullRequests": []})


def commits(hub: Served, request: Request, repo: str, revision: str) -> Answer:
    return as_json(
        [
            {
                "id": commit.sha,
                "title": commit.title,
                "message": "",
                "authors": [{"user": "local"}],
                "date": commit.date,
            }
            for commit in hub.store.history(repo, revision)
        ]
    )


def tree(
    hub: Served, request: Request, repo: str, revision: str, path: str | None = None
) -> Answer:
    commit = hub.store.at(repo, revision)
    recursive = request.query.get("recursive", ["false"])[0].lower() in ("true", "1")
    below = f"{path}/" if path else ""
    listed = [
        item
        for item in _items(commit)
        if item["path"].startswith(below) and (recursive or "/" not in item["path"][len(below) :])
    ]
    if path and not listed:
        return refused(404, f"{path} does not exist on {revision!r}", "EntryNotFound")
    return as_json(listed)


def paths_info(hub: Served, request: Request, repo: str, revision: str) -> Answer:
    commit, body = hub.store.at(repo, revision), request.body()
    is_json = "json" in request.headers.get("content-type", "")
    asked = json.loads(body)["paths"] if is_json else parse_qs(body.decode())["paths"]
    return as_json([item for item in _items(commit) if item["path"] in asked])


def _items(commit: Commit) -> list[dict[str, Any]]:
    """Files and the folders they are in, as trees list them."""
    folders = {str(parent) for path in commit.files for parent in PurePosixPath(path).parents}
    items: list[dict[str, Any]] = [
        {"type": "directory", "oid": git_blob_id(folder.encode()), "size": 0, "path": folder}
        for folder in sorted(folders - {"."})
    ]
    last = {"id": commit.sha, "title": commit.title, "date": commit.date}
    for path, entry in commit.files.items():
        item = {"type": "file", "oid": entry.blob_id, "size": entry.size, "path": path}
        item["lastCommit"] = last
        if entry.lfs:
            pointer = len(lfs_pointer(entry.sha256, entry.size))
            item["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": pointer}
        items.append(item)
    return items
