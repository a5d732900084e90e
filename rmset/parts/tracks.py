"""From sightings, frame by frame, to the rows of a track: short gaps bridged, long ones cutting it into parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset import schema
from rmset.parts.detect import Detections

# One sighting, packed: millions of them fit into memory.
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


class Sightings:
    """Grows by one face at a time, in any order of people, frames ascending."""

    def __init__(self) -> None:
        self._rows = np.empty(1024, _ROW)
        self._count = 0

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
        """Note that the face in `row` of the detections is this person's."""
        if self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._count] = (
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

    @property
    def rows(self) -> npt.NDArray[np.void]:
        """All sightings, by person and then frame."""
        rows = self._rows[: self._count]
        return rows[np.lexsort((rows["frame"], rows["person"]))]


def bridge(sightings: Sightings, video_id: str, *, stride: int, longest: int, part_gap: int) -> pa.Table:
    """Rows of `rmset.schema.faces()`, by person and frame.

    Gaps of at most `longest` looked-at frames are filled linearly and say so in `source`; gaps of more than `part_gap`
    frames begin a new `part`. Nothing is bridged from one segment to the next: the layout changed there.
    """
    rows = sightings.rows
    gap = np.diff(rows["frame"])
    same = (np.diff(rows["person"]) == 0) & (np.diff(rows["segment"]) == 0)
    missing = gap // stride - 1
    short = np.flatnonzero(same & (missing >= 1) & (missing <= longest))
    filled = [_between(rows[i], rows[i + 1], int(missing[i])) for i in short]
    rows = np.concatenate([rows, *filled]) if filled else rows
    rows = rows[np.lexsort((rows["frame"], rows["person"]))]
    return _table(rows, _parts(rows, part_gap), video_id)


def _between(a: np.void, b: np.void, count: int) -> npt.NDArray[np.void]:
    """`count` sightings between two, evenly spaced."""
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
    """Number of each row's part within its person, from 0."""
    if not len(rows):
        return np.empty(0, np.int16)
    new_person = np.diff(rows["person"], prepend=rows["person"][0]) != 0
    cut = (np.diff(rows["frame"], prepend=rows["frame"][0]) > part_gap + 1) & ~new_person
    total = np.cumsum(cut)
    starts = np.maximum.accumulate(np.where(new_person, total, 0))
    return np.asarray(total - starts, dtype=np.int16)


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
