"""Copies of a video in which areas are gray."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.reformatter import ColorRange, Colorspace

from rmset.errors import VideoError
from rmset.parts.frames import Frame, VideoReader
from rmset.parts.media import create_media

_TICKS = 90  # per millisecond
_CRF = 10  # of x264: differs from the source by less than JPEG at quality 95
_THREADS = 2  # fixed, because the bytes depend on it
_BT709 = 1
_GRAY = 128

Area = tuple[int, int, int, int]


def blank(reader: VideoReader, areas: Callable[[int], Iterable[Area]], target: Path) -> None:
    """Encode a video again, with frames and times as they are, without its sound, and with gray areas.

    Args:
        reader: the opened video.
        areas: frame -> areas (x0, y0, x1, y1) in px, as shown.
        target: H.264 in MP4, written in place.

    Raises:
        VideoError: the video cannot be decoded to its end, or the file not be written.
    """
    container = create_media(target, "mp4", {"movflags": "+faststart"})
    stream: Any = None
    try:
        for frame in reader.frames():
            shown = _blanked(frame, areas(frame.frame_idx))
            if stream is None:
                stream = container.add_stream("libx264", rate=Fraction(reader.index.fps).limit_denominator(1001))
                stream.width, stream.height, stream.pix_fmt = shown.width, shown.height, shown.format.name
                stream.options = {"preset": "veryfast", "crf": str(_CRF), "threads": str(_THREADS)}
                context = stream.codec_context
                context.thread_count = _THREADS
                context.time_base = stream.time_base = Fraction(1, 1000 * _TICKS)
                context.colorspace, context.color_range = shown.colorspace, shown.color_range
                context.color_primaries = context.color_trc = _BT709
            shown.pts, shown.time_base = round(frame.time_ms * _TICKS), Fraction(1, 1000 * _TICKS)
            for packet in stream.encode(shown):
                container.mux(packet)
        if stream is None:
            raise VideoError("expected frames to encode, found none; add the video again")
        for packet in stream.encode(None):
            container.mux(packet)
    except (OSError, av.error.FFmpegError) as error:
        raise VideoError(f"expected to write {target.name}, found {error}; is the disk full?") from error
    finally:
        container.close()


def _blanked(frame: Frame, areas: Iterable[Area]) -> av.VideoFrame:
    """Return a frame with gray areas: on its stored planes, so that the rest keeps its values, or by way of RGB."""
    planes = frame.stored_planes
    if planes is not None and planes.width % 2 == planes.height % 2 == 0:
        values = planes.to_ndarray()
        height, width = planes.height, planes.width
        chroma = values[height:].reshape(2, height // 2, width // 2)
        for x0, y0, x1, y1 in areas:
            values[y0:y1, x0:x1] = _GRAY
            chroma[:, y0 // 2 : -(-y1 // 2), x0 // 2 : -(-x1 // 2)] = _GRAY
        shown = av.VideoFrame.from_ndarray(values, format="yuv420p")
        shown.colorspace, shown.color_range = planes.colorspace, planes.color_range
        return shown
    image = frame.rgb.copy()
    for x0, y0, x1, y1 in areas:
        image[y0:y1, x0:x1] = _GRAY
    # 4:2:0 needs even sides
    form = "yuv420p" if image.shape[0] % 2 == image.shape[1] % 2 == 0 else "yuv444p"
    shown = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
        format=form, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    shown.colorspace, shown.color_range = _BT709, ColorRange.MPEG
    return shown
