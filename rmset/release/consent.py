"""The consent file of `rmset publish --with-pixels`: CSV with the people, or whole videos, whose crops may be shown.

    video_id,person_id
    mashup-1a2b3c4d,3
    a1b2c3d4e5F,

A line without person_id stands for all people of the video. Further columns, such as the date of a signed form, are
the publisher's own and are not published.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rmset.bounded import read_text
from rmset.errors import UnreadableError, UsageError


@dataclass(frozen=True)
class Consent:
    """Who may be shown."""

    videos: frozenset[str]
    """ids of videos all of whose people may be"""
    people: frozenset[tuple[str, int]]
    """(video_id, person_id)"""

    def allows(self, video_id: str, people: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Return which of the people (N,) of a video may be shown: (N,) bool."""
        if video_id in self.videos:
            return np.ones(len(people), np.bool_)
        return np.isin(people, [person for video, person in self.people if video == video_id])

    def check(self, known: set[tuple[str, int]]) -> None:
        """Refuse names that are in no finished video: a slip of the pen must not show somebody else.

        Raises:
            UsageError: a video or person is unknown.
        """
        strange = [v for v in sorted(self.videos) if v not in {v for v, _ in known}]
        strange += [f"{v}:{p}" for v, p in sorted(self.people) if (v, p) not in known]
        if strange:
            raise UsageError(f"consent file: expected people of this data set, found {strange[0]}; correct the file")


def read_consent(path: Path) -> Consent:
    """Read a consent file.

    Raises:
        UsageError: it is missing, damaged, or names no person.
    """
    expected = f"{path}: expected a consent file, CSV with the columns video_id,person_id"
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True))
    except (OSError, UnreadableError, csv.Error) as error:
        raise UsageError(f"{expected}, found none ({error}); write one") from error
    if not rows or not {"video_id", "person_id"} <= set(rows[0]):
        raise UsageError(f"{expected}, found {'no line' if not rows else ', '.join(map(str, rows[0]))}; correct it")
    videos, people = set(), set()
    for number, row in enumerate(rows, 2):
        video_id, person = (row["video_id"] or "").strip(), (row["person_id"] or "").strip()
        if not video_id or not (person == "" or person.isdecimal()):
            raise UsageError(f"{expected}, found {video_id or 'no video'}:{person} on line {number}; correct it")
        if person:
            people.add((video_id, int(person)))
        else:
            videos.add(video_id)
    return Consent(frozenset(videos), frozenset(people))
