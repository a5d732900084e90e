"""Unfinished and replaced files that a killed process has left of a video."""

from __future__ import annotations

from pathlib import PurePosixPath

from rmset.outputs import PARTIAL
from rmset.read.rows import rows_key
from rmset.root import Root


def unfinished(root: Root, video_id: str) -> list[str]:
    """Return the keys of all files and folders that were being written, or replaced, for a video."""
    whole = [root.record_key(video_id), root.layout_key(video_id), root.tracks_key(video_id), root.crops_key(video_id)]
    whole += [root.frames_key(video_id), root.audit_key(video_id), root.removed_key(video_id)]
    whole += [root.embeddings_key(video_id), rows_key(video_id)]
    whole += [f"rebuilt/{video_id}.parquet", f"state/framehashes/{video_id}.parquet"]
    whole += [key for key in root.files.keys(f"videos/{video_id}.*") if key not in whole] + [f"videos/{video_id}.mp4"]
    keys = set(root.files.keys(f"predictions/*/.{video_id}.parquet{PARTIAL}"))
    for key in map(PurePosixPath, whole):
        for ending in ("", ".old"):
            keys |= set(root.files.keys(str(key.with_name(f".{key.name}{ending}{PARTIAL}"))))
    return sorted(keys)


def sweep(root: Root, video_id: str) -> None:
    """Remove these files; the caller holds the video's lock."""
    for key in unfinished(root, video_id):
        root.files.remove(key)
