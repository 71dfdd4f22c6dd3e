"""Events in order of their session, to be called up session by session.

Here belongs only the ordering. What the events mean belongs to those who draw them.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class Agenda:
    """`order` sorts events by session; those of session t are `order[bounds[t]:bounds[t + 1]]`."""

    order: npt.NDArray[np.intp]
    bounds: Sequence[int]

    @classmethod
    def of(cls, event_sessions: npt.NDArray[np.int32], session_count: int) -> "Agenda":
        """Index events by session; those outside 0..session_count - 1 are never called up."""
        order = np.argsort(event_sessions, kind="stable")
        edges = np.arange(session_count + 1)
        bounds = np.searchsorted(event_sessions[order], edges, side="left")
        return cls(order, bounds.tolist())

    def at(self, session: int) -> npt.NDArray[np.intp]:
        """Positions of the events of one session; empty on most days."""
        return self.order[self.bounds[session] : self.bounds[session + 1]]

    def before(self, session: int) -> npt.NDArray[np.intp]:
        """Positions of the events of all earlier sessions, in order."""
        return self.order[self.bounds[0] : self.bounds[session]]
