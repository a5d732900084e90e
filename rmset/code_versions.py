"""Changes of the program after which a stage gives other results, and which videos they touch.

The highest version whose change touches a video goes into the hash of the stage's inputs, so that `build` redoes what
would come out otherwise now, and nothing else. Version 1 is that of the first release.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rmset.records import VideoRecord


@dataclass(frozen=True)
class Change:
    """A change after which a stage gives other results."""

    version: int
    what: str
    touches: Callable[[VideoRecord], bool]
    """whether the results of a video come out otherwise"""


def _is_shown_otherwise(record: VideoRecord) -> bool:
    """Whether a plain reader, as the first version was, gives other frames, times or pixels than a player shows."""
    return bool(set(record.notes) - {"turned"}) or record.fault is not None


NUMBERING = Change(2, "frames are numbered, timed and shown as by a player", _is_shown_otherwise)


def _every_video(record: VideoRecord) -> bool:  # noqa: ARG001
    """Touch all videos: whether a mashup is cut so is known only by looking."""
    return True


EDITED = Change(3, "people over the film, moments full screen and changed places are found", _every_video)

FILLING = Change(4, "a face as large as its panel is held where it is", _every_video)

SECOND = Change(5, "a second person of a panel may be small beside the first", _every_video)
ASKED = Change(2, "the audit looks again where it doubts, at rooms and at gaps", _every_video)

CHANGES: dict[str, tuple[Change, ...]] = {
    # tracks and crops follow a layout that comes out otherwise
    "layout": (NUMBERING, EDITED, SECOND), "track": (NUMBERING, FILLING), "export": (NUMBERING,),
    "audit": (ASKED,),
}  # fmt: skip
"""by stage; add a change with the next version when a stage's results change"""


def code_version(stage: str, record: VideoRecord) -> int:
    """Return the last version of the program that changed what a stage makes of a video."""
    return max((c.version for c in CHANGES.get(stage, ()) if c.touches(record)), default=1)
