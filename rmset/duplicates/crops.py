"""Crops that show the same: of a person who sits still, and of one recording in several videos."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset.duplicates.videos import LOCK
from rmset.errors import RmsetError, UsageError
from rmset.inspect.absence import SAME_PICTURE
from rmset.parts.hashsearch import as_hashes, near_pairs
from rmset.parts.likeness import BYTES, Hashes, likeness_of
from rmset.parts.shards import batches
from rmset.progress import Progress, silent
from rmset.read.duplicates import FOLDER, crops_key, write_duplicates
from rmset.root import Root

_THREADS = 2
_UNREADABLE = bytes(BYTES)


@dataclass(frozen=True)
class CropCounts:
    """Duplicates among the crops of one video."""

    video_id: str
    crops: int
    still: int
    """crops like an earlier one of their track"""
    elsewhere: int
    """crops like one of another track"""


@dataclass
class _Rows:
    """Crops of one video, by frame and person: M of N are kept."""

    video_id: str
    person: npt.NDArray[np.int16]
    frame: npt.NDArray[np.int32]
    of: npt.NDArray[np.int64]
    """(N,) row of this video that each crop looks like; itself if it is kept"""
    bits: npt.NDArray[np.int16]
    """(N,) by how many bits"""
    kept: Hashes
    """(M, 32) hashes of the kept crops"""


def find_crops(
    root: Root, *, bits: int = SAME_PICTURE, left_out: list[str] | None = None, progress: Progress = silent
) -> list[CropCounts]:
    """Compare all crops, and write `duplicates/<video_id>.parquet`.

    Within a track a crop is compared with the last one that was kept, so that slow changes are kept too; the kept crops
    of all tracks are compared with one another. Of two tracks' crops the first is kept, by video, frame and person.

    Args:
        root: the data set.
        bits: most bits of 256 in which perceptual hashes of duplicates differ.
        left_out: gets a line for each video that cannot be read.
        progress: progress callback on videos.

    Raises:
        UsageError: bits out of range.
        RootError: the root is not writable, or another process looks for duplicates.
    """
    if not 0 <= bits < BYTES:
        raise UsageError(f"expected bits from 0 to {BYTES - 1}, found {bits}")
    with root.files.lock(LOCK):
        videos = []
        ids = [v for v in root.video_ids() if root.files.keys(f"{root.crops_key(v)}/part-*.parquet")]
        for done, video_id in enumerate(ids):
            progress("hash crops", done, len(ids))
            try:
                videos.append(_hashed(root, video_id, bits))
            except RmsetError as error:
                if left_out is not None:
                    left_out.append(f"video {video_id} is left out: {error}")
        progress("hash crops", len(ids), len(ids))
        elsewhere: list[dict[int, _Like]] = [{} for _ in videos]
        for (video, row), like in _across(videos, bits, progress).items():
            elsewhere[video][row] = like
        counts = []
        for number, rows in enumerate(videos):
            _write(root, videos, number, elsewhere[number])
            still = int((rows.of != np.arange(len(rows.of))).sum())
            counts.append(CropCounts(rows.video_id, len(rows.of), still, len(elsewhere[number])))
        known = {crops_key(v.video_id) for v in videos}
        for key in root.files.keys(f"{FOLDER}/*.parquet"):
            if key not in known:
                root.files.remove(key)
    return counts


def _hashed(root: Root, video_id: str, bits: int) -> _Rows:
    """Hash the crops of a video, and keep one of each moment of rest of a track."""
    people: list[npt.NDArray[np.int16]] = []
    frames: list[npt.NDArray[np.int32]] = []
    hashes: list[bytes] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for key in root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet"):
            for batch in batches(root.files.local(key), ["person_id", "frame_idx", "image"], 256):
                people.append(batch["person_id"].to_numpy())
                frames.append(batch["frame_idx"].to_numpy())
                hashes += pool.map(_likeness, batch["image"].field("bytes").to_pylist())
    person, frame = np.concatenate(people), np.concatenate(frames)
    found = as_hashes(b"".join(hashes))
    order = np.lexsort((frame, person))
    of, apart = np.arange(len(person)), np.zeros(len(person), np.int16)
    words = np.ascontiguousarray(found).view(np.uint64)
    last = -1
    for row in order.tolist():
        if last >= 0 and person[last] == person[row]:
            differing = int(np.bitwise_count(words[last] ^ words[row]).sum())
            if differing <= bits and hashes[row] != _UNREADABLE:
                of[row], apart[row] = last, differing
                continue
        last = row
    return _Rows(video_id, person, frame, of, apart, found[of == np.arange(len(of))])


def _likeness(data: bytes) -> bytes:
    """Perceptual hash of a crop; a damaged one is like no other."""
    try:
        return likeness_of(data)
    except ValueError:
        return _UNREADABLE


_Like = tuple[int, int, int]
"""video and row of the crop that another looks like, and bits"""


def _across(videos: list[_Rows], bits: int, progress: Progress) -> dict[tuple[int, int], _Like]:
    """Find kept crops that look like an earlier kept one of another track."""
    if not videos:
        return {}
    hashes = np.concatenate([v.kept for v in videos])
    video = np.repeat(np.arange(len(videos)), [len(v.kept) for v in videos])
    row = np.concatenate([np.flatnonzero(v.of == np.arange(len(v.of))) for v in videos])
    track = video.astype(np.int64) << 32 | np.concatenate([v.person[v.of == np.arange(len(v.of))] for v in videos])
    shown: npt.NDArray[np.bool_] = np.asarray(hashes.any(axis=1))
    pairs, apart = [np.empty((0, 2), np.int64)], [np.empty(0, np.uint8)]
    for some, differing in near_pairs(hashes, bits, progress):
        other = (track[some[:, 0]] != track[some[:, 1]]) & shown[some].all(axis=1)
        pairs.append(some[other])
        apart.append(differing[other])
    both, difference = np.concatenate(pairs), np.concatenate(apart)
    found: dict[tuple[int, int], _Like] = {}
    dropped = np.zeros(len(hashes), np.bool_)
    # By the later crop, nearest first: one that is dropped itself stands for no other.
    for n in np.lexsort((both[:, 0], difference, both[:, 1])).tolist():
        one, two = both[n].tolist()
        if not dropped[two] and not dropped[one]:
            dropped[two] = True
            found[int(video[two]), int(row[two])] = (int(video[one]), int(row[one]), int(difference[n]))
    return found


def _write(root: Root, videos: list[_Rows], number: int, other: dict[int, _Like]) -> None:
    """Write the duplicates of one video, by frame and person; `other` are those of other tracks, by row."""
    mine = videos[number]
    rows = sorted({*np.flatnonzero(mine.of != np.arange(len(mine.of))).tolist(), *other})
    place = [other.get(row, (number, int(mine.of[row]), int(mine.bits[row]))) for row in rows]
    columns = {
        "video_id": [mine.video_id] * len(rows),
        "person_id": pa.array(mine.person[rows], pa.int16()),
        "frame_idx": pa.array(mine.frame[rows], pa.int32()),
        "of_video_id": [videos[v].video_id for v, _, _ in place],
        "of_person_id": pa.array([int(videos[v].person[r]) for v, r, _ in place], pa.int16()),
        "of_frame_idx": pa.array([int(videos[v].frame[r]) for v, r, _ in place], pa.int32()),
        "difference": pa.array([float(b) for _, _, b in place], pa.float32()),
        "edit": pa.nulls(len(rows), pa.string()),
    }
    with root.files.publish(crops_key(mine.video_id)) as path:
        write_duplicates(path, columns, root.export_hash(mine.video_id))
