"""Fingerprints of a root's videos, and copies of removed videos, which are refused at their arrival."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rmset import schema
from rmset.errors import RemovedError, RmsetError, RootError
from rmset.parts.fingerprint import SIDE, VERSION, Fingerprint, blocks, fingerprint, is_empty, moments
from rmset.parts.frames import VideoReader
from rmset.parts.numbering import FrameIndex
from rmset.parts.shards import opened, read
from rmset.parts.twins import Twin, twin
from rmset.progress import Progress, silent
from rmset.read.video import index_of
from rmset.root import Root
from rmset.tombstones import Tombstone

FOLDER = "state/fingerprints"
_VERSION, _SOURCE = b"rmset.fingerprint", b"rmset.source"
_BLOCKS = SIDE * SIDE


def fingerprint_of(path: Path, index: FrameIndex | None, progress: Progress = silent) -> Fingerprint:
    """Make the fingerprint of a video file; it is decoded once.

    Raises:
        VideoError: the video cannot be decoded.
    """
    with VideoReader(path, index=index) as reader:
        wanted = moments(reader.index.time_ms)
        seen = {}
        frames = sorted(set(wanted.tolist()))
        for done, frame in enumerate(reader.sample(frames)):
            seen[frame.frame_idx] = blocks(frame.gray)
            progress(f"fingerprint {path.name}", done + 1, len(frames))
    nothing = np.zeros((SIDE, SIDE), np.float32)
    return fingerprint(seen.get(frame, nothing) for frame in wanted.tolist())


def write_fingerprint(path: Path, found: Fingerprint, source: str) -> None:
    """Write a fingerprint, with the sha256 of its video."""
    metadata = {
        schema.VERSION_KEY: str(schema.VERSION).encode(),
        _VERSION: str(VERSION).encode(),
        _SOURCE: source.encode(),
    }
    flat = np.ascontiguousarray(found.signal).view(np.uint8).tobytes()
    column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(_BLOCKS), len(found.signal), [None, pa.py_buffer(flat)])
    table = pa.table({"blocks": column}).replace_schema_metadata(metadata)
    pq.write_table(table, path, compression="zstd", version="2.6", use_dictionary=False)


def read_fingerprint(path: Path) -> tuple[Fingerprint, str]:
    """Return a fingerprint and the sha256 of its video.

    Raises:
        RootError: the file is damaged, or of another version.
    """
    try:
        file = opened(path)
        try:
            metadata = dict(file.schema_arrow.metadata or {})
            column = read(file)["blocks"].cast(pa.binary(_BLOCKS))
        finally:
            file.close()
        if int(metadata[_VERSION]) != VERSION:
            raise RootError(f"expected version {VERSION}, found {int(metadata[_VERSION])}")
        signal = np.frombuffer(b"".join(column.to_pylist()), np.int8).reshape(-1, SIDE, SIDE)
        return Fingerprint(signal), metadata[_SOURCE].decode()
    except (RmsetError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise RootError(f"{path}: expected a fingerprint, found: {' '.join(str(error).split())[:200]}") from error


def kept_fingerprint(root: Root, video_id: str, *, keep: bool = True, progress: Progress = silent) -> Fingerprint:
    """Return the fingerprint of a video of a root, from `state/fingerprints` if it is there.

    Args:
        root: the data set.
        video_id: of the video.
        keep: store a new one; the caller holds no lock of the video.
        progress: progress callback on frames.

    Raises:
        RootError: there is no such video, or its file is missing.
        VideoError: it cannot be decoded.
    """
    key, source = f"{FOLDER}/{video_id}.parquet", root.record(video_id).sha256
    if root.files.exists(key):
        try:
            found, of = read_fingerprint(root.files.local(key))
            if of == source:
                return found
        except RootError:
            # Damaged, or of another version: made again.
            pass
    found = fingerprint_of(root.video_path(video_id), index_of(root, video_id), progress)
    if keep:
        with root.files.publish(key) as path:
            write_fingerprint(path, found, source)
    return found


def of_removed(root: Root, but: Collection[str] = ()) -> Iterator[tuple[Tombstone, Fingerprint]]:
    """Yield the removed videos that have a fingerprint, with it.

    Args:
        root: the data set.
        but: ids of removed videos to leave out.

    Raises:
        RootError: a fingerprint is damaged.
    """
    for stone in root.removed():
        key = root.removed_fingerprint_key(stone.video_id)
        if stone.what == "video" and stone.video_id not in but and root.files.exists(key):
            try:
                yield stone, read_fingerprint(root.files.local(key))[0]
            except RootError as error:
                raise RootError(f"{error}; restore it from a backup") from error


def copy_of(found: Fingerprint, removed: Collection[tuple[Tombstone, Fingerprint]]) -> tuple[Tombstone, Twin] | None:
    """Return the first removed video that a fingerprint is a copy of, and how."""
    if is_empty(found):
        return None
    for stone, theirs in removed:
        how = twin(theirs, found)
        if how is not None and how.is_copy:
            return stone, how
    return None


def refuse_copy(
    root: Root, name: str, path: Path, index: FrameIndex, allowed: Collection[str] = (), progress: Progress = silent
) -> None:
    """Refuse a file that is a copy of a removed video; without removed videos it is not decoded.

    Args:
        root: the data set.
        name: of the video, for the message.
        path: the file.
        index: its frames.
        allowed: ids of removed videos of which copies are allowed.
        progress: progress callback on frames.

    Raises:
        RemovedError: the file is a copy.
    """
    removed = list(of_removed(root, allowed))
    if not removed:
        return
    found = copy_of(fingerprint_of(path, index, progress), removed)
    if found is not None:
        raise RemovedError(f"video {name}: expected one that may be taken in, found {described(*found)}")


def described(stone: Tombstone, how: Twin) -> str:
    """Describe a copy of a removed video."""
    return (
        f"a copy of {stone.video_id} ({how}), which was removed on {stone.time[:10]} ({stone.reason}); leave it out, "
        f"or pass --allow-copy-of {stone.video_id} if it is another video"
    )
