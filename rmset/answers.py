"""Results of a video's audit: `audit/<video_id>.json`. It contains no embeddings."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rmset.bounded import parse_json
from rmset.errors import RootError
from rmset.geometry import Box

SCHEMA = 1
MASKED, FILM, FOUND, PERSON = "somebody masked", "film unmasked", "everybody found", "same person"
QUESTIONS = (MASKED, FILM, FOUND, PERSON)
"""questions, in order"""


@dataclass(frozen=True)
class Answer:
    """One answer; a question has one for the whole video, or one per fault."""

    question: str
    """one of `QUESTIONS`"""
    answer: Literal["yes", "no", "cannot tell", "not asked"]
    good: bool | None
    """whether the answer is good; None if undecided"""
    detail: str = ""
    """the observation, one line"""
    frame_idx: int | None = None
    box: Box | None = None
    """px of the frame"""
    person_id: int | None = None
    confidence: float = 1.0
    """remaining confidence in the video, 0 to 1"""
    other_frame_idx: int | None = None
    """where a second face is seen, that should be the same person"""
    other_box: Box | None = None
    """px of the frame"""


@dataclass(frozen=True)
class Rename:
    """A correction: from a frame on, an id of the tracks belongs to another person."""

    frame_idx: int
    person_id: int
    becomes: int


@dataclass(frozen=True)
class Audit:
    """All answers about one video."""

    video_id: str
    embedder: str | None
    """name of the embedder; None if identities were not compared"""
    frames: int
    """frames examined"""
    faces: int
    """faces compared"""
    answers: tuple[Answer, ...]
    renames: tuple[Rename, ...] = ()
    """corrections of identities, in order of time"""

    @property
    def confidence(self) -> float:
        """The lowest confidence of all answers."""
        return min((a.confidence for a in self.answers), default=1.0)

    def to_json(self) -> str:
        """Return the text that is written into the root."""
        return json.dumps({"schema": SCHEMA, **asdict(self), "confidence": self.confidence}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str = "audit") -> Audit:
        """Read an audit written by `to_json`.

        Raises:
            RootError: not an audit, or written by a newer program.
        """
        try:
            raw = parse_json(text, name)
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
