"""How files go out: small ones at once, large ones from a signed address, or through xet.

Source: `huggingface_hub`'s `file_download`.
"""

from pathlib import PurePosixPath
from urllib.parse import quote

from marketdata_assets_tests.hub_emulator.messages import Answer, Request, refused
from marketdata_assets_tests.hub_emulator.served import SIGNATURE, Served


def resolve(hub: Served, request: Request, repo: str, revision: str, path: str) -> Answer:
    commit = hub.store.at(repo, revision)
    entry = commit.files.get(path)
    if entry is None:
        answer = refused(404, f"{path} does not exist", "EntryNotFound")
        answer.headers["X-Repo-Commit"] = commit.sha
        return answer
    headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{entry.oid}"', "Accept-Ranges": "bytes"}
    if not entry.lfs:
        return Answer(200, hub.store.blob(entry.sha256), headers)
    headers |= {"X-Linked-Etag": f'"{entry.sha256}"', "X-Linked-Size": str(entry.size)}
    if hub.xet and (xet_hash := hub.xet.hash_of(entry.sha256)):
        token = f"{request.base_url}/api/datasets/{repo}/xet-read-token/{commit.sha}"
        headers |= {"X-Xet-Hash": xet_hash, "X-Xet-Refresh-Route": token}
    name = quote(PurePosixPath(path).name)
    # Large files come from another host, which gets a signature instead of the token.
    host = request.base_url.replace("127.0.0.1", "localhost")
    headers["Location"] = f"{host}/cdn/{entry.sha256}?filename={name}&{SIGNATURE}"
    return Answer(302, b"", headers)


def download(hub: Served, request: Request, oid: str) -> Answer:
    blob = hub.store.blob(oid)
    if not blob.exists():
        return refused(404, "No such content")
    return Answer(200, blob, {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})
