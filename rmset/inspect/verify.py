"""Whether a root is whole: files readable, hashes as recorded, keys unique, crops with face rows, counts agreeing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rmset.errors import RmsetError
from rmset.parts.shards import batches, opened, read_faces
from rmset.progress import Progress, silent
from rmset.read.crops import decode
from rmset.store import Root, sha256_of


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be."""

    video_id: str
    key: str
    """the file"""
    problem: str
    remedy: str


def verify(root: Root, *, pixels: bool = True, progress: Progress = silent) -> Iterator[Finding]:
    """Check a root and yield what is wrong.

    Args:
        root: what to check.
        pixels: decode every crop; without it pixels are only hashed.
        progress: told of every video.
    """
    ids = root.video_ids()
    for done, video_id in enumerate(ids):
        progress("verify", done, len(ids))
        yield from _video(root, video_id)
        yield from _ledger(root, video_id)
        yield from _tables(root, video_id, pixels)
    progress("verify", len(ids), len(ids))


def _video(root: Root, video_id: str) -> Iterator[Finding]:
    key = root.record_key(video_id)
    try:
        record = root.record(video_id)
        path = root.video_path(video_id)
    except RmsetError as error:
        yield Finding(video_id, key, str(error), "add or fetch the video again")
        return
    except (ValueError, TypeError) as error:
        yield Finding(video_id, key, f"not a video record ({error})", "add or fetch the video again")
        return
    if sha256_of(path) != record.sha256:
        yield Finding(video_id, f"videos/{path.name}", "its bytes are not those that were taken in", "fetch it again")


def _ledger(root: Root, video_id: str) -> Iterator[Finding]:
    for stage in ("layout", "track", "export"):
        entry = root.stage_record(stage, video_id)
        if entry is None:
            continue
        if entry.status == "failed":
            yield Finding(video_id, root.state_key(stage, video_id), entry.error or "failed", f"rmset {stage} again")
        for key, expected in entry.outputs.items():
            remedy = f"run the stage `{stage}` for {video_id} again with --force"
            if not root.files.exists(key):
                yield Finding(video_id, key, "missing", remedy)
            elif stage != "layout" and sha256_of(root.files.local(key)) != expected:
                # A layout may be edited by hand; the other files may not.
                yield Finding(video_id, key, "its bytes are not those that were written", remedy)


def _tables(root: Root, video_id: str, pixels: bool) -> Iterator[Finding]:
    again = f"rmset track --force {video_id}"
    faces: set[tuple[int, int]] = set()
    key = root.tracks_key(video_id)
    if root.files.exists(key):
        try:
            table = read_faces(root.files.local(key), ["person_id", "frame_idx"])
        except (RmsetError, pa.ArrowException, OSError) as error:
            yield Finding(video_id, key, str(error), again)
            return
        faces = set(zip(table["person_id"].to_pylist(), table["frame_idx"].to_pylist(), strict=True))
        if len(faces) != table.num_rows:
            yield Finding(video_id, key, f"{table.num_rows - len(faces)} rows have the key of another", again)
    seen: set[tuple[int, int]] = set()
    again = f"rmset export --force {video_id}"
    for key in root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet"):
        path = root.files.local(key)
        try:
            rows = opened(path).metadata.num_rows
            read = 0
            for batch in batches(path, ["person_id", "frame_idx", "image"] if pixels else ["person_id", "frame_idx"]):
                read += batch.num_rows
                keys = list(zip(batch["person_id"].to_pylist(), batch["frame_idx"].to_pylist(), strict=True))
                if double := len(keys) - len(set(keys) - seen):
                    yield Finding(video_id, key, f"{double} crops have the key of another", again)
                seen.update(keys)
                if lost := set(keys) - faces:
                    yield Finding(video_id, key, f"{len(lost)} crops have no face row, first {min(lost)}", again)
                if pixels and (bad := _undecodable(batch)):
                    yield Finding(video_id, key, f"{bad} pictures cannot be decoded", again)
            if read != rows:
                yield Finding(video_id, key, f"{read} rows where its footer says {rows}", again)
        except (RmsetError, pa.ArrowException, OSError) as error:
            yield Finding(video_id, key, str(error), again)
    entry = root.stage_record("export", video_id)
    if entry and entry.status == "done" and int(entry.counts.get("crops", -1)) != len(seen):
        yield Finding(
            video_id,
            root.crops_key(video_id),
            f"{len(seen)} crops where {entry.counts.get('crops')} were written",
            again,
        )


def _undecodable(batch: pa.RecordBatch) -> int:
    bad = 0
    for data in batch["image"].field("bytes"):
        try:
            image = decode(data.as_py())
        except (ValueError, TypeError):
            bad += 1
        else:
            bad += not np.asarray(image).size
    return bad
