"""Changes of the program that alter a stage's results, and the videos they affect.

The highest version that affects a video is part of the hash of the stage's inputs, so `build` redoes exactly the
results that would differ now. Version 1 is the first release.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rmset.records import VideoRecord


@dataclass(frozen=True)
class Change:
    """A change that alters a stage's results."""

    version: int
    what: str
    touches: Callable[[VideoRecord], bool]
    """whether a video's results change"""


def _is_shown_otherwise(record: VideoRecord) -> bool:
    """Whether a plain reader, like the first version, gives other frames, times or pixels than a player shows."""
    return bool(set(record.notes) - {"turned"}) or record.fault is not None


NUMBERING = Change(2, "frames are numbered, timed and shown as by a player", _is_shown_otherwise)


def _every_video(record: VideoRecord) -> bool:  # noqa: ARG001
    """Touch all videos: whether a mashup is cut so is known only by looking."""
    return True


EDITED = Change(3, "people over the film, moments full screen and changed places are found", _every_video)

FILLING = Change(4, "a face as large as its panel is held where it is", _every_video)

SECOND = Change(5, "a second person of a panel may be small beside the first", _every_video)

GRID = Change(6, "the film is where the whole video has it, and short absences split a segment", _every_video)

DARK = Change(7, "dark panels are lightened, and covered faces are found at their place", _every_video)

ONCE = Change(8, "a face seen in two panels is one person, and the wider panel is cut", _every_video)

SIDES = Change(9, "a blurred film shows on both sides of the screen; hair is no second person", _every_video)

RESTING = Change(8, "faces that hardly move are looked for in every second frame", _every_video)

ASKED = Change(2, "the audit looks again where it doubts, at rooms and at gaps", _every_video)
MIDDLE = Change(3, "the audit searches the whole screen once per segment, and sees cuts elsewhere", _every_video)
PRECISE = Change(4, "the audit finds the frame of a change, and people who are there for a short time", _every_video)
UNTOLD = Change(5, "the audit says what it could not compare, and when two tracks follow one face", _every_video)

PLANES = Change(3, "crops are cut out of the planes of the video, and no longer by way of RGB", _every_video)

CHANGES: dict[str, tuple[Change, ...]] = {
    # tracks and crops depend on the layout, which changes
    "layout": (NUMBERING, EDITED, SECOND, GRID, DARK, ONCE, SIDES), "track": (NUMBERING, FILLING, DARK, RESTING),
    "export": (NUMBERING, PLANES), "audit": (ASKED, MIDDLE, PRECISE, UNTOLD),
}  # fmt: skip
"""by stage; add a change with the next version when a stage's results change"""


def code_version(stage: str, record: VideoRecord) -> int:
    """Return the last version of the program that changed a stage's result for a video."""
    return max((c.version for c in CHANGES.get(stage, ()) if c.touches(record)), default=1)
