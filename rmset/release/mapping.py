"""Layout and tracks of a released video, mapped to another encoding of it: frames, times and boxes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset import schema
from rmset.geometry import Box, clip
from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.parts.grid import Grid
from rmset.release.align import Alignment

Size = tuple[int, int]
# Shares of the frame by which a picture inside bars must differ from the whole frame, to be tried.
_OTHER = 0.015
# A picture that is scaled alike both ways within this is scaled alike.
_ALIKE = 0.03
_NEAR_PX = 3.0


@dataclass(frozen=True)
class Placing:
    """Where the released frame lies in the frame of another encoding."""

    region: Box
    """xyxy px of the other encoding; beyond it where the other is cropped"""
    scale: tuple[float, float]
    """px of the other encoding by px of the released one, along x and y"""

    @classmethod
    def whole(cls, released: Size, found: Size) -> Placing:
        """Return the placing of a frame that is only scaled."""
        w, h = found
        return cls((0.0, 0.0, float(w), float(h)), (w / released[0], h / released[1]))

    def box(self, box: Iterable[float]) -> Box:
        """Map a box."""
        x0, y0, x1, y1 = box
        (left, top, _, _), (sx, sy) = self.region, self.scale
        return (left + x0 * sx, top + y0 * sy, left + x1 * sx, top + y1 * sy)

    def grid(self, released: Size, before: Grid | None = None) -> Grid:
        """Return the pixels in which crops were cut.

        Args:
            released: (width, height) of the released frame.
            before: those of an earlier release, of which the released video was rebuilt.
        """
        own = Grid(*released, *self.region[:2], *self.scale)
        return own if before is None else before.within(own)


def placings(released: Size, picture: Box, found: Size, found_picture: Box) -> list[Placing]:
    """Return the ways in which a released frame may lie in another encoding: scaled; scaled between other black bars.

    Args:
        released: (width, height).
        picture: part of the released frame inside black bars.
        found: (width, height) of the other encoding.
        found_picture: its part inside black bars.
    """
    whole = Placing.whole(released, found)
    (px0, py0, px1, py1), (qx0, qy0, qx1, qy1) = picture, found_picture
    sx, sy = (qx1 - qx0) / (px1 - px0), (qy1 - qy0) / (py1 - py0)
    width, height = sx * released[0], sy * released[1]
    left, top = qx0 - px0 * sx, qy0 - py0 * sy
    off = (left, top, left + width - found[0], top + height - found[1])
    if all(abs(v) <= _OTHER * side for v, side in zip(off, (*found, *found), strict=True)):
        return [whole]
    if abs(sx / sy - 1) < _ALIKE:
        # Bars are added on two sides: the other two tell the scale better than edges of bars.
        middle = ((qx0 + qx1) / 2, (qy0 + qy1) / 2)
        at = ((px0 + px1) / 2, (py0 + py1) / 2)
        scale = (sx + sy) / 2
        if abs(width - found[0]) < _NEAR_PX:
            scale = found[0] / released[0]
        elif abs(height - found[1]) < _NEAR_PX:
            scale = found[1] / released[1]
        sx = sy = scale
        left, top = middle[0] - at[0] * scale, middle[1] - at[1] * scale
        left, top = (0.0 if abs(v) < 1 else v for v in (left, top))
        width, height = scale * released[0], scale * released[1]
    return [whole, Placing((left, top, left + width, top + height), (sx, sy))]


def map_layout(released: Layout, at: Alignment, placing: Placing, found: Size) -> tuple[Layout, dict[int, int]]:
    """Return a layout for the other encoding, and the new number of each segment that is left.

    Args:
        released: the layout.
        at: which released frames the other encoding shows.
        placing: where the released frame lies.
        found: (width, height) of the other encoding.
    """
    frame = (0.0, 0.0, float(found[0]), float(found[1]))
    numbers = _every(at)
    segments: list[Segment] = []
    kept: dict[int, int] = {}
    for number, segment in enumerate(released.segments):
        inside = np.flatnonzero((numbers >= segment.start_frame) & (numbers < segment.end_frame))
        start = max(int(inside[0]), segments[-1].end_frame if segments else 0) if len(inside) else 0
        end = int(inside[-1]) + 1 if len(inside) else 0
        if start >= end:
            continue
        reference = start + int(np.abs(numbers[start:end] - segment.reference_frame).argmin())
        regions = tuple(
            TriggerRegion(box, r.source, r.confidence)
            for r in segment.trigger_regions
            if (box := _inside(placing.box(r.box), frame)) is not None
        )
        people = tuple(
            Person(p.person_id, box, None if p.panel is None else _inside(placing.box(p.panel), frame), p.source,
                   p.confidence)
            for p in segment.people
            if (box := _inside(placing.box(p.box), frame)) is not None
        )  # fmt: skip
        kept[number] = len(segments)
        segments.append(
            replace(segment, start_frame=start, end_frame=end, reference_frame=reference, trigger_regions=regions,
                    people=people)
        )  # fmt: skip
    return Layout(released.video_id, found, tuple(segments)), kept


def _every(at: Alignment) -> npt.NDArray[np.int64]:
    """Return the released frame that each found frame belongs to, also of those that another shows better."""
    known = np.flatnonzero(at.released >= 0)
    return np.asarray(at.released[known[np.searchsorted(known, np.arange(len(at.released))).clip(max=len(known) - 1)]])


def _inside(box: Box, frame: Box) -> Box | None:
    part = clip(box, frame)
    return part if part[0] < part[2] and part[1] < part[3] else None


def map_faces(
    faces: pa.Table, at: Alignment, placing: Placing, time_ms: npt.NDArray[np.float64], segments: dict[int, int]
) -> pa.Table:
    """Return the face rows of the other encoding, by person and frame; rows whose frame is gone are left out.

    Args:
        faces: released face rows.
        at: which released frames the other encoding shows.
        placing: where the released frame lies.
        time_ms: (N,) times of the other encoding's frames.
        segments: new number of each segment that is left.
    """
    here = here_of(at, faces["frame_idx"].to_numpy())
    segment = faces["segment"].to_numpy()
    kept = (here >= 0) & np.isin(segment, list(segments))
    faces, here = faces.filter(kept), here[kept]
    (left, top, _, _), (sx, sy) = placing.region, placing.scale
    columns = {name: faces[name] for name in faces.column_names}
    for names, start, scale in ((("x0", "x1"), left, sx), (("y0", "y1"), top, sy)):
        for name in names:
            columns[name] = (start + faces[name].to_numpy().astype(np.float64) * scale).astype(np.float32)
    columns["frame_idx"] = here
    columns["time_ms"] = time_ms[here]
    columns["segment"] = np.array([segments[s] for s in faces["segment"].to_pylist()], np.int16)
    columns["landmarks"] = _landmarks(faces["landmarks"], (left, top), (sx, sy))
    return pa.table(columns, schema=schema.faces())


def _landmarks(points: pa.ChunkedArray, start: tuple[float, float], scale: tuple[float, float]) -> pa.Array:
    known = points.is_valid().to_numpy()
    values = np.full((len(points), 10), np.nan, np.float32)
    values[known] = points.drop_null().combine_chunks().flatten().to_numpy().reshape(-1, 10)
    moved = (values.reshape(-1, 5, 2) * np.asarray(scale) + np.asarray(start)).astype(np.float32)
    return pa.FixedSizeListArray.from_arrays(pa.array(moved.reshape(-1)), 10, mask=pa.array(~known))


def here_of(at: Alignment, released: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Return the found frame that shows each released frame (N,); -1 if none does."""
    shown = np.flatnonzero(at.released >= 0)
    size = int(max(released.max(initial=-1), at.released.max(initial=-1))) + 1
    table = np.full(size, -1, np.int32)
    table[at.released[shown]] = shown
    return np.asarray(table[released], dtype=np.int32)
