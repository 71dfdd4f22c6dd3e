"""How files come in: what is to be uploaded, by LFS or xet, and the commit that names them.

Sources: `huggingface_hub`'s `_commit_api` and `lfs`; the Git LFS batch API.
"""

import base64
import json
import time
from typing import Any

from marketdata_assets_tests.hub_emulator.messages import Answer, Request, as_json, refused
from marketdata_assets_tests.hub_emulator.served import SIGNATURE, Served
from marketdata_assets_tests.hub_emulator.store import (
    Entry,
    HeadMoved,
    UnknownContent,
    git_blob_id,
    lfs_pointer,
)

XET_TOKEN_SECONDS = 3_600


def validate_yaml(hub: Served, request: Request) -> Answer:
    request.body()
    return as_json({"errors": [], "warnings": []})


def preupload(hub: Served, request: Request, repo: str, revision: str) -> Answer:
    files = hub.store.at(repo, revision).files
    return as_json(
        {
            "files": [
                {
                    "path": asked["path"],
                    "uploadMode": _mode(hub, asked),
                    "shouldIgnore": False,
                    "oid": files[asked["path"]].oid if asked["path"] in files else None,
                }
                for asked in request.json()["files"]
            ]
        }
    )


def _mode(hub: Served, asked: dict[str, Any]) -> str:
    is_binary = b"\0" in base64.b64decode(asked["sample"])
    is_large = asked["size"] > hub.regular_at_most
    return "lfs" if is_binary or is_large or asked["path"].endswith(".parquet") else "regular"


def batch(hub: Served, request: Request, repo: str) -> Answer:
    hub.store.head(repo)
    objects = []
    for asked in request.json()["objects"]:
        upload = {"href": f"{request.base_url}/lfs/{asked['oid']}?{SIGNATURE}"}
        known = hub.store.blob(asked["oid"]).exists()
        objects.append({**asked, **({} if known else {"actions": {"upload": upload}})})
    answer = as_json({"transfer": "basic", "objects": objects})
    answer.headers["Content-Type"] = "application/vnd.git-lfs+json"
    return answer


def upload(hub: Served, request: Request, oid: str) -> Answer:
    if hub.store.put_stream(oid, request.stream, request.size):
        return Answer(200, headers={"ETag": f'"{oid}"'})
    return refused(400, "The content is not what its hash says")


def xet_token(hub: Served, request: Request, repo: str, revision: str) -> Answer:
    """Where content goes to and comes from by xet; in the body for uploads, in headers for
    downloads.
    """
    if hub.xet is None:
        return refused(404, "This hub has no xet storage")
    hub.store.at(repo, revision)
    token, expires = "local", int(time.time()) + XET_TOKEN_SECONDS
    answer = as_json({"casUrl": hub.xet.url, "exp": expires, "accessToken": token})
    answer.headers["X-Xet-Cas-Url"] = hub.xet.url
    answer.headers["X-Xet-Access-Token"] = token
    answer.headers["X-Xet-Token-Expiration"] = str(expires)
    return answer


def commit(hub: Served, request: Request, repo: str, revision: str) -> Answer:
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
                sha256, size = hub.store.put_bytes(content)
                added[value["path"]] = Entry(sha256, size, git_blob_id(content), False)
            case "lfsFile":
                oid, size = value["oid"], value["size"]
                if hub.xet and not hub.store.blob(oid).exists():
                    hub.xet.bring(oid, size, hub.store)
                pointer = lfs_pointer(oid, size)
                added[value["path"]] = Entry(oid, size, git_blob_id(pointer), True)
            case "deletedFile" | "deletedFolder":
                deleted.append(value["path"].rstrip("/"))
    try:
        made = hub.store.commit(repo, header["summary"], header.get("parentCommit"), added, deleted)
    except HeadMoved:
        return refused(412, "A commit has happened since. Please refresh and try again.")
    except UnknownContent as error:
        return refused(400, str(error))
    url = f"{request.base_url}/datasets/{repo}/commit/{made.sha}"
    return as_json({"success": True, "commitOid": made.sha, "commitUrl": url, "hookOutput": ""})
