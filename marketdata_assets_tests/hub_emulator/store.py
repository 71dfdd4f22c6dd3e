"""Repositories on disk: blobs by the hash of their content, commits that name all their files.

    <root>/blobs/<aa>/<sha256>                       content, written once
    <root>/repos/<owner>/<name>/commits/<sha>.json   parent, title, time, files
    <root>/repos/<owner>/<name>/head                 the sha of `main`

Any number of processes may use one folder: a commit is made under a lock and is there whole or not
at all. Here belongs what a repository is; how it is spoken to is `protocol`.
"""

import datetime as dt
import hashlib
import itertools
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

GIT_ATTRIBUTES = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"
CHUNK = 1 << 20
YOUNG_SECONDS = 3_600


class NoSuchRepository(LookupError):
    """The repository does not exist."""


class NoSuchRevision(LookupError):
    """The repository exists, the revision does not."""


class HeadMoved(Exception):
    """The parent of a commit is not the head any more."""


class UnknownContent(ValueError):
    """A commit names content that was never uploaded."""


@dataclass(frozen=True)
class Entry:
    """A file in a commit: its content's hash and size, git's id of it, and whether it is LFS."""

    sha256: str
    size: int
    blob_id: str
    lfs: bool

    @property
    def oid(self) -> str:
        """The id the protocol gives the file: the hash for LFS, git's for a regular file."""
        return self.sha256 if self.lfs else self.blob_id


@dataclass(frozen=True)
class Commit:
    sha: str
    parent: str | None
    title: str
    date: str
    files: Mapping[str, Entry]


class HubStore:
    """Repositories under `root`. With `kept_commits` only their content stays: every evening adds
    a whole year's shard, and older ones are of no use to anybody on the same machine.
    """

    def __init__(self, root: Path, kept_commits: int | None = None) -> None:
        self.root = root
        self._kept_commits = kept_commits

    def create(self, repo: str) -> bool:
        """Make an empty repository; False when it is there already."""
        with self._locked(repo):
            if (self._folder(repo) / "head").exists():
                return False
            sha, size = self.put_bytes(GIT_ATTRIBUTES)
            entry = Entry(sha, size, git_blob_id(GIT_ATTRIBUTES), False)
            self._write(repo, None, "initial commit", {".gitattributes": entry})
        return True

    def head(self, repo: str) -> str:
        try:
            return (self._folder(repo) / "head").read_text("ascii")
        except FileNotFoundError:
            raise NoSuchRepository(repo) from None

    def at(self, repo: str, revision: str) -> Commit:
        """The commit of `main` or of a sha."""
        head = self.head(repo)
        sha = head if revision in ("main", "refs/heads/main") else revision
        try:
            stored = json.loads((self._folder(repo) / "commits" / f"{sha}.json").read_text("utf-8"))
        except (FileNotFoundError, OSError):
            raise NoSuchRevision(f"{repo} {revision}") from None
        files = {path: Entry(**entry) for path, entry in stored.pop("files").items()}
        return Commit(files=files, **stored)

    def history(self, repo: str, revision: str = "main") -> list[Commit]:
        """The commits that led to `revision`, the newest first."""
        return list(self._back_from(repo, revision))

    def _back_from(self, repo: str, revision: str) -> Iterator[Commit]:
        parent: str | None = revision
        while parent:
            commit = self.at(repo, parent)
            yield commit
            parent = commit.parent

    def commit(
        self,
        repo: str,
        title: str,
        parent: str | None,
        added: Mapping[str, Entry],
        deleted: Iterable[str] = (),
    ) -> Commit:
        """Move the head. Raises `HeadMoved` when `parent` is given and is not the head."""
        with self._locked(repo):
            head = self.at(repo, "main")
            if parent is not None and parent != head.sha:
                raise HeadMoved(f"{repo}: the head is {head.sha}, not {parent}")
            if missing := [p for p, e in added.items() if not self.blob(e.sha256).exists()]:
                raise UnknownContent(f"{repo}: nothing was uploaded for {', '.join(missing)}")
            kept = {
                path: entry
                for path, entry in head.files.items()
                if not any(path == gone or path.startswith(f"{gone}/") for gone in deleted)
            }
            commit = self._write(repo, head.sha, title, {**kept, **added})
            if self._kept_commits:
                self._drop_old_content(self._kept_commits)
            return commit

    def _drop_old_content(self, kept_commits: int) -> None:
        repos = [head.parent for head in (self.root / "repos").rglob("head")]
        names = [repo.relative_to(self.root / "repos").as_posix() for repo in repos]
        wanted: set[str] = set()
        for name in names:
            # A copy that another program made of a repository may lack its commits.
            with suppress(NoSuchRevision):
                for commit in itertools.islice(self._back_from(name, "main"), kept_commits):
                    wanted |= {entry.sha256 for entry in commit.files.values()}
        for blob in (self.root / "blobs").glob("*/*"):
            # What is young may be uploaded for a commit that is about to be made.
            is_young = time.time() - blob.stat().st_mtime < YOUNG_SECONDS
            if blob.is_file() and blob.name not in wanted and not is_young:
                blob.unlink(missing_ok=True)

    def blob(self, sha256: str) -> Path:
        return self.root / "blobs" / sha256[:2] / sha256

    def put_bytes(self, content: bytes) -> tuple[str, int]:
        sha256 = hashlib.sha256(content).hexdigest()
        self._publish(self.blob(sha256), content)
        return sha256, len(content)

    def put_stream(self, sha256: str, stream: BufferedIOBase | BinaryIO, size: int) -> bool:
        """Store `size` bytes; False when they end early or are not what the hash says."""
        target = self.blob(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{secrets.token_hex(8)}.unfinished")
        digest, left = hashlib.sha256(), size
        try:
            with unfinished.open("wb") as file:
                while left and (chunk := stream.read(min(CHUNK, left))):
                    left -= len(chunk)
                    digest.update(chunk)
                    file.write(chunk)
            if left or digest.hexdigest() != sha256:
                return False
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
            # Who still sends would not hear why the disk refused.
            while left and (chunk := stream.read(min(CHUNK, left))):
                left -= len(chunk)
        return True

    def _write(
        self, repo: str, parent: str | None, title: str, files: Mapping[str, Entry]
    ) -> Commit:
        date = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        sha = hashlib.sha1(f"{repo} {parent} {title} {date} {secrets.token_hex(8)}".encode())
        commit = Commit(sha.hexdigest(), parent, title, date, dict(sorted(files.items())))
        folder = self._folder(repo)
        text = json.dumps(asdict(commit), ensure_ascii=False)
        self._publish(folder / "commits" / f"{commit.sha}.json", text.encode())
        self._publish(folder / "head", commit.sha.encode())
        return commit

    def _publish(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{secrets.token_hex(8)}.unfinished")
        try:
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _locked(self, repo: str) -> FileLock:
        folder = self._folder(repo)
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / ".lock")

    def _folder(self, repo: str) -> Path:
        owner, _, name = repo.partition("/")
        if not name or any(part in ("", ".", "..") for part in (owner, *name.split("/"))):
            raise NoSuchRepository(repo)
        return self.root / "repos" / owner / name


def git_blob_id(content: bytes) -> str:
    """The id git gives to a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    """What git keeps in place of a large file."""
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    )
