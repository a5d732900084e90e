"""Requests for removal: the tombstone, and the faces by which the removed are recognized later."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset.errors import RmsetError, RootError, UsageError
from rmset.inspect.recrop import recrop
from rmset.parts.fingerprint import is_empty
from rmset.parts.shards import keys_of, packed_keys
from rmset.progress import Progress, silent
from rmset.read.absent import Absent, read_removed, write_removed
from rmset.read.catalog import Catalog
from rmset.read.fingerprints import kept_fingerprint, write_fingerprint
from rmset.read.leftovers import sweep, unfinished
from rmset.removal.carry_out import LOCK, carry_out, current_stages
from rmset.removal.rows import count_crops, face_rows, hashes_of, removed_rows
from rmset.removal.source import encode_blank, panels_of
from rmset.root import Root
from rmset.stages import export
from rmset.tombstones import Kind, Tombstone, Tombstones

_KEY_COLUMNS = ("video_id", "person_id", "frame_idx")
_FRAMES_COMPARED = 5


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

    def everything(faces: pa.Table) -> npt.NDArray[np.bool_]:
        return np.ones(len(faces), np.bool_)

    return _remove(root, _Request("video", video_id, reason, everything), dry_run, progress)


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
    return _remove(root, _Request("person", video_id, reason, theirs, person_id, pixels), dry_run, progress)


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
    return remove_faces(root, wanted, reason, dry_run=dry_run, progress=progress)


def remove_faces(
    root: Root,
    wanted: Mapping[str, Collection[tuple[int, int]]],
    reason: str,
    *,
    dry_run: bool = False,
    progress: Progress = silent,
) -> list[Tombstone]:
    """Remove faces by key.

    Args:
        root: the data set.
        wanted: video id -> (person, frame) of each face.
        reason: why, in a few words.
        dry_run: only count what would go.
        progress: progress callback on faces and files.

    Returns:
        One tombstone for each video.

    Raises:
        RootError: there is no such video.
    """
    if not wanted:
        return []
    root.select(sorted(wanted))

    def chosen(keys: Collection[tuple[int, int]]) -> Callable[[pa.Table], npt.NDArray[np.bool_]]:
        wanted_keys = packed_keys(*zip(*keys, strict=True))
        return lambda faces: np.isin(keys_of(faces), wanted_keys)

    return [
        _remove(root, _Request("crops", video_id, reason, chosen(keys)), dry_run, progress)
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
        elif unfinished(root, stone.video_id) and not root.files.is_locked(stone.video_id):
            with root.files.lock(stone.video_id):
                sweep(root, stone.video_id)
    return done


@dataclass(frozen=True)
class _Request:
    """What is asked for."""

    what: Kind
    video_id: str
    reason: str
    goes: Callable[[pa.Table], npt.NDArray[np.bool_]]
    """which face rows are removed"""
    person_id: int | None = None
    pixels: bool = False
    """whether the source video is changed too"""

    def __post_init__(self) -> None:
        """Refuse a request without a reason."""
        if not self.reason.strip():
            raise UsageError("expected a reason, found none; say why in a few words")

    def stone(self, root: Root) -> Tombstone:
        """Return the tombstone, without counts; the caller holds the video's lock."""
        is_video = self.what == "video"
        sha256, url = _source(root, self.video_id) if is_video else _known_source(root, self.video_id)
        return Tombstone(
            self.what, self.video_id, self.person_id, " ".join(self.reason.split()),
            datetime.now(UTC).isoformat(timespec="seconds"), 0, 0, sha256, root.export_hash(self.video_id), url,
            current=() if is_video else current_stages(root, self.video_id),
        )  # fmt: skip


def _remove(root: Root, request: _Request, dry_run: bool, progress: Progress) -> Tombstone:
    """Record a removal and carry it out."""
    video_id = request.video_id
    with root.files.lock(video_id):
        stone = request.stone(root)
        # A damaged video can still be removed as a whole.
        damaged = (RmsetError,) if request.what == "video" else ()
        faces = face_rows(root, video_id, damaged)
        gone = faces.filter(request.goes(faces))
        if request.what == "person":
            # A face of the person under another id is removed too, as in any later run.
            absent = Absent.from_table(video_id, removed_rows(gone, 0, {}), Tombstones((stone,)))
            gone = faces.filter(absent.rows(faces))
        if request.what != "video":
            _refuse_other_crops(root, video_id, stone)
        if dry_run:
            return replace(stone, faces=gone.num_rows, crops=count_crops(root, video_id, keys_of(gone), damaged))
        if request.pixels:
            stone = replace(stone, blank=panels_of(root, video_id, request.person_id))
            encode_blank(root, stone, gone, progress)
        if request.what == "video":
            _keep_fingerprint(root, video_id, progress)
        hashes = hashes_of(root, video_id, keys_of(gone), progress, damaged)
        stone = replace(stone, faces=gone.num_rows, crops=len(hashes))
        with root.files.lock(LOCK):
            removed = root.removed()
            number = len(removed.entries)
            rows = pa.concat_tables([read_removed(root, video_id), removed_rows(gone, number, hashes)])
            with root.files.publish(root.removed_key(video_id)) as path:
                write_removed(path, rows)
            root.write_removed(removed.with_entry(stone))
        return carry_out(root, number, stone, progress)


def _keep_fingerprint(root: Root, video_id: str, progress: Progress) -> None:
    """Store the fingerprint by which copies of the video are recognized, unless it cannot be decoded."""
    try:
        found = kept_fingerprint(root, video_id, keep=False, progress=progress)
    except (RmsetError, OSError):
        return
    if not is_empty(found):
        with root.files.publish(root.removed_fingerprint_key(video_id)) as path:
            write_fingerprint(path, found, root.record(video_id).sha256)


def _known_source(root: Root, video_id: str) -> tuple[str, str | None]:
    """Hash and address of a source video, from its record."""
    record = root.record(video_id)
    return record.sha256, record.source_url


def _source(root: Root, video_id: str) -> tuple[str, str | None]:
    """Hash and address of a source video whose record may be damaged, and whose file may be gone."""
    try:
        return _known_source(root, video_id)
    except RmsetError:
        with suppress(RmsetError, OSError):
            return root.files.sha256(root.video_key(video_id)), None
        return "", None


def _refuse_other_crops(root: Root, video_id: str, stone: Tombstone) -> None:
    """Refuse to take people out of crops that were made from other tracks, whose ids may be others.

    Crops that the ledger does not call current are compared with a few frames.

    Raises:
        RootError: they show other faces than the tracks.
    """
    if export.NAME in stone.current or not root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet"):
        return
    found = recrop(root, video_id, _FRAMES_COMPARED)
    if found.wrong or found.missing:
        raise RootError(
            f"video {video_id}: expected crops of its present tracks, found those of others; run "
            f"`rmset export {video_id}` first, or remove the whole video"
        )
