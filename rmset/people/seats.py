"""Tracks found again after a video was tracked anew: by one face of theirs, a frame and a box."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rmset.geometry import as_box, as_boxes, iou
from rmset.read.persons import MANUAL, Row, Source, tracks_hash
from rmset.root import Root
from rmset.stages.audit.tracked import Tracks

# Least IoU of a track's face with the known one.
_SAME = 0.5


def row_of(
    root: Root, tracks: Tracks, video_id: str, person_id: int, key: str, source: Source, similarity: float | None = None
) -> Row:
    """Return the row of a track, with the middle one of its faces."""
    mine = np.flatnonzero(tracks.name == person_id)
    at = int(mine[len(mine) // 2])
    box = as_box(tracks.box[at])
    return Row(
        key, video_id, person_id, similarity, source, int(tracks.frame[at]), box, tracks_hash(root, video_id)
    )  # fmt: skip


def found_again(root: Root, tracks: Tracks, video_id: str, rows: Sequence[Row]) -> list[Row]:
    """Rows of one video with the present ids of their tracks; those whose track is gone are left out.

    Rows of the present tracks stay as they are. Of two rows for one track, the one made by hand stays.
    """
    now = tracks_hash(root, video_id)
    found: dict[int, Row] = {}
    for row in sorted(rows, key=lambda r: (r.source != MANUAL, r.tracks != now, r.person_id)):
        if row.tracks == now:
            known = row if (tracks.name == row.person_id).any() else None
        else:
            known = _moved(tracks, row, now)
        if known is not None and known.person_id not in found:
            found[known.person_id] = known
    return list(found.values())


def _moved(tracks: Tracks, row: Row, now: str | None) -> Row | None:
    if row.frame_idx is None or row.box is None:
        return None
    names, boxes, _ = tracks.at(row.frame_idx)
    if not len(names):
        return None
    share = iou(as_boxes([row.box]), boxes)[0]
    best = int(np.argmax(share))
    return replace(row, person_id=int(names[best]), tracks=now) if share[best] >= _SAME else None


def without_faces(rows: Iterable[Row], tracks: Tracks, gone: npt.NDArray[np.int64]) -> list[Row]:
    """Rows of one video before faces are removed from it: each with a face that stays; people without one are left out.

    Args:
        rows: of the present tracks.
        tracks: face rows of the video.
        gone: packed keys of the faces that are removed.
    """
    keys = tracks.name << 32 | tracks.frame
    stay = ~np.isin(keys, gone)
    kept = []
    for row in rows:
        mine = np.flatnonzero(stay & (tracks.name == row.person_id))
        if not len(mine):
            continue
        if row.frame_idx is None or (row.person_id << 32 | row.frame_idx) in gone:
            at = int(mine[len(mine) // 2])
            row = replace(row, frame_idx=int(tracks.frame[at]), box=as_box(tracks.box[at]))
        kept.append(row)
    return kept
