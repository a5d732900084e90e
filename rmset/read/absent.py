"""Faces removed from a video: stored as boxes and hashes, and recognized in all later results.

`removed/<video_id>.parquet` has one row per removed face: number of its tombstone, person, frame, box, the hash of its
crop's bytes, and, once in thirty frames, a perceptual hash. It holds no pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from rmset import schema
from rmset.answers import Answer
from rmset.errors import RmsetError, RootError
from rmset.geometry import Boxes, as_box, as_boxes, paired_iou
from rmset.layout_record import Layout
from rmset.parts.shards import opened, read
from rmset.root import Root
from rmset.tombstones import Tombstones

# Longest gap between two removed faces in which the removed person is expected, frames.
_REACH = 60
# Least IoU of a face with the expected box to be the removed person's.
_SAME = 0.5
# Share of a track with the removed person's faces from which the whole track is theirs.
_MOST = 0.5

Frames = npt.NDArray[np.integer]
Mask = npt.NDArray[np.bool_]


def removed_schema() -> pa.Schema:
    """Return the schema of `removed/<video_id>.parquet`."""
    numbers = [("tombstone", pa.int32()), ("person_id", pa.int16()), ("frame_idx", pa.int32())]
    boxes = [(name, pa.float32()) for name in ("x0", "y0", "x1", "y1")]
    hashes = [("content", pa.binary(32)), ("likeness", pa.binary(32))]
    fields = [pa.field(n, t, nullable=n in ("content", "likeness")) for n, t in (*numbers, *boxes, *hashes)]
    return pa.schema(fields, metadata={schema.VERSION_KEY: str(schema.VERSION).encode()})


def read_removed(root: Root, video_id: str) -> pa.Table:
    """Return the removed rows of a video, without those whose removal has no tombstone.

    Raises:
        RootError: the file is missing or damaged although something was removed.
    """
    known = [number for number, _ in root.removed().of(video_id)]
    if not known:
        return removed_schema().empty_table()
    path = root.files.local(root.removed_key(video_id))
    try:
        table = read(opened(path)).cast(removed_schema())
    except (RmsetError, pa.ArrowException) as error:
        raise RootError(
            f"{path}: expected the faces that were removed, found: {error}; restore it from a backup"
        ) from error
    return table.filter(np.isin(table["tombstone"].to_numpy(), known))


def write_removed(path: Path, table: pa.Table) -> None:
    """Write the removed rows of a video."""
    pq.write_table(table.cast(removed_schema()), path, compression="zstd", version="2.6")


@dataclass(frozen=True)
class _Track:
    """Removed faces of one person in one removal, by frame."""

    frames: Frames
    """(N,) ascending"""
    boxes: Boxes
    """(N, 4)"""
    whole: bool
    """whether the person was removed, and not only some frames"""
    person_id: int
    number: int

    def matches(self, frames: Frames, boxes: Boxes) -> tuple[Mask, Mask]:
        """Masks of faces (M,): whether the person is expected at the frame, and whether the face is this person's."""
        high = np.searchsorted(self.frames, frames)
        before = np.clip(np.searchsorted(self.frames, frames, side="right") - 1, 0, None)
        after = np.minimum(high, len(self.frames) - 1)
        start, end = self.frames[before].astype(np.int64), self.frames[after].astype(np.int64)
        expected = (start <= frames) & (frames <= end)
        expected &= (end - start <= _REACH) if self.whole else (end == start)
        share = np.where(end > start, (frames - start) / np.maximum(end - start, 1), 0.0)[:, None]
        between = self.boxes[before] * (1 - share) + self.boxes[after] * share
        same = expected & (paired_iou(as_boxes(between), boxes) >= _SAME)
        return expected, same


