"""Verification of a root: readable files, recorded hashes, unique keys, ordered times, crops with face rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rmset.errors import RmsetError
from rmset.inspect.recrop import recrop
from rmset.parts.numbering import FrameIndex
from rmset.parts.pictures import decode
from rmset.parts.shards import batches, keys_of, locate, opened, read, read_faces
from rmset.progress import Progress, silent
from rmset.read.index import damaged
from rmset.read.video import index_of
from rmset.root import Root

_PART = re.compile(r"part-(\d+)\.parquet$")
_THREADS = 2
# Times of frames and rows are equal; earlier versions rounded differently.
_SAME_MS = 1.0


@dataclass(frozen=True)
class Finding:
    """One fault."""

    video_id: str
    key: str
    """the file"""
    problem: str
    remedy: str
    stage: str | None = None
    """the stage that rebuilds the file; None if no stage can"""


def verify(
    root: Root,
    *,
    pixels: bool = True,
    frames: int = 0,
    progress: Progress = silent,
    video_ids: list[str] | None = None,
) -> Iterator[Finding]:
    """Check a root and yield its faults.

    Args:
        root: the data set.
        pixels: decode every crop; without it pixels are only hashed.
        frames: number of random frames per video to decode again and compare with their crops.
        progress: progress callback on videos.
        video_ids: which videos; all if omitted.
    """
    ids = root.video_ids() if video_ids is None else video_ids
    with ThreadPoolExecutor(_THREADS) as pool:
        for done, video_id in enumerate(ids):
            progress("verify", done, len(ids))
            try:
                yield from _one(root, video_id, pool if pixels else None, frames)
            except (RmsetError, OSError) as error:
                # For example an unreadable file: this video cannot be verified, the others can.
                key = root.record_key(video_id)
                yield Finding(video_id, key, f"cannot be verified: {error}", "mend what the message names")
    if video_ids is None:
        yield from _strangers(root, set(ids))
    progress("verify", len(ids), len(ids))


def _one(root: Root, video_id: str, pool: ThreadPoolExecutor | None, frames: int) -> Iterator[Finding]:
    yield from _video(root, video_id)
    yield from _ledger(root, video_id)
    faces, findings = _face_keys(root, video_id)
    yield from findings
    yield from _crops(root, video_id, faces, pool)
    if frames:
        yield from _recropped(root, video_id, frames)


def _video(root: Root, video_id: str) -> Iterator[Finding]:
    key = root.record_key(video_id)
    try:
        record = root.record(video_id)
        source = root.video_key(video_id)
    except RmsetError as error:
        yield Finding(video_id, key, str(error), "add or fetch the video again")
        return
    if root.files.reread_sha256(source) != record.sha256:
        yield Finding(video_id, source, "its bytes are not those that were taken in", "fetch it again")
    key = root.frames_key(video_id)
    if root.files.exists(key):
        try:
            index = index_of(root, video_id)
        except RmsetError as error:
            yield Finding(video_id, key, str(error), "remove it; rmset build makes it again")
        else:
            if index is not None and len(index) != record.frame_count:
                problem = f"has {len(index)} frames, the record {record.frame_count}"
                yield Finding(video_id, key, problem, "remove it; rmset build makes it again")
    if root.has_layout(video_id):
        try:
            root.layout(video_id)
        except RmsetError as error:
            yield Finding(video_id, root.layout_key(video_id), str(error), "rmset layout propose --force", None)


def _ledger(root: Root, video_id: str) -> Iterator[Finding]:
    for stage in ("layout", "track", "export"):
        entry = root.stage_record(stage, video_id)
        state, again = root.state_key(stage, video_id), f"rmset {stage} {video_id} again, or rmset verify --repair"
        if entry is None:
            if root.files.exists(state):
                yield Finding(video_id, state, "a ledger entry that cannot be read", again)
            if stage == "export" and root.files.keys(f"{root.crops_key(video_id)}/*"):
                yield Finding(video_id, root.crops_key(video_id), "crops that the ledger does not know", again)
            continue
        if entry.status == "failed":
            yield Finding(video_id, state, entry.error or "failed", again, stage)
        if entry.status == "running":
            yield _unfinished(root, video_id, state, stage, again)
        done = entry.standing
        for key, expected in done.outputs.items() if done else ():
            if not root.files.exists(key):
                yield Finding(video_id, key, "missing", again, stage)
            elif stage != "layout" and root.files.reread_sha256(key) != expected:
                # Only layouts may be edited by hand.
                yield Finding(video_id, key, "its bytes are not those that were written", again, stage)


def _unfinished(root: Root, video_id: str, key: str, stage: str, again: str) -> Finding:
    """Report stages that are running, or were killed."""
    if root.files.is_locked(video_id):
        return Finding(video_id, key, f"{stage} is under way now", "verify again when it has ended")
    return Finding(video_id, key, f"{stage} was killed before it ended", again, stage)


def _face_keys(root: Root, video_id: str) -> tuple[npt.NDArray[np.int64] | None, list[Finding]]:
    """Return the keys of the face rows, ascending; None if the file is missing or cannot be read."""
    key, again = root.tracks_key(video_id), f"rmset track --force {video_id}"
    if not root.files.exists(key):
        return None, []
    try:
        table = read_faces(root.files.local(key), ["person_id", "frame_idx", "time_ms"])
    except RmsetError as error:
        return None, [Finding(video_id, key, str(error), again, "track")]
    keys = keys_of(table)
    order = np.argsort(keys, kind="stable")
    problems = []
    if double := _doubles(keys[order]):
        problems.append(f"{double} rows have the key (person, frame) of another")
    problems += _times(root, video_id, table["frame_idx"].to_numpy(), table["time_ms"].to_numpy())
    return keys[order], [Finding(video_id, key, problem, again, "track") for problem in problems]


def _times(
    root: Root, video_id: str, frame: npt.NDArray[np.integer], time_ms: npt.NDArray[np.float64]
) -> Iterator[str]:
    """Check the times of face rows: never decreasing, and equal to those of the frames."""
    order = np.lexsort((time_ms, frame))
    steps = np.diff(time_ms[order])
    if back := int((steps < 0).sum()):
        yield f"times run backwards at {back} rows"
    if uneven := int(((steps != 0) & (np.diff(frame[order]) == 0)).sum()):
        yield f"{uneven} rows have another time than others of their frame"
    index = _index(root, video_id)
    if index is None or back or uneven:
        return
    if beyond := int((frame >= len(index)).sum()):
        yield f"{beyond} rows are of frames that the video does not have"
    elif wrong := int((np.abs(index.time_ms[frame] - time_ms) > _SAME_MS).sum()):
        yield f"{wrong} rows have another time than their frame"


def _index(root: Root, video_id: str) -> FrameIndex | None:
    """Return the index of the video's frames; None if it is missing or damaged, which is reported elsewhere."""
    try:
        return index_of(root, video_id)
    except RmsetError:
        return None


