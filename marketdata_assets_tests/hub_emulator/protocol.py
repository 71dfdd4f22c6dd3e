"""The Hub's protocol: which request is for what, and who may ask.

It is spoken as `huggingface_hub` 2.4 sends and reads it, over a `HubStore`. What is answered is
`repositories`, `commits`, `downloads` and `pages`; sockets are `server`'s.

Source: `huggingface_hub`'s `hf_api`.
"""

import re
from collections.abc import Callable

from marketdata_assets_tests.hub_emulator import commits, downloads, pages, repositories
from marketdata_assets_tests.hub_emulator.messages import Answer, Request, refused
from marketdata_assets_tests.hub_emulator.served import Served
from marketdata_assets_tests.hub_emulator.store import NoSuchRepository, NoSuchRevision

Act = Callable[..., Answer]
REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
REVISION = r"(?P<revision>[^/]+)"
DATASET = f"/api/datasets/{REPO}"
RESOLVE = f"/datasets/{REPO}/resolve/{REVISION}/(?P<path>.+)"
LFS_BATCH = rf"/datasets/{REPO}\.git/info/lfs/objects/batch"
OID = r"(?P<oid>[0-9a-f]{64})"
ROUTES: tuple[tuple[str, str, str, Act], ...] = (
    ("GET", "/api/whoami-v2", "whoami", repositories.whoami),
    ("POST", "/api/validate-yaml", "validate", commits.validate_yaml),
    ("POST", "/api/repos/create", "create", repositories.create),
    ("GET", f"{DATASET}/refs", "refs", repositories.refs),
    ("GET", f"{DATASET}/commits/{REVISION}", "commits", repositories.commits),
    ("GET", f"{DATASET}/tree/{REVISION}(/(?P<path>.*))?", "tree", repositories.tree),
    ("POST", f"{DATASET}/paths-info/{REVISION}", "paths", repositories.paths_info),
    ("POST", f"{DATASET}/preupload/{REVISION}", "preupload", commits.preupload),
    ("GET", f"{DATASET}/xet-(?:read|write)-token/{REVISION}", "xet token", commits.xet_token),
    ("POST", f"{DATASET}/commit/{REVISION}", "commit", commits.commit),
    ("GET", f"{DATASET}/auth-check/write", "write check", repositories.may_write),
    ("GET", f"{DATASET}/revision/{REVISION}", "info", repositories.info),
    ("GET", DATASET, "info", repositories.info),
    ("POST", LFS_BATCH, "batch", commits.batch),
    ("PUT", f"/lfs/{OID}", "upload", commits.upload),
    ("GET HEAD", RESOLVE, "resolve", downloads.resolve),
    ("GET HEAD", f"/cdn/{OID}", "download", downloads.download),
    ("GET HEAD", f"/datasets/{REPO}", "page", pages.commit),
    ("GET HEAD", f"/datasets/{REPO}/commit/{REVISION}", "page", pages.commit),
)


class HubProtocol(Served):
    """Answers requests about what it serves."""

    def stage(self, request: Request) -> str:
        """What the request is for, in one word; faults and the request log go by it."""
        for method, pattern, stage, _ in ROUTES:
            if request.method in method.split() and re.fullmatch(pattern, request.path):
                return stage
        return "unknown"

    def answer(self, request: Request) -> Answer:
        if not self._may_ask(request):
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
                except ConnectionError:
                    raise
                except OSError as refusal:
                    return refused(507, f"The disk of the hub refuses: {refusal.strerror}")
        return refused(404, f"Nothing is served at {request.path}")

    def _may_ask(self, request: Request) -> bool:
        is_signed = request.path.startswith(("/cdn/", "/lfs/"))
        said = request.headers.get("authorization")
        return self.token is None or is_signed or said == f"Bearer {self.token}"