@dataclass(frozen=True)
class Absent:
    """The removed faces of one video."""

    video_id: str
    tracks: tuple[_Track, ...]

    @classmethod
    def of(cls, root: Root, video_id: str) -> Absent | None:
        """Return the removed faces of a video; None if nothing was removed from it.

        Raises:
            RootError: what was removed cannot be read.
        """
        removed = root.removed()
        if not removed.of(video_id):
            return None
        return cls.from_table(video_id, read_removed(root, video_id), removed)

    @classmethod
    def from_table(cls, video_id: str, table: pa.Table, removed: Tombstones) -> Absent:
        """Return the removed faces of a table of `removed_schema()`."""
        numbers, people, frames = (table[n].to_numpy() for n in ("tombstone", "person_id", "frame_idx"))
        boxes = np.stack([table[n].to_numpy() for n in ("x0", "y0", "x1", "y1")], axis=1)
        tracks = []
        for number, person in sorted(set(zip(numbers.tolist(), people.tolist(), strict=True))):
            rows = np.flatnonzero((numbers == number) & (people == person))
            rows = rows[np.argsort(frames[rows], kind="stable")]
            # Other people's faces over the removed person's are removed one by one.
            whole = removed.entries[number].what == "person" and removed.entries[number].person_id == person
            tracks.append(_Track(frames[rows], as_boxes(boxes[rows]), whole, person, number))
        return cls(video_id, tuple(tracks))

    def faces(self, frames: Frames, boxes: Boxes) -> Mask:
        """Whether each face (N,) is a removed one, by its frame and box."""
        found = np.zeros(len(frames), np.bool_)
        for track in self.tracks:
            found |= track.matches(frames, boxes)[1]
        return found

    def person(self, frames: Frames, boxes: Boxes) -> Mask:
        """Apply `faces` to one person's track; select all of it if most of it shows a removed person."""
        found = np.zeros(len(frames), np.bool_)
        for track in self.tracks:
            expected, same = track.matches(frames, boxes)
            found |= same
            if track.whole and same.any() and same.sum() >= _MOST * expected.sum():
                found[:] = True
        return found

    def rows(self, table: pa.Table) -> Mask:
        """Whether each face row (N,) of a track table is to be left out; people are judged one by one."""
        people, frames = table["person_id"].to_numpy(), table["frame_idx"].to_numpy()
        boxes = as_boxes(np.stack([table[n].to_numpy() for n in ("x0", "y0", "x1", "y1")], axis=1))
        found = np.zeros(len(people), np.bool_)
        for person in np.unique(people):
            rows = np.flatnonzero(people == person)
            found[rows] = self.person(frames[rows], boxes[rows])
        return found

    def left(self, table: pa.Table) -> pa.Table:
        """Return the face rows that stay."""
        return table.filter(~self.rows(table))

    def left_of(self, layout: Layout) -> Layout:
        """Return a layout without the people who were removed.

        People are recognized by their box in the reference frame, within their own removed faces.
        """
        segments = []
        for segment in layout.segments:
            frame = np.array([segment.reference_frame])
            people = tuple(p for p in segment.people if not self._is_removed(frame, as_boxes([p.box])))
            segments.append(replace(segment, people=people))
        return replace(layout, segments=tuple(segments))

    def _is_removed(self, frame: Frames, box: Boxes) -> bool:
        return any(t.whole and bool(t.matches(frame, box)[1].any()) for t in self.tracks)

    def concerns(self, answer: Answer) -> bool:
        """Whether an answer of the audit shows a removed face."""
        return self.shows(answer.frame_idx, answer.box) or self.shows(answer.other_frame_idx, answer.other_box)

    def shows(self, frame_idx: int | None, box: Sequence[float] | None) -> bool:
        """Whether a box of a frame is a removed face."""
        if frame_idx is None or box is None:
            return False
        return bool(self.faces(np.array([frame_idx]), as_boxes([as_box(np.asarray(box))]))[0])


def keeps(root: Root, video_id: str) -> Callable[[pa.Table], pa.Table]:
    """Return the function that leaves removed faces out of a video's face rows."""
    absent = Absent.of(root, video_id)
    return (lambda table: table) if absent is None else absent.left
