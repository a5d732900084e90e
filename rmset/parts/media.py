"""The only module that passes paths to FFmpeg.

FFmpeg follows references: a playlist, a concatenation list or a reference movie named `film.mp4` may name any local
file, or a host. So a path is always opened as a file, never as a URL, and only self-contained containers are read.
"""

from __future__ import annotations

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
    try:
        return av.open(as_file(path), container_options=_BOUNDS, metadata_errors="replace")
    except av.error.ArgumentError as error:
        raise VideoError(
            f"{path}: expected a video, found a playlist or an unknown container; give an MP4, MKV, WebM or MOV"
        ) from error
    except av.error.FFmpegError as error:
        raise VideoError(f"{path}: expected a video, found {cause(error)}; give an MP4, MKV, WebM or MOV") from error


def create_media(path: Path, form: str | None = None, options: dict[str, str] | None = None) -> OutputContainer:
    """Open a media file for writing; `form` or the suffix selects the container.

    Raises:
        av.error.FFmpegError: it cannot be written.
    """
    import av

    return av.open(as_file(path), "w", format=form, options=options or {})


def as_file(path: Path) -> str:
    """Return a path that FFmpeg treats as a file, whatever its name looks like.

    >>> as_file(Path("concat:a|b.mp4"))
    'file:concat:a|b.mp4'
    """
    return f"file:{path}"


def cause(error: Exception) -> str:
    """FFmpeg's own words, without the path."""
    return str(getattr(error, "strerror", None) or error).lower()