def _recropped(root: Root, video_id: str, count: int) -> Iterator[Finding]:
    """Report crops that differ from their frame."""
    again = f"rmset build, or rmset track --force {video_id} and rmset export --force {video_id}"
    key = root.crops_key(video_id)
    if not root.files.keys(f"{key}/part-*.parquet"):
        return
    try:
        found = recrop(root, video_id, count)
    except (RmsetError, ValueError, KeyError, pa.ArrowException, OSError) as error:
        yield Finding(video_id, key, f"cannot be compared with the video: {error}", again, "export")
        return
    if found.wrong:
        person, frame = found.wrong[0]
        problem = (
            f"{len(found.wrong)} of {found.crops} crops in {found.frames} frames show something else than their "
            f"frame, the first is person {person} in frame {frame}"
        )
        yield Finding(video_id, key, problem, again, "export")
    if found.missing:
        problem = f"{len(found.missing)} of {found.frames} frames cannot be decoded, the first is {found.missing[0]}"
        yield Finding(video_id, key, problem, again, "export")


def _crops(
    root: Root, video_id: str, faces: npt.NDArray[np.int64] | None, pool: ThreadPoolExecutor | None
) -> Iterator[Finding]:
    folder, again = root.crops_key(video_id), f"rmset export --force {video_id}"
    parts = root.files.keys(f"{folder}/part-*.parquet")
    numbers = [int(found.group(1)) for key in parts if (found := _PART.search(key))]
    if numbers != list(range(len(parts))):
        missing = sorted(set(range(max(numbers, default=0))) - set(numbers))
        yield Finding(video_id, folder, f"part {missing} is missing", again, "export")
    seen: list[npt.NDArray[np.int64]] = []
    for key in parts:
        keys, problems = _shard(root, key, pool)
        seen.append(keys)
        if faces is not None and (lost := int((~np.isin(keys, faces)).sum())):
            problems.append(f"{lost} crops have no face row")
        if double := _doubles(np.sort(keys)):
            problems.append(f"{double} crops have the key (person, frame) of another")
        for problem in problems:
            yield Finding(video_id, key, problem, again, "export")
    every = np.sort(np.concatenate([np.empty(0, np.int64), *seen]))
    if _doubles(every) and not any(_doubles(np.sort(keys)) for keys in seen):
        yield Finding(video_id, folder, f"{_doubles(every)} crops stand in two parts", again, "export")
    if parts and faces is None:
        yield Finding(video_id, root.tracks_key(video_id), "has no face rows for its crops", "rmset track", "track")
    entry = root.stage_record("export", video_id)
    done = entry.standing if entry is not None else None
    if done and int(done.counts.get("crops", -1)) != len(every):
        problem = f"{len(every)} crops where {done.counts.get('crops')} were written"
        yield Finding(video_id, folder, problem, again, "export")


