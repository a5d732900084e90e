"""Tracked faces of single frames."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from rmset.geometry import area, as_boxes, covered
from rmset.layout_record import Person, Segment
from rmset.parts.shards import read_faces
from rmset.root import Root
from rmset.stages.audit.config import AuditConfig

# Least share of a compared face's box inside its panel.
_WHOLE = 0.92
# IoU above which two boxes hold one face.
_ONE_FACE = 0.5
# Frames, and share of the shorter track, in which two tracks may follow one face.
_BLINK, _SHARE = 8, 0.05


@dataclass(frozen=True)
class Tracks:
    """The rows of a track file, by frame."""

    frame: npt.NDArray[np.int64]
    name: npt.NDArray[np.int64]
    box: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]

    @classmethod
    def of(cls, root: Root, video_id: str) -> Tracks:
        columns = ["frame_idx", "person_id", "x0", "y0", "x1", "y1", "score"]
        table = read_faces(root.files.local(root.tracks_key(video_id)), columns)
        frame = table["frame_idx"].to_numpy().astype(np.int64)
        order = np.argsort(frame, kind="stable")
        box = np.stack([table[n].to_numpy() for n in ("x0", "y0", "x1", "y1")], axis=1)
        return cls(
            frame[order],
            table["person_id"].to_numpy().astype(np.int64)[order],
            as_boxes(box)[order],
            table["score"].to_numpy().astype(np.float32)[order],
        )

    def at(self, frame_idx: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return (people, boxes, scores) of a frame."""
        low, high = np.searchsorted(self.frame, [frame_idx, frame_idx + 1])
        return self.name[low:high], self.box[low:high], self.score[low:high]

    def of_person(self, segment: Segment, person: Person) -> npt.NDArray[np.int64]:
        """Frames of a segment in which a person is found, ascending."""
        low, high = np.searchsorted(self.frame, [segment.start_frame, segment.end_frame])
        return np.asarray(self.frame[low:high][self.name[low:high] == person.person_id], np.int64)

    def between(self, person_id: int, low: int, high: int) -> npt.NDArray[np.int64]:
        """Frames in which a person is found, strictly between two, ascending."""
        first, last = np.searchsorted(self.frame, [low + 1, high])
        return np.asarray(self.frame[first:last][self.name[first:last] == person_id], np.int64)

    def sharp_between(self, person_id: int, low: int, high: int, config: AuditConfig) -> npt.NDArray[np.int64]:
        """Those of the frames of `between` in which the face is sharp and large enough to be compared."""
        first, last = np.searchsorted(self.frame, [low + 1, high])
        part = slice(first, last)
        tall = self.box[part, 3] - self.box[part, 1] >= config.least_face
        fit = (self.name[part] == person_id) & tall & (self.score[part] >= config.least_score)
        return np.asarray(self.frame[part][fit], np.int64)

    def twice(self) -> list[tuple[int, int, int, int]]:
        """(person, other person, first frame, frames) of faces that two people's tracks follow at once, most first."""
        frames = {int(p): np.flatnonzero(self.name == p) for p in np.unique(self.name)}
        found = []
        for one, other in combinations(sorted(frames), 2):
            rows, columns = frames[one], frames[other]
            both, a, b = np.intersect1d(self.frame[rows], self.frame[columns], return_indices=True)
            x, y = self.box[rows[a]], self.box[columns[b]]
            sides = np.maximum(np.minimum(x[:, 2:], y[:, 2:]) - np.maximum(x[:, :2], y[:, :2]), 0)
            shared = sides.prod(axis=1)
            same = both[shared > _ONE_FACE * (area(as_boxes(x)) + area(as_boxes(y)) - shared)]
            if len(same) > max(_BLINK, _SHARE * min(len(rows), len(columns))):
                found.append((one, other, int(same[0]), len(same)))
        return sorted(found, key=lambda f: (-f[3], f))


def in_their_panels(
    segment: Segment, names: npt.NDArray[np.int64], boxes: npt.NDArray[np.float32], frame_size: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Boolean flags (N,) of faces that lie in their panels: a crop across an edge would show the neighboring panel."""
    frame = (0.0, 0.0, float(frame_size[0]), float(frame_size[1]))
    panels = {p.person_id: p.panel or frame for p in segment.people}
    share = [
        float(covered(as_boxes(box[None]), as_boxes([panels.get(name, frame)]))[0])
        for name, box in zip(names.tolist(), boxes, strict=True)
    ]
    return np.asarray(share) >= _WHOLE if share else np.zeros(0, bool)
