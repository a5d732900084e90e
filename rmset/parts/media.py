"""Opening media files: the one place where FFmpeg is given a path.

FFmpeg follows names. A playlist, a concatenation list or a reference movie that calls itself `film.mp4` may name any
file of this machine, or a host. So a path is always a file, never a URL, and only containers that hold their own
packets are read.
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
"""FFmpeg's names of the containers that hold their own packets"""
_BOUNDS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(CONTAINERS),
    # Tracks of an MP4 or MOV may lie in another file, by its path.
    "enable_drefs": "0",
    "use_absolute_path": "0",
}


def open_media(path: Path) -> InputContainer:
    """Return a video file, opened for reading; close it.

    Raises:
        VideoError: the file is missing, empty, no regular file, or no container that holds its own packets.
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
    """Return a media file to write to; its suffix decides the container where `form` does not.

    Raises:
        av.error.FFmpegError: it cannot be written.
    """
    import av

    return av.open(as_file(path), "w", format=form, options=options or {})


def as_file(path: Path) -> str:
    """Return a path as FFmpeg takes it for a file, whatever its name looks like.

    >>> as_file(Path("concat:a|b.mp4"))
    'file:concat:a|b.mp4'
    """
    return f"file:{path}"


def cause(error: Exception) -> str:
    """FFmpeg's own words, without the path."""
    return str(getattr(error, "strerror", None) or error).lower()
