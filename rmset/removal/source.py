"""The source video of a removed person: a copy in which they are gray takes its place."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from rmset.errors import RootError
from rmset.files import sha256_of
from rmset.geometry import Box, as_box, as_boxes, clip, covered, pixels, scale_about_center
from rmset.parts.blank import Area, blank
from rmset.parts.probe import probe
from rmset.progress import Progress
from rmset.read.video import reader_of
from rmset.root import Root
from rmset.tombstones import BLANKED, Tombstone

_HEAD = 2.2
"""A head is at most so many times as large as its face's box."""
_SAME_MS = 0.5


def panels_of(root: Root, video_id: str, person_id: int | None) -> tuple[tuple[float, ...], ...]:
    """Panels that a person has alone (start frame, end frame, x0, y0, x1, y1)."""
    found = []
    for segment in root.layout(video_id).segments:
        for p in segment.people:
            if p.person_id == person_id and p.panel is not None:
                others = as_boxes([o.box for o in segment.people if o.person_id != person_id])
                if not (covered(others, as_boxes([p.panel])) > 0).any():
                    found.append((segment.start_frame, segment.end_frame, *p.panel))
    return tuple(found)


def _blank_path(root: Root, video_id: str) -> Path:
    return root.files.scratch("state/blanked") / f"{video_id}.mp4"


def encode_blank(root: Root, stone: Tombstone, gone: pa.Table, progress: Progress) -> None:
    """Encode the source video with gray areas, beside the root's files.

    Raises:
        RootError: the new file has other frames or times.
    """
    record, path = root.record(stone.video_id), _blank_path(root, stone.video_id)
    faces: dict[int, list[Box]] = {}
    for row in gone.select(["frame_idx", "x0", "y0", "x1", "y1"]).to_pylist():
        face = scale_about_center((row["x0"], row["y0"], row["x1"], row["y1"]), _HEAD)
        faces.setdefault(row["frame_idx"], []).append(face)

    def areas(frame: int) -> list[Area]:
        boxes = [as_box(np.array(b)) for start, end, *b in stone.blank or () if start <= frame < end]
        progress(f"blank {stone.video_id}", frame, record.frame_count)
        whole = (0.0, 0.0, float(record.width), float(record.height))
        return [pixels(clip(box, whole), record.frame_size) for box in boxes or faces.get(frame, [])]

    with reader_of(root, stone.video_id) as reader:
        blank(reader, areas, path)
        times = reader.index.time_ms
    made = probe(path).index
    if len(made) != len(times) or np.abs(made.time_ms - times).max() > _SAME_MS:
        path.unlink()
        raise RootError(
            f"video {stone.video_id}: expected a copy with its {len(times)} frames and times, found others; "
            "remove the whole video, or the person without --pixels"
        )


def replace_source(root: Root, stone: Tombstone, removed: pa.Table, progress: Progress) -> None:
    """Put the copy with gray areas in place of the source video; its record and frame index follow it."""
    video_id = stone.video_id
    record, path, key = root.record(video_id), _blank_path(root, video_id), f"videos/{video_id}.mp4"
    if record.sha256 == stone.sha256:
        if not path.exists():
            encode_blank(root, stone, removed, progress)
        note = {BLANKED: "areas of removed people are gray; the sound is left out"}
        found, sha256 = probe(path), sha256_of(path)
        with root.files.publish(root.frames_key(video_id)) as index:
            found.index.write(index)
        known = {**found.fields(), "notes": {**record.notes, **found.notes, **note}}
        record = replace(record, **known, sha256=sha256, bytes=path.stat().st_size)
        with root.files.publish(key) as target:
            shutil.copyfile(path, target)
        root.write_text(root.record_key(video_id), record.to_json())
    for old in root.files.keys(f"videos/{video_id}.*"):
        if old not in (key, root.record_key(video_id)):
            root.files.remove(old)
    path.unlink(missing_ok=True)
