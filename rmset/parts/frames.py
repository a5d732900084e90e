"""Frames of a video, read with PyAV: sequential, in presentation order, numbered from 0.

Times come from timestamps, never from frame / fps, so videos of variable frame rate keep their time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread, local
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from rmset.parts import display
from rmset.parts.numbering import FrameIndex
from rmset.parts.seek import Seeker
from rmset.parts.survey import survey

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

T = TypeVar("T")

Image = npt.NDArray[np.uint8]
"""uint8 (H, W, 3), RGB"""
Gray = npt.NDArray[np.uint8]
"""uint8 (H, W)"""

# Formats whose chroma is halved both ways, with FFmpeg's numbers of matrices from R'G'B' that keep gray without chroma.
_HALVED = {"yuv420p", "yuvj420p", "yuv420p10le", "yuv420p12le"}
_LUMA_AND_CHROMA = {1, 2, 4, 5, 6, 7, 9, 10}
# Within this many frames, decoding on is cheaper than seeking, which flushes the decoder's threads.
_NEAR = 4


class Frame:
    """One decoded frame; pixels are converted on demand."""

    def __init__(self, raw: VideoFrame, frame_idx: int, index: FrameIndex) -> None:
        display.tag_color(raw)
        self._raw, self._index, self._turn = raw, index, index.turn
        self.frame_idx = frame_idx
        self.time_ms = float(index.time_ms[frame_idx])

    @cached_property
    def _squared(self) -> VideoFrame:
        """The frame at the common display size."""
        raw, stored = self._raw, self._index.stored
        return raw if (raw.width, raw.height) == stored else display.resized(raw, stored, self._index.shape)

    @property
    def nbytes(self) -> int:
        """Size of the decoded frame in memory, without its converted pixels."""
        return sum(plane.buffer_size for plane in self._raw.planes)

    def unconverted(self) -> Frame:
        """Return the same frame without the pixels that were converted."""
        return Frame(self._raw, self.frame_idx, self._index)

    @property
    def planes(self) -> VideoFrame | None:
        """The frame as 8-bit 4:2:0 planes; None if it must be rotated, and so be read as RGB."""
        if not self._turn.is_none:
            return None
        if self._squared.format.name in ("yuv420p", "yuvj420p"):
            return self._squared
        return _reformatted(self._squared, "yuv420p")

    @property
    def stored_planes(self) -> VideoFrame | None:
        """The frame as 8-bit 4:2:0 planes, or None if it is stored in another way, or must be turned."""
        raw = self._squared
        if not (self._turn.is_none and raw.format.name in _HALVED and int(raw.colorspace) in _LUMA_AND_CHROMA):
            return None
        return self.planes

    @cached_property
    def rgb(self) -> Image:
        """uint8 (H, W, 3), RGB, as shown."""
        return self._turn.apply(_array(self._squared, "rgb24"))

    @cached_property
    def gray(self) -> Gray:
        """uint8 (H, W), 0 to 255, as shown."""
        return self._turn.apply(_array(self._squared, "gray"))


class _Converters(local):
    """A thread's converters, by pixel format: making one takes longer than to convert with it.

    A frame keeps none: a converter holds ten megabytes.
    """

    def __init__(self) -> None:
        self._of: dict[str, VideoReformatter] = {}

    def to(self, form: str) -> VideoReformatter:
        """Return the converter to a pixel format."""
        from av.video.reformatter import VideoReformatter

        if form not in self._of:
            self._of[form] = VideoReformatter()
        return self._of[form]


_converters = _Converters()


def _reformatted(raw: VideoFrame, form: str) -> VideoFrame:
    """Return a frame in another pixel format."""
    # In this thread alone: a process that was forked waits for ever when it frees a converter with threads.
    return _converters.to(form).reformat(raw, format=form, threads=1)


def _array(raw: VideoFrame, form: str) -> npt.NDArray[np.uint8]:
    return np.asarray(_reformatted(raw, form).to_ndarray(), dtype=np.uint8)


class VideoReader:
    """A video opened for reading; use it as a context manager.

    All ways of reading share one index: frame i is always the same picture and time. Damaged frames are left out;
    `fault` then says where and why.

    Args:
        path: the file.
        threads: decoder threads; 0: one per core.
        index: index of its frames, if known; else the file is decoded once to make it.
        most: number of first frames to read.

    Raises:
        VideoError: the file is missing, empty, not a video, or has no decodable frame.
    """

    def __init__(self, path: Path, threads: int = 0, index: FrameIndex | None = None, most: int | None = None) -> None:
        self.path = path
        self.index = survey(path, threads, most) if index is None else index
        self._seeker = Seeker(path, self.index, threads)

    def __enter__(self) -> VideoReader:
        """Open."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the file and free the decoder's threads."""
        self._seeker.close()

    @property
    def fault(self) -> str | None:
        """Faults found so far while reading, or in the file."""
        return self._seeker.fault or self.index.fault

    def frames(self, start: int = 0, stop: int | None = None, stride: int = 1) -> Iterator[Frame]:
        """Frames start, start + stride, … below `stop` in presentation order, decoded from the beginning."""
        stop = len(self.index) if stop is None else min(stop, len(self.index))
        if start >= stop:
            return
        wanted = range(start, stop, stride)
        for number, raw in self._seeker.run(wanted=wanted if stride > 1 else None):
            if number in wanted:
                yield self._frame(raw, number)
            if number >= wanted[-1]:
                return

    def sample(self, frame_indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the given frames (ascending), by seeking to the key frame before each.

        A key frame alone costs one decoded frame. Undecodable frames are left out, and `fault` says why.
        """
        index, seeker = self.index, self._seeker
        wanted = [i for i in frame_indices if 0 <= i < len(index)]
        if not wanted:
            return
        places = [bisect_right(index.keys, i) - 1 for i in wanted]
        every = frozenset(wanted)
        position: int | None = None
        run: Iterator[tuple[int, VideoFrame]] = iter(())
        for frame_idx, place, following in zip(wanted, places, [*places[1:], -1], strict=True):
            key = index.key_frames[place] if place >= 0 else None
            if position is None or frame_idx <= position or (key is not None and key.frame > position + _NEAR):
                alone = key is not None and frame_idx == key.frame and place != following
                if alone and key is not None and (raw := seeker.alone(key)) is not None:
                    position = None
                    yield self._frame(raw, frame_idx)
                    continue
                run = seeker.run(key, every)
            found = _until(run, frame_idx)
            while found is None and place >= 0:
                # Some streams need data before their key frame: retry from an earlier one, or the beginning.
                place = place - 1 if place > 1 else -1
                run = seeker.run(index.key_frames[place] if place >= 0 else None, every)
                found = _until(run, frame_idx)
            position = frame_idx if found is not None else None
            if found is not None:
                yield self._frame(found, frame_idx)

    def _frame(self, raw: VideoFrame, frame_idx: int) -> Frame:
        return Frame(raw, frame_idx, self.index)


def _until(run: Iterator[tuple[int, VideoFrame]], frame_idx: int) -> VideoFrame | None:
    """Return the frame with this number; None if decoding passes it."""
    for number, raw in run:
        if number >= frame_idx:
            return raw if number == frame_idx else None
    return None


def ahead(frames: Iterator[T], count: int = 8) -> Iterator[T]:
    """Yield the same frames, up to `count` of them decoded in a thread while the caller works on earlier ones.

    Errors of decoding are raised here, at their position.
    """
    ready: Queue[T | BaseException | None] = Queue(count)
    stopped = Event()

    def put(item: T | BaseException | None) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
            except Full:
                continue
            return True
        return False

    def decode() -> None:
        try:
            for frame in frames:
                if not put(frame):
                    return
        except BaseException as error:
            put(error)
        else:
            put(None)

    worker = Thread(target=decode, name="decode", daemon=True)
    worker.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        # Close the container only after the decoder has finished.
        stopped.set()
        worker.join()
