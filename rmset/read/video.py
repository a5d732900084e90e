"""Readers of a root's videos, which use the frame index stored when a video was added."""

from __future__ import annotations

from rmset.parts.frames import VideoReader
from rmset.parts.numbering import FrameIndex
from rmset.root import Root


def index_of(root: Root, video_id: str) -> FrameIndex | None:
    """Return the index of a video's frames; None if there is none of this version.

    Raises:
        RootError: the index is damaged.
    """
    key = root.frames_key(video_id)
    return FrameIndex.read(root.files.local(key)) if root.files.exists(key) else None


def reader_of(root: Root, video_id: str) -> VideoReader:
    """Return a reader of a video, to use as a context manager.

    Without a stored index the video is decoded once to make one.

    Raises:
        RootError: the root has no such video, or its index is damaged.
        VideoError: the video cannot be decoded.
    """
    return VideoReader(root.video_path(video_id), index=index_of(root, video_id))
