"""The only module that passes paths to FFmpeg.

FFmpeg follows references: a playlist, a concatenation list or a reference movie named `film.mp4` may name any local
file, or a host. So a path is always opened as a file, never as a URL, and only self-contained containers are read.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from rmset.errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "flv", "ogg", "asf", "mxf", "nut", "ivf",
    "dv", "rm", "wtv", "gif", "h264", "hevc", "m4v", "mpegvideo", "obu", "yuv4mpegpipe",
)  # fmt: skip
"""FFmpeg's names of self-contained containers"""
_MOST_MISSING, _MOST_PIECES = 64 << 20, 1000
_BOUNDS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(CONTAINERS),
    # Tracks of an MP4 or MOV may reference another file by path.
    "enable_drefs": "0",
    "use_absolute_path": "0",
}


def open_media(path: Path) -> InputContainer:
    """Return a video file, opened for reading; close it.

    Raises:
        VideoError: the file is missing, empty, not a regular file, or not a self-contained container.
    """
    import av

    try:
        found = path.stat()
    except OSError as error:
        raise VideoError(f"{path}: expected a video file, found none ({error.strerror})") from error
    if not stat.S_ISREG(found.st_mode):
        raise VideoError(f"{path}: expected a video file, found none (no regular file)")
    if found.st_size == 0:
        raise VideoError(f"{path}: expected a video, found an empty file; fetch it again")
    refuse_holes(path)
    try:
        return av.open(as_file(path), container_options=_BOUNDS, metadata_errors="replace")
    except av.error.ArgumentError as error:
        raise VideoError(
            f"{path}: expected a video, found a playlist or an unknown container; give an MP4, MKV, WebM or MOV"
        ) from error
    except av.error.FFmpegError as error:
        raise VideoError(f"{path}: expected a video, found {cause(error)}; give an MP4, MKV, WebM or MOV") from error


def refuse_holes(path: Path) -> None:
    """Refuse a file of which a large part was never written; hashing or demuxing it could take hours.

    Raises:
        VideoError: it is such a file.
    """
    if (missing := _largest_hole(path)) > _MOST_MISSING:
        raise VideoError(
            f"{path}: expected a whole video, found that {missing:,} bytes were never written; fetch it again"
        )


def _largest_hole(path: Path) -> int:
    """Return the longest run of bytes of a file that were never written: an unfinished download has such.

    A demuxer would look for the next packet in them for hours.
    """
    largest = position = 0
    if not hasattr(os, "SEEK_HOLE"):
        return 0
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            for _ in range(_MOST_PIECES):
                hole = os.lseek(file.fileno(), position, os.SEEK_HOLE)
                if hole >= size:
                    break
                try:
                    position = os.lseek(file.fileno(), hole, os.SEEK_DATA)
                except OSError:  # no data up to the end
                    position = size
                largest = max(largest, position - hole)
                if position >= size:
                    break
    except OSError:
        return 0  # no support for holes, or an unreadable file: the next attempt to open it gives the error
    return largest


def create_media(path: Path, form: str | None = None, options: dict[str, str] | None = None) -> OutputContainer:
    """Open a media file for writing; `form` or the suffix selects the container.

    Raises:
        av.error.FFmpegError: it cannot be written.
    """
    import av

    return av.open(as_file(path), "w", format=form, options=options or {})


def as_file(path: Path) -> str:
    """Return a path that FFmpeg treats as a file for any name.

    >>> as_file(Path("concat:a|b.mp4"))
    'file:concat:a|b.mp4'
    """
    return f"file:{path}"


def cause(error: Exception) -> str:
    """FFmpeg's own words, without the path."""
    return str(getattr(error, "strerror", None) or error).lower()