def _shard(root: Root, key: str, pool: ThreadPoolExecutor | None) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the keys of a shard's crops, and the shard's own faults."""
    path = root.files.local(key)
    keys: npt.NDArray[np.int64] = np.empty(0, np.int64)
    try:
        file = opened(path)
        table = read(file, ["person_id", "frame_idx", "encoded_size"])
        keys = keys_of(table)
        locate(path, file, table["encoded_size"].to_numpy())
        bad = 0
        if pool is not None:
            # A few batches at a time, so that memory does not depend on the size of the shard.
            bad = sum(pool.map(_undecodable, batches(path, ["image", "width", "height", "encoded_size"], 256)))
        return keys, [f"{bad} pictures cannot be decoded, or are not of the size that is recorded"] if bad else []
    except (RmsetError, pa.ArrowException, KeyError, OSError) as error:
        return keys, [str(error)]


def _undecodable(batch: pa.RecordBatch) -> int:
    bad = 0
    columns = (batch["image"].field("bytes"), batch["width"], batch["height"], batch["encoded_size"])
    for data, width, height, size in zip(*columns, strict=True):
        try:
            image = decode(data.as_py())
        except (ValueError, TypeError):
            bad += 1
        else:
            bad += image.shape[:2] != (height.as_py(), width.as_py()) or len(data.as_py()) != size.as_py()
    return bad


def _strangers(root: Root, known: set[str]) -> Iterator[Finding]:
    """Report files that belong to no video, and symbolic links."""
    for video_id in sorted({key.split("/")[1] for key in root.files.keys("crops/*/part-*.parquet")} - known):
        yield Finding(video_id, f"crops/{video_id}", "belongs to no video of the root", "remove it, or add its video")
    for key in root.files.keys("videos/*"):
        video_id = key.removeprefix("videos/").partition(".")[0]
        if video_id not in known:
            yield Finding(video_id, key, "belongs to no video of the root", "remove it, or add or fetch its video")
    for key in root.files.links():
        yield Finding(
            key.partition("/")[2].partition(".")[0].partition("/")[0], key, "a link to elsewhere: nothing is written "
            "through it", "put the file or folder itself there",
        )  # fmt: skip
    yield from _kept_arrays(root)


def _kept_arrays(root: Root) -> Iterator[Finding]:
    """Report cached arrays with changed bytes; deleted ones are rebuilt."""
    for key in damaged(root):
        yield Finding("", key, "its bytes are not those that were written", f"remove {key}; it is made again")


def _doubles(ascending: npt.NDArray[np.int64]) -> int:
    """Count the numbers that repeat the previous one."""
    return int((np.diff(ascending) == 0).sum())
