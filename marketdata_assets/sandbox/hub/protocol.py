"""What every request of the Hub's protocol is answered with, over a `HubStore`.

Here belong paths, bodies and headers as `huggingface_hub` 2.4 sends and reads them: repositories,
preupload, the LFS batch and its PUT, the commit, trees and downloads. Sockets are `server`'s.

Sources: `huggingface_hub`'s `hf_api`, `_commit_api`, `lfs`, `file_download`; the Git LFS batch API.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import parse_qs, quote, unquote, urlsplit

from marketdata_assets.sandbox.hub.store import (
    Commit,
    Entry,
    HeadMoved,
    HubStore,
    NoSuchRepository,
    NoSuchRevision,
    UnknownContent,
    git_blob_id,
)

REGULAR_AT_MOST = 10_000_000
SIGNATURE = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=5e4f9c0ffee5e4f9"
REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
REVISION = r"(?P<revision>[^/]+)"


@dataclass
class Request:
    """One request: `body` is read by whoever answers, at most once."""

    method: str
    target: str
    headers: dict[str, str]
    stream: BufferedIOBase | BinaryIO
    base_url: str

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)

    @property
    def size(self) -> int:
        return int(self.headers.get("content-length", 0))

    def body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return b"".join(_chunks(self.stream))
        return self.stream.read(self.size)

    def json(self) -> Any:
        return json.loads(self.body())


@dataclass
class Answer:
    status: int
    body: bytes | Path = b""
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value: object, status: int = 200) -> Answer:
    body = json.dumps(value, ensure_ascii=False).encode()
    return Answer(status, body, {"Content-Type": "application/json"})


def refused(status: int, message: str, code: str = "") -> Answer:
    """An error as the Hub words it: in the body and in the headers."""
    answer = as_json({"error": message}, status)
    answer.headers |= {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
    return answer


class HubProtocol:
    """Answers requests; `token` is the only one accepted, None accepts any."""

    def __init__(
        self, store: HubStore, token: str | None = None, regular_at_most: int = REGULAR_AT_MOST
    ) -> None:
        self.store = store
        self.token = token
        self.regular_at_most = regular_at_most

    def stage(self, request: Request) -> str:
        """What the request is for, in one word; faults and the request log go by it."""
        for method, pattern, stage, _ in ROUTES:
            if request.method in method.split() and re.fullmatch(pattern, request.path):
                return stage
        return "unknown"

    def answer(self, request: Request) -> Answer:
        is_signed = request.path.startswith(("/cdn/", "/lfs/"))
        if (
            self.token
            and not is_signed
            and request.headers.get("authorization") != (f"Bearer {self.token}")
        ):
            request.body()
            return refused(401, "Invalid credentials in Authorization header")
        for method, pattern, _, act in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and request.method in method.split():
                try:
                    return act(self, request, **match.groupdict())
                except NoSuchRepository:
                    return refused(404, "Repository not found", "RepoNotFound")
                except NoSuchRevision:
                    return refused(404, "Invalid rev id", "RevisionNotFound")
        return refused(404, f"Nothing is served at {request.path}")

    def whoami(self, request: Request) -> Answer:
        return as_json({"type": "user", "name": "local", "orgs": []})

    def validate_yaml(self, request: Request) -> Answer:
        request.body()
        return as_json({"errors": [], "warnings": []})

    def create(self, request: Request) -> Answer:
        asked = request.json()
        repo = f"{asked.get('organization') or 'local'}/{asked['name']}"
        url = f"{request.base_url}/datasets/{repo}"
        if self.store.create(repo):
            return as_json({"url": url, "name": repo})
        return as_json({"url": url, "error": "You already created this dataset repo"}, 409)

    def info(self, request: Request, repo: str, revision: str | None = None) -> Answer:
        commit = self.store.at(repo, revision or "main")
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

    def refs(self, request: Request, repo: str) -> Answer:
        branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": self.store.head(repo)}
        return as_json({"branches": [branch], "tags": [], "converts": [], "pullRequests": []})

    def commits(self, request: Request, repo: str, revision: str) -> Answer:
        return as_json(
            [
                {
                    "id": commit.sha,
                    "title": commit.title,
                    "message": "",
                    "authors": [{"user": "local"}],
                    "date": commit.date,
                }
                for commit in self.store.history(repo, revision)
            ]
        )

    def tree(self, request: Request, repo: str, revision: str, path: str | None = None) -> Answer:
        commit = self.store.at(repo, revision)
        recursive = request.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        below = f"{path}/" if path else ""
        listed = [
            item
            for item in _items(commit)
            if item["path"].startswith(below)
            and (recursive or "/" not in item["path"][len(below) :])
        ]
        if path and not listed:
            return refused(404, f"{path} does not exist on {revision!r}", "EntryNotFound")
        return as_json(listed)

    def paths_info(self, request: Request, repo: str, revision: str) -> Answer:
        commit, body = self.store.at(repo, revision), request.body()
        is_json = "json" in request.headers.get("content-type", "")
        asked = json.loads(body)["paths"] if is_json else parse_qs(body.decode())["paths"]
        return as_json([item for item in _items(commit) if item["path"] in asked])

    def preupload(self, request: Request, repo: str, revision: str) -> Answer:
        files = self.store.at(repo, revision).files
        return as_json(
            {
                "files": [
                    {
                        "path": asked["path"],
                        "uploadMode": self._mode(asked),
                        "shouldIgnore": False,
                        "oid": files[asked["path"]].oid if asked["path"] in files else None,
                    }
                    for asked in request.json()["files"]
                ]
            }
        )

    def _mode(self, asked: dict[str, Any]) -> str:
        is_binary = b"\0" in base64.b64decode(asked["sample"])
        is_large = asked["size"] > self.regular_at_most
        return "lfs" if is_binary or is_large or asked["path"].endswith(".parquet") else "regular"

    def batch(self, request: Request, repo: str) -> Answer:
        self.store.head(repo)
        objects = []
        for asked in request.json()["objects"]:
            upload = {"href": f"{request.base_url}/lfs/{asked['oid']}?{SIGNATURE}"}
            known = self.store.blob(asked["oid"]).exists()
            objects.append({**asked, **({} if known else {"actions": {"upload": upload}})})
        answer = as_json({"transfer": "basic", "objects": objects})
        answer.headers["Content-Type"] = "application/vnd.git-lfs+json"
        return answer

    def upload(self, request: Request, oid: str) -> Answer:
        if self.store.put_stream(oid, request.stream, request.size):
            return Answer(200, headers={"ETag": f'"{oid}"'})
        return refused(400, "The content is not what its hash says")

    def commit(self, request: Request, repo: str, revision: str) -> Answer:
        header: dict[str, Any] = {}
        added: dict[str, Entry] = {}
        deleted: list[str] = []
        for line in request.body().splitlines():
            item = json.loads(line)
            value = item["value"]
            match item["key"]:
                case "header":
                    header = value
                case "file":
                    content = base64.b64decode(value["content"])
                    sha256, size = self.store.put_bytes(content)
                    added[value["path"]] = Entry(sha256, size, git_blob_id(content), False)
                case "lfsFile":
                    oid, size = value["oid"], value["size"]
                    pointer = _pointer(oid, size)
                    added[value["path"]] = Entry(oid, size, git_blob_id(pointer), True)
                case "deletedFile" | "deletedFolder":
                    deleted.append(value["path"].rstrip("/"))
        try:
            made = self.store.commit(
                repo, header["summary"], header.get("parentCommit"), added, deleted
            )
        except HeadMoved:
            return refused(412, "A commit has happened since. Please refresh and try again.")
        except UnknownContent as error:
            return refused(400, str(error))
        url = f"{request.base_url}/datasets/{repo}/commit/{made.sha}"
        return as_json({"success": True, "commitOid": made.sha, "commitUrl": url, "hookOutput": ""})

    def resolve(self, request: Request, repo: str, revision: str, path: str) -> Answer:
        commit = self.store.at(repo, revision)
        entry = commit.files.get(path)
        if entry is None:
            answer = refused(404, f"{path} does not exist", "EntryNotFound")
            answer.headers["X-Repo-Commit"] = commit.sha
            return answer
        headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{entry.oid}"', "Accept-Ranges": "bytes"}
        if not entry.lfs:
            return Answer(200, self.store.blob(entry.sha256), headers)
        headers |= {"X-Linked-Etag": f'"{entry.sha256}"', "X-Linked-Size": str(entry.size)}
        name = quote(PurePosixPath(path).name)
        # Large files come from another host, which gets a signature instead of the token.
        host = request.base_url.replace("127.0.0.1", "localhost")
        headers["Location"] = f"{host}/cdn/{entry.sha256}?filename={name}&{SIGNATURE}"
        return Answer(302, b"", headers)

    def download(self, request: Request, oid: str) -> Answer:
        blob = self.store.blob(oid)
        if not blob.exists():
            return refused(404, "No such content")
        return Answer(200, blob, {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})


Act = Callable[..., Answer]
DATASET = f"/api/datasets/{REPO}"
ROUTES: tuple[tuple[str, str, str, Act], ...] = (
    ("GET", "/api/whoami-v2", "whoami", HubProtocol.whoami),
    ("POST", "/api/validate-yaml", "validate", HubProtocol.validate_yaml),
    ("POST", "/api/repos/create", "create", HubProtocol.create),
    ("GET", f"{DATASET}/refs", "refs", HubProtocol.refs),
    ("GET", f"{DATASET}/commits/{REVISION}", "commits", HubProtocol.commits),
    ("GET", f"{DATASET}/tree/{REVISION}(/(?P<path>.*))?", "tree", HubProtocol.tree),
    ("POST", f"{DATASET}/paths-info/{REVISION}", "paths", HubProtocol.paths_info),
    ("POST", f"{DATASET}/preupload/{REVISION}", "preupload", HubProtocol.preupload),
    ("POST", f"{DATASET}/commit/{REVISION}", "commit", HubProtocol.commit),
    ("GET", f"{DATASET}/revision/{REVISION}", "info", HubProtocol.info),
    ("GET", DATASET, "info", HubProtocol.info),
    ("POST", rf"/datasets/{REPO}\.git/info/lfs/objects/batch", "batch", HubProtocol.batch),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", "upload", HubProtocol.upload),
    (
        "GET HEAD",
        f"/datasets/{REPO}/resolve/{REVISION}/(?P<path>.+)",
        "resolve",
        HubProtocol.resolve,
    ),
    ("GET HEAD", r"/cdn/(?P<oid>[0-9a-f]{64})", "download", HubProtocol.download),
)


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
            pointer = len(_pointer(entry.sha256, entry.size))
            item["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": pointer}
        items.append(item)
    return items


def _pointer(oid: str, size: int) -> bytes:
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"
    return text.encode()


def _chunks(stream: BufferedIOBase | BinaryIO) -> Iterator[bytes]:
    while size := int(stream.readline().split(b";")[0], 16):
        yield stream.read(size)
        stream.readline()
    stream.readline()
