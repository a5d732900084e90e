"""Take videos into the root: probe, hash, link or copy, and record what is known of each."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from rmset.parts.frames import probe
from rmset.records import VideoRecord, local_video_id
from rmset.store import Root, sha256_of

VIDEO_SUFFIXES = {".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".ts"}


def videos_below(path: Path) -> list[Path]:
    """The path itself if it is a file, else the video files in the folder and below, sorted."""
    if not path.is_dir():
        return [path]
    return sorted(p for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())


def add(root: Root, path: Path, *, title: str | None = None, copy: bool = False) -> VideoRecord:
    """Take a local file in.

    The file is probed before anything is written. It is hard-linked where the file system allows, else copied.
    Taking the same bytes in again changes nothing.

    Raises:
        VideoError: the file is missing, empty, or no video.
        RootError: the root cannot be written to.
    """
    found = probe(path)
    sha256 = sha256_of(path)
    video_id = local_video_id(path.stem, sha256)
    record = VideoRecord(
        video_id=video_id,
        width=found.width,
        height=found.height,
        fps=found.fps,
        frame_count=found.frame_count,
        duration_s=found.duration_s,
        codec=found.codec,
        sha256=sha256,
        bytes=path.stat().st_size,
        title=title or path.stem,
        fault=found.fault,
    )
    key = f"videos/{video_id}{path.suffix.lower() or '.mp4'}"
    with root.files.lock(video_id):
        if not (root.files.exists(key) and root.files.exists(root.record_key(video_id))):
            with root.files.publish(key) as target:
                _link_or_copy(path, target, copy)
            # The record comes last: a video without one was never taken in.
            root.write_text(root.record_key(video_id), record.to_json())
    return record


def _link_or_copy(source: Path, target: Path, copy: bool) -> None:
    target.unlink(missing_ok=True)
    if not copy:
        try:
            os.link(source.resolve(), target)
        except OSError:
            # Another file system, or one without links.
            pass
        else:
            return
    shutil.copyfile(source, target)
