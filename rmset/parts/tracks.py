"""Track rows from sightings: short gaps are interpolated, long ones split the track into parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset import schema
from rmset.parts.detect import Detections

# One packed sighting: millions fit into memory.
_ROW = np.dtype(
    [
        ("person", np.int16),
        ("segment", np.int16),
        ("frame", np.int32),
        ("time_ms", np.float64),
        ("box", np.float32, 4),
        ("score", np.float32),
        ("source", np.int8),
        ("iou_ref", np.float32),
        ("landmarks", np.float32, 10),
    ]
)
SOURCES = (schema.DETECTED, schema.REFINED, schema.INTERPOLATED)


_CHUNK = 8192


class Sightings:
    """Collector of sightings, with ascending frames and people in any order."""

    def __init__(self) -> None:
        # A list of arrays, because growing one array copies it.
        self._chunks: list[npt.NDArray[np.void]] = []
        self._count = _CHUNK

    def add(
        self,
        person: int,
        segment: int,
        frame: int,
        time_ms: float,
        found: Detections,
        row: int,
        iou_ref: float,
        source: str = schema.DETECTED,
    ) -> None:
        """Add the face in `row` of the detections for this person."""
        if self._count == _CHUNK:
            self._chunks.append(np.empty(_CHUNK, _ROW))
            self._count = 0
        self._chunks[-1][self._count] = (
            person,
            segment,
            frame,
            time_ms,
            found.boxes[row],
            found.scores[row],
            SOURCES.index(source),
            iou_ref,
            found.landmarks[row].reshape(10),
        )
        self._count += 1

    def __len__(self) -> int:
        """Return the number of sightings."""
        return max(0, len(self._chunks) - 1) * _CHUNK + (self._count if self._chunks else 0)

    def since(self, number: int) -> npt.NDArray[np.void]:
        """Return the sightings from this number on; the last frame's are enough for most."""
        first, inside = divmod(number, _CHUNK)
        parts = self._filled()[first:]
        return np.concatenate([np.empty(0, _ROW), *([parts[0][inside:], *parts[1:]] if parts else [])])

    @property
    def people(self) -> list[int]:
        """Ids of the people seen, ascending."""
        return sorted({int(p) for chunk in self._filled() for p in np.unique(chunk["person"])})

    def of(self, person: int) -> npt.NDArray[np.void]:
        """Return the sightings of one person, by frame."""
        return np.concatenate([chunk[chunk["person"] == person] for chunk in self._filled()])

    def _filled(self) -> list[npt.NDArray[np.void]]:
        return [*self._chunks[:-1], *(chunk[: self._count] for chunk in self._chunks[-1:])]


def bridge(sightings: Sightings, video_id: str, *, stride: int, longest: int, part_gap: int) -> Iterator[pa.Table]:
    """Yield rows of `rmset.schema.faces()`, one table per person, by frame, so that memory holds a video only once.

    Gaps of at most `longest` processed frames are interpolated linearly and marked in `source`; gaps of more than
    `part_gap` frames begin a new `part`. Gaps between segments are not filled, because the layout changes there.
    """
    for person in sightings.people:
        rows = sightings.of(person)
        missing = np.diff(rows["frame"]) // stride - 1
        same = np.diff(rows["segment"]) == 0
        short = np.flatnonzero(same & (missing >= 1) & (missing <= longest))
        filled = [between(rows[i], rows[i + 1], int(missing[i])) for i in short]
        rows = np.concatenate([rows, *filled])
        rows = rows[np.argsort(rows["frame"], kind="stable")]
        yield _table(rows, _parts(rows, part_gap), video_id)


def between(a: np.void, b: np.void, count: int) -> npt.NDArray[np.void]:
    """Interpolate `count` evenly spaced sightings between two."""
    made = np.repeat(np.array([a], dtype=_ROW), count)
    share = np.arange(1, count + 1) / (count + 1)
    for name in ("frame", "time_ms", "box", "landmarks", "iou_ref"):
        s = share.reshape(-1, *([1] * np.ndim(a[name])))
        value = a[name] + s * (b[name].astype(np.float64) - a[name])
        made[name] = np.rint(value) if name == "frame" else value
    made["score"] = min(a["score"], b["score"])
    made["source"] = SOURCES.index(schema.INTERPOLATED)
    return made


def _parts(rows: npt.NDArray[np.void], part_gap: int) -> npt.NDArray[np.int16]:
    """Return the number of each row's part, from 0; rows of one person, by frame."""
    return np.asarray(np.cumsum(np.diff(rows["frame"], prepend=rows["frame"][0]) > part_gap + 1), dtype=np.int16)


def _table(rows: npt.NDArray[np.void], part: npt.NDArray[np.int16], video_id: str) -> pa.Table:
    box = rows["box"]
    columns = {
        "video_id": pa.array([video_id] * len(rows), pa.string()),
        "person_id": rows["person"],
        "part": part,
        "segment": rows["segment"],
        "frame_idx": rows["frame"],
        "time_ms": rows["time_ms"],
        **{name: np.ascontiguousarray(box[:, i]) for i, name in enumerate(("x0", "y0", "x1", "y1"))},
        "score": rows["score"],
        "source": pa.DictionaryArray.from_arrays(np.ascontiguousarray(rows["source"]), list(SOURCES)),
        "iou_ref": rows["iou_ref"],
        "landmarks": pa.FixedSizeListArray.from_arrays(pa.array(rows["landmarks"].reshape(-1)), 10),
    }
    return pa.table(columns, schema=schema.faces())
