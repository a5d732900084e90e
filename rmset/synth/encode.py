"""H.264 encoding: the same frames give the same bytes."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from av.video.reformatter import ColorRange, Colorspace

from rmset.errors import VideoError
from rmset.parts.media import create_media
from rmset.synth.arrays import Image

_BT709 = 1
"""number of BT.709 in the H.264 standard's tables of primaries, transfer and matrix"""
_THREADS = 2
"""fixed, as the bytes that x264 writes depend on the number of threads"""


class Encoder:
    """Write one video under a temporary name and move it into place when complete; leave nothing on failure."""

    def __init__(self, output: Path, size: tuple[int, int], fps: float, *, crf: int = 20) -> None:
        """`size` is (width, height), even; `crf` is x264's constant rate factor."""
        self._output = output
        self._beside = output.with_name(f".{output.name}.{os.getpid()}.tmp")
        self._size, self._fps, self._crf = size, Fraction(fps).limit_denominator(1001), crf

    def __enter__(self) -> Encoder:
        """Open the temporary file.

        Raises:
            VideoError: the folder cannot be written.
        """
        try:
            self._output.parent.mkdir(parents=True, exist_ok=True)
            self._container = create_media(self._beside, "mp4", {"movflags": "+faststart"})
        except (OSError, av.error.FFmpegError) as error:
            raise VideoError(
                f"expected a place to write {self._output}, found {error}; choose another folder"
            ) from error
        stream = self._container.add_stream("libx264", rate=self._fps)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "veryfast", "crf": str(self._crf), "threads": str(_THREADS)}
        context = stream.codec_context
        context.thread_count = _THREADS
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = ColorRange.MPEG.value
        self._stream = stream
        return self

    def write(self, image: Image) -> None:
        """Append a frame, (H, W, 3) RGB."""
        rgb = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame = rgb.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except (OSError, av.error.FFmpegError) as error:
            raise VideoError(f"expected to write {self._output}, found {error}; is the disk full?") from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Move the file into place, or remove it after a failure."""
        try:
            if kind is None:
                for packet in self._stream.encode(None):
                    self._container.mux(packet)
            self._container.close()
            if kind is None:
                self._beside.replace(self._output)
        except (OSError, av.error.FFmpegError) as failure:
            raise VideoError(f"expected to finish {self._output}, found {failure}; is the disk full?") from failure
        finally:
            self._beside.unlink(missing_ok=True)
