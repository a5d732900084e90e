"""What the audit of a video found: `audit/<video_id>.json`. No embedding is in it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rmset.errors import RootError
from rmset.geometry import Box

SCHEMA = 1
MASKED, FILM, FOUND, PERSON = "somebody masked", "film unmasked", "everybody found", "same person"
QUESTIONS = (MASKED, FILM, FOUND, PERSON)
"""in the order in which they are asked"""


@dataclass(frozen=True)
class Answer:
    """One answer; a question has one for the whole video, or one for each thing that is wrong."""

    question: str
    """one of `QUESTIONS`"""
    answer: Literal["yes", "no", "cannot tell", "not asked"]
    good: bool | None
    """whether it is as it should be; None where it says nothing"""
    detail: str = ""
    """what was seen, one line"""
    frame_idx: int | None = None
    box: Box | None = None
    """px of the frame"""
    person_id: int | None = None
    confidence: float = 1.0
    """what is left of the confidence in the video"""
    other_frame_idx: int | None = None
    """where a second face is seen, that should be the same person"""
    other_box: Box | None = None
    """px of the frame"""


@dataclass(frozen=True)
class Rename:
    """From a frame on, an id of the tracks is another person."""

    frame_idx: int
    person_id: int
    becomes: int


@dataclass(frozen=True)
class Audit:
    """All answers about one video."""

    video_id: str
    embedder: str | None
    """name of what compared faces; None where identities were not asked for"""
    frames: int
    """frames that were looked at"""
    faces: int
    """faces that were compared"""
    answers: tuple[Answer, ...]
    renames: tuple[Rename, ...] = ()
    """what would put identities right, in order of time"""

    @property
    def confidence(self) -> float:
        """The least of all answers'."""
        return min((a.confidence for a in self.answers), default=1.0)

    def to_json(self) -> str:
        """As written into the root."""
        return json.dumps({"schema": SCHEMA, **asdict(self), "confidence": self.confidence}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str = "audit") -> Audit:
        """Read what `to_json` wrote.

        Raises:
            RootError: not an audit, or written by a newer program.
        """
        try:
            raw = json.loads(text)
            if raw["schema"] > SCHEMA:
                raise RootError(f"{name}: expected schema {SCHEMA}, found {raw['schema']}; update rmset")
            return cls(
                str(raw["video_id"]),
                raw["embedder"],
                int(raw["frames"]),
                int(raw["faces"]),
                tuple(_answer(a) for a in raw["answers"]),
                tuple(Rename(int(r["frame_idx"]), int(r["person_id"]), int(r["becomes"])) for r in raw["renames"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise RootError(f"{name}: not an audit ({error!r}); run `rmset audit --force`") from error


def _answer(raw: dict[str, Any]) -> Answer:
    boxes = {name: raw.get(name) for name in ("box", "other_box")}
    return Answer(**{**raw, **{n: None if b is None else (b[0], b[1], b[2], b[3]) for n, b in boxes.items()}})
