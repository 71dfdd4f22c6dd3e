"""Publishing to the Hugging Face Hub: one commit or none, whatever happens on the way.

The head first, the state at that sha, the content built on it, one commit with that parent, then
a look at what is there. An error of the Hub is no proof that nothing was done, and its "yes" none
that something was: only the state at a commit is, so every doubt begins again at the head. There
the same content changes nothing, if it arrived, and is sent again, if it didn't.
"""

import random
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from marketdata_assets.listening import is_simulated
from marketdata_assets.publishing.build import Content
from marketdata_assets.publishing.manifest import hash_of
from marketdata_assets.publishing.workspace import Workspace
from marketdata_assets.resources.hub_client import (
    Repository,
    StateAt,
    bounded,
    goes_through_xet,
    hub_api,
    is_local,
)
from marketdata_assets.resources.hub_errors import (
    BoundReached,
    HeadMoved,
    HubError,
    HubUnavailable,
    NotALocalHub,
    NotAsSent,
)
from marketdata_assets.resources.publisher import Build, Outcome, Publication, Publisher
from marketdata_assets.resources.time_bound import SILENCE_SECONDS, Bound

HUB = "https://huggingface.co"
PAUSES_SECONDS = (1, 2, 5, 10, 20, 40, 60)
RACES = 20
SECONDS_TO_LOOK = 30.0


class HuggingFaceResource(Publisher):
    """A dataset on the Hub, or on another server of its protocol.

    `work_folder` keeps local copies of what is published. `bound_seconds` ends a publication,
    `silence_seconds` every wait for the other side.
    """

    token: str = Field(repr=False)
    work_folder: str
    endpoint: str = HUB
    silence_seconds: float = SILENCE_SECONDS

    def publish(
        self, build: Build, title: str, origins: Collection[str], repository: str = ""
    ) -> Publication:
        """Make one commit of what `build` makes on top of the head, or none if it is there.

        Simulated rows go to a local hub only.
        """
        refuse_real_hub(repository or self.repository, self.endpoint, origins)
        with self._connected(repository) as (remote, workspace):
            return _Publishing(self, remote, workspace, build, title).run()

    @contextmanager
    def opened(self, repository: str = "") -> Iterator[tuple[StateAt, Workspace]]:
        with self._connected(repository) as (remote, workspace):
            yield remote.at(remote.head()), workspace

    def refuse_without_write_access(self) -> None:
        """Raise the `HubError` that fits where the dataset is not there or may not be written."""
        api, bound = hub_api(self.endpoint, self.token), Bound(SECONDS_TO_LOOK, SECONDS_TO_LOOK)
        with bounded(bound):
            Repository(api, self.repository, bound).refuse_without_write_access()

    @contextmanager
    def _connected(self, repository: str) -> Iterator[tuple[Repository, Workspace]]:
        """The repository and the local copies of it, alone and bounded in time."""
        name = repository or self.repository
        api = hub_api(self.endpoint, self.token)
        workspace = Workspace(Path(self.work_folder) / name.replace("/", "--"))
        bound = Bound(self.bound_seconds, self.silence_seconds)
        with workspace.locked(self.bound_seconds), bounded(bound):
            yield Repository(api, name, bound), workspace

    def pause(self, seconds: float) -> None:
        """Wait before trying again."""
        threading.Event().wait(seconds)


class _Built(NamedTuple):
    """What is to be published on top of a state: the files by path, with their hashes."""

    state: StateAt
    content: Content
    hashes: dict[str, str]

    def differences(self, state: StateAt) -> list[str]:
        """The files that are not in the repository as they are here."""
        files = self.content.files.items()
        return [path for path, file in files if not state.holds(path, file, self.hashes[path])]


@dataclass
class _Publishing:
    """One publication: its attempts, and what the last one knows."""

    resource: HuggingFaceResource
    remote: Repository
    workspace: Workspace
    build: Build
    title: str
    built: _Built | None = None
    was_sent: bool = False
    bytes_of_files: int = 0

    def run(self) -> Publication:
        failures = races = 0
        while True:
            try:
                return self._attempt()
            except HeadMoved as moved:
                races += 1
                if races > RACES:
                    raise
                self._pause(moved, random.uniform(0, 0.2 * races))
            except HubUnavailable as unavailable:
                if failures == len(PAUSES_SECONDS):
                    raise
                self._pause(unavailable, PAUSES_SECONDS[failures])
                failures += 1

    def _attempt(self) -> Publication:
        head = self.remote.head()
        if self.built is None or self.built.state.revision != head:
            # Building anew takes away what was built before, though it fail.
            self.built = None
            self.built = self._build_on(self.remote.at(head))
        state, content, hashes = self.built
        changed = self.built.differences(state)
        removed = [path for path in content.removed if path in state.entries]
        if not changed and not removed:
            outcome = Outcome.FOUND if self.was_sent else Outcome.ALREADY_THERE
            return self._done(content, outcome, head, [])
        self.was_sent = True
        files = {path: (content.files[path], hashes[path]) for path in changed}
        self.bytes_of_files = sum(file.stat().st_size for file, _ in files.values())
        made = self.remote.commit(head, self.title, files, removed)
        if made == head:
            raise HeadMoved(self.remote.name, "the client found nothing to send.")
        if differing := self.built.differences(self.remote.at(made)):
            raise NotAsSent(
                self.remote.name, f"at commit {made}, {', '.join(differing)} are not as sent."
            )
        return self._done(content, Outcome.COMMITTED, made, [*changed, *removed])

    def _build_on(self, state: StateAt) -> _Built:
        content = self.build(state, self.workspace)
        known = content.manifest.files
        hashes = {
            path: known[path].sha256 if path in known else hash_of(file)
            for path, file in content.files.items()
        }
        return _Built(state, content, hashes)

    def _done(
        self, content: Content, outcome: Outcome, commit: str, changed: list[str]
    ) -> Publication:
        for path, file in content.files.items():
            self.workspace.keep(path, file)
        return Publication(
            outcome=outcome,
            revision=commit,
            place=f"{self.resource.endpoint}/datasets/{self.remote.name}/commit/{commit}",
            bytes_of_files=self.bytes_of_files,
            files_changed=sorted(changed),
            content=content,
            bytes_sent=self.remote.bound.bytes_sent,
            through_xet=goes_through_xet(),
        )

    def _pause(self, error: HubError, seconds: float) -> None:
        """Wait as long as the Hub says, or else `seconds`. Raises `BoundReached` if it can't."""
        seconds = error.wait_seconds or seconds
        if seconds >= self.remote.bound.ends_in:
            if error.wait_seconds:
                raise error
            raise BoundReached(self.remote.name, f"not done in time, and at last: {error.what}")
        self.resource.pause(seconds)


def refuse_real_hub(repository: str, endpoint: str, origins: Collection[str]) -> None:
    """Raise `NotALocalHub` for simulated rows and a hub that is not on this machine."""
    simulated = next(filter(is_simulated, origins), None)
    if simulated and not is_local(endpoint):
        raise NotALocalHub(repository, f"the prices are simulated ({simulated}).")
