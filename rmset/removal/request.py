"""Requests for removal: the tombstone, and the faces by which the removed are recognized later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset.errors import RootError, UsageError
from rmset.progress import Progress, silent
from rmset.read.absent import Absent, read_removed, write_removed
from rmset.read.catalog import Catalog
from rmset.read.leftovers import sweep, unfinished
from rmset.removal.carry_out import LOCK, carry_out, current_stages
from rmset.removal.rows import count_crops, face_rows, hashes_of, keys_of, packed, removed_rows
from rmset.removal.source import encode_blank, panels_of
from rmset.root import Root
from rmset.tombstones import Kind, Tombstone

_KEY_COLUMNS = ("video_id", "person_id", "frame_idx")


def remove_video(
    root: Root, video_id: str, reason: str, *, dry_run: bool = False, progress: Progress = silent
) -> Tombstone:
    """Remove a video with all its results; it cannot be added or fetched again.

    Args:
        root: the data set.
        video_id: of the video.
        reason: why, in a few words; kept in the tombstone.
        dry_run: only count what would go.
        progress: progress callback on faces and files.

    Raises:
        RootError: there is no such video, another process works on it, or the root is not writable.
    """
    if (stone := root.removed().video(video_id)) is not None and stone.state == "done":
        return stone
    root.select([video_id])
    everything = lambda faces: np.ones(len(faces), np.bool_)  # noqa: E731
    return _remove(root, "video", video_id, None, everything, reason, dry_run, progress)


def remove_person(
    root: Root,
    video_id: str,
    person_id: int,
    reason: str,
    *,
    pixels: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Tombstone:
    """Remove a person of a video: layout, face rows, audit and crops; later runs of the stages leave them out.

    Args:
        root: the data set.
        video_id: of the video.
        person_id: of the person.
        reason: why, in a few words; kept in the tombstone.
        pixels: also make their panels gray in the source video, which is encoded again, without its sound; around
            their face where they share a panel or have none.
        dry_run: only count what would go.
        progress: progress callback on faces and files.

    Raises:
        RootError: there is no such person, another process works on the video, or the root is not writable.
    """
    root.select([video_id])
    before = [t for _, t in root.removed().of(video_id) if t.person_id == person_id]

    def theirs(faces: pa.Table) -> npt.NDArray[np.bool_]:
        mine = np.asarray(faces["person_id"].to_numpy() == person_id)
        if not mine.any():
            known = sorted(set(faces["person_id"].to_pylist()))
            remedy = "name one of these" if known else "track the video first: its faces tell who is to be left out"
            raise RootError(f"video {video_id}: expected a person with faces {known}, found {person_id}; {remedy}")
        return mine

    if before and person_id not in face_rows(root, video_id)["person_id"].to_pylist():
        return before[-1]
    return _remove(root, "person", video_id, person_id, theirs, reason, dry_run, progress, pixels)


def remove_crops(
    root: Root, query: str, reason: str, *, dry_run: bool = False, progress: Progress = silent
) -> list[Tombstone]:
    """Remove the faces whose keys a query returns.

    Args:
        root: the data set.
        query: one `select` with the columns video_id, person_id and frame_idx.
        reason: why, in a few words.
        dry_run: only count what would go.
        progress: progress callback on faces and files.

    Returns:
        One tombstone for each video; none if the query returns no row.

    Raises:
        QueryError: the query is wrong.
        UsageError: it lacks one of the columns.
    """
    result = Catalog(root).sql(query)
    if missing := [name for name in _KEY_COLUMNS if name not in result.columns]:
        raise UsageError(f"expected the columns {', '.join(_KEY_COLUMNS)} in the query, found no {missing[0]}")
    wanted: dict[str, set[tuple[int, int]]] = {}
    for row in result.rows():
        wanted.setdefault(row["video_id"], set()).add((row["person_id"], row["frame_idx"]))
    if not wanted:
        return []
    root.select(sorted(wanted))

    def chosen(keys: set[tuple[int, int]]) -> Callable[[pa.Table], npt.NDArray[np.bool_]]:
        wanted_keys = np.array(sorted(packed(p, f) for p, f in keys), np.int64)
        return lambda faces: np.isin(keys_of(faces), wanted_keys)

    return [
        _remove(root, "crops", video_id, None, chosen(keys), reason, dry_run, progress)
        for video_id, keys in sorted(wanted.items())
    ]


def finish(root: Root, progress: Progress = silent) -> list[Tombstone]:
    """Finish interrupted removals and return them.

    Raises:
        RootError: another process works on one of the videos, or the root is not writable.
    """
    done = []
    for number, stone in enumerate(root.removed()):
        if stone.state == "pending":
            with root.files.lock(stone.video_id):
                done.append(carry_out(root, number, stone, progress))
        elif unfinished(root, stone.video_id):
            with root.files.lock(stone.video_id):
                sweep(root, stone.video_id)
    return done


def _remove(
    root: Root,
    what: Kind,
    video_id: str,
    person_id: int | None,
    goes: Callable[[pa.Table], npt.NDArray[np.bool_]],
    reason: str,
    dry_run: bool,
    progress: Progress,
    pixels: bool = False,
) -> Tombstone:
    """Record a removal and carry it out; `goes` selects the face rows to remove."""
    if not reason.strip():
        raise UsageError("expected a reason, found none; say why in a few words")
    with root.files.lock(video_id):
        record, faces = root.record(video_id), face_rows(root, video_id)
        gone = faces.filter(goes(faces))
        stone = Tombstone(
            what, video_id, person_id, " ".join(reason.split()), datetime.now(UTC).isoformat(timespec="seconds"), 0, 0,
            record.sha256, root.export_hash(video_id), record.source_url, current=current_stages(root, video_id),
        )  # fmt: skip
        with root.files.lock(LOCK):
            number = len(root.removed().entries)
            if what == "person":
                # A face of the person under another id is removed too, as in any later run.
                absent = Absent.from_table(video_id, removed_rows(gone, number, {}), root.removed().with_entry(stone))
                gone = faces.filter(absent.rows(faces))
            if dry_run:
                return replace(stone, faces=gone.num_rows, crops=count_crops(root, video_id, keys_of(gone)))
            if pixels:
                stone = replace(stone, blank=panels_of(root, video_id, person_id))
                encode_blank(root, stone, gone, progress)
            hashes = hashes_of(root, video_id, keys_of(gone), progress)
            stone = replace(stone, faces=gone.num_rows, crops=len(hashes))
            rows = pa.concat_tables([read_removed(root, video_id), removed_rows(gone, number, hashes)])
            with root.files.publish(root.removed_key(video_id)) as path:
                write_removed(path, rows)
            root.write_removed(root.removed().with_entry(stone))
        return carry_out(root, number, stone, progress)
