"""`persons.parquet` during a removal: rows of removed people go, those of the others stay. Repeating it is harmless."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rmset.people.linking import LOCK
from rmset.people.seats import found_again, without_faces
from rmset.read.absent import Absent
from rmset.read.persons import KEY, UNFINISHED, Persons, Row, stored_persons, tracks_hash, write_persons
from rmset.root import Root
from rmset.stages.audit.tracked import Tracks


def forget_video(root: Root, video_id: str) -> None:
    """Remove all rows of a video."""
    _change(root, video_id, [])


def leave_persons(root: Root, video_id: str, gone: npt.NDArray[np.int64]) -> None:
    """Before faces are removed from the tracks, by their packed keys: remove the rows of people who lose all faces."""
    mine = _rows(root, video_id)
    if not mine:
        return
    absent, now = Absent.of(root, video_id), tracks_hash(root, video_id)
    current = [row for row in mine if row.tracks == now]
    if root.files.exists(root.tracks_key(video_id)):
        current = without_faces(current, Tracks.of(root, video_id), gone)
    # Ids of outdated tracks may be other people's, their faces tell.
    rest = [row for row in mine if row.tracks != now]
    if absent is not None:
        rest = [row for row in rest if not absent.shows(row.frame_idx, row.box)]
    _change(root, video_id, [*current, *rest])


def keep_persons(root: Root, video_id: str) -> None:
    """After the tracks were rewritten: give the remaining rows the hash of the new track file."""
    mine = _rows(root, video_id)
    if mine and root.files.exists(root.tracks_key(video_id)):
        _change(root, video_id, found_again(root, Tracks.of(root, video_id), video_id, mine))


def _rows(root: Root, video_id: str) -> list[Row]:
    return [row for row in stored_persons(root) if row.video_id == video_id]


def _change(root: Root, video_id: str, rows: list[Row]) -> None:
    """Replace the rows of one video."""
    if not (root.files.exists(KEY) or root.files.exists(UNFINISHED)):
        return
    with root.files.lock(LOCK):
        root.files.remove(UNFINISHED)
        before = stored_persons(root)
        after = Persons.of([*(row for row in before if row.video_id != video_id), *rows])
        if after != before:
            write_persons(root, after)
