"""Frames of a video, read with PyAV: sequential, in presentation order, numbered from 0.

Times come from timestamps, never from frame / fps, so videos of variable frame rate keep their time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rmset.errors import VideoError
from rmset.parts.media import cause, open_media
from rmset.parts.seek import Index, Seeker

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Image = npt.NDArray[np.uint8]
"""uint8 (H, W, 3), RGB"""
Gray = npt.NDArray[np.uint8]
"""uint8 (H, W)"""

# Going on is cheaper than seeking to a key frame that so few frames lie before: a seek empties the decoder's threads.
_NEAR = 4


class Frame:
    """One decoded frame; its pixels are converted when asked for."""

    def __init__(self, raw: VideoFrame, frame_idx: int, time_ms: float, rotation: int) -> None:
        self._raw = raw
        self._rotation = rotation
        self.frame_idx = frame_idx
        self.time_ms = time_ms

    @property
    def planes(self) -> VideoFrame | None:
        """The frame as 8-bit 4:2:0 planes, or None if it must be turned and therefore be read as RGB."""
        if self._rotation:
            return None
        if self._raw.format.name in ("yuv420p", "yuvj420p"):
            return self._raw
        return self._raw.reformat(format="yuv420p")

    @cached_property
    def rgb(self) -> Image:
        """uint8 (H, W, 3), RGB, turned upright."""
        image = np.asarray(self._raw.to_ndarray(format="rgb24"), dtype=np.uint8)
        return np.ascontiguousarray(np.rot90(image, self._rotation // 90)) if self._rotation else image

    @cached_property
    def gray(self) -> Gray:
        """uint8 (H, W), 0 to 255, turned upright; cheaper than by way of `rgb`."""
        image = np.asarray(self._raw.to_ndarray(format="gray"), dtype=np.uint8)
        return np.ascontiguousarray(np.rot90(image, self._rotation // 90)) if self._rotation else image


class VideoReader:
    """A video opened for reading; use it as a context manager.

    A stream that breaks in the middle ends the frames there; `fault` then says where and why.

    Raises:
        VideoError: the file is missing, empty, or no video.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        self.path = path
        self.fault: str | None = None
        self.packets = 0
        self._key_times: list[int] = []
        self._container: InputContainer = open_media(path)
        if not self._container.streams.video:
            self._container.close()
            raise VideoError(f"{path}: expected a video, found a file without a video stream")
        self.stream: VideoStream = self._container.streams.video[0]
        self.stream.thread_type = "AUTO"
        if threads:
            self.stream.codec_context.thread_count = threads

    def __enter__(self) -> VideoReader:
        """Open."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the file and free the decoder's threads."""
        self._container.close()

    def _time_ms(self, pts: int | None, frame_idx: int) -> float:
        base = self.stream.time_base
        if pts is None or base is None:
            return frame_idx * 1000.0 / float(self.stream.average_rate or 30)
        return float((pts - (self.stream.start_time or 0)) * base * 1000)

    def frames(self, start: int = 0, stop: int | None = None, stride: int = 1) -> Iterator[Frame]:
        """Frames start, start + stride, … below `stop` in presentation order, decoded from the beginning.

        Raises:
            VideoError: not even one frame can be decoded, or the size changes on the way.
        """
        import av

        idx = -1
        size: tuple[int, int] | None = None
        try:
            for idx, raw in self._numbered(start, stride):
                if size is None:
                    size = (raw.width, raw.height)
                elif size != (raw.width, raw.height):
                    self.fault = f"frame {idx}: size changes from {size[0]}x{size[1]} to {raw.width}x{raw.height}"
                    return
                if stop is not None and idx >= stop:
                    return
                if idx >= start and (idx - start) % stride == 0:
                    yield self._frame(raw, idx)
        except av.error.FFmpegError as error:
            if idx < 0:
                raise VideoError(f"{self.path}: no frame can be decoded ({cause(error)}); fetch it again") from error
            self.fault = f"decoding stops after frame {idx}: {cause(error)}"
        if idx < 0:
            raise VideoError(f"{self.path}: no frame can be decoded (the stream is empty); fetch it again")

    def _numbered(self, start: int, stride: int) -> Iterator[tuple[int, VideoFrame]]:
        """Decoded frames with their numbers; frames between the wanted ones may be left out."""
        times = self.index.times if stride > 1 else ()
        if not times or len(set(times)) < len(times):
            yield from enumerate(self._container.decode(self.stream))
            return
        number = {time: idx for idx, time in enumerate(times)}
        codec = self.stream.codec_context
        for packet in self._container.demux(self.stream):
            # The frame that others are predicted from must be decoded; of the rest only those that are wanted.
            idx = None if packet.pts is None else number.get(packet.pts)
            codec.skip_frame = "DEFAULT" if idx is None or (idx - start) % stride == 0 else "NONREF"
            for raw in packet.decode():
                if raw.pts in number:
                    yield number[raw.pts], raw

    def timestamps(self) -> list[int]:
        """Presentation times of all frames, ascending, in the stream's time base; nothing is decoded."""
        import av

        times: list[int] = []
        self._key_times.clear()
        self.packets = 0
        try:
            for packet in self._container.demux(self.stream):
                self.packets += packet.size > 0
                # An edit list may hide frames that the file still holds.
                if packet.size and not packet.is_discard:
                    times.append(packet.pts if packet.pts is not None else (packet.dts or len(times)))
                    if packet.is_keyframe:
                        self._key_times.append(times[-1])
        except av.error.FFmpegError as error:
            self.fault = f"reading stops after packet {len(times)}: {cause(error)}"
        try:
            self._container.seek(0)
        except (av.error.FFmpegError, OSError) as error:
            raise VideoError(
                f"{self.path}: expected a container that keeps times, found a bare stream; "
                f"`ffmpeg -i {self.path.name} -c copy x.mkv` makes one"
            ) from error
        return sorted(times)

    @cached_property
    def index(self) -> Index:
        """Times and key frames, read once."""
        times = tuple(self.timestamps())
        return Index(times, tuple(bisect_left(times, t) for t in sorted(self._key_times)))

    def sample(self, frame_indices: Sequence[int]) -> Iterator[Frame]:
        """The frames named (ascending), found by seeking to the key frame before each.

        A key frame from whose group no other frame is wanted costs one decoded frame. Frames that cannot be decoded are
        left out, and `fault` says why; a damaged one gives the next instead.
        """
        times = self.index.times
        wanted = [i for i in frame_indices if 0 <= i < len(times)]
        keys = [self.index.key_before(i) for i in wanted]
        position: int | None = None
        seeker = Seeker(self._container, self.stream)
        decoder: Iterator[VideoFrame] = iter(())
        for frame_idx, key, next_key in zip(wanted, keys, [*keys[1:], None], strict=True):
            if position is None or key > position + _NEAR:
                if frame_idx == key != next_key and (alone := seeker.alone(times[key])) is not None:
                    position = None
                    yield self._frame(alone, frame_idx)
                    continue
                decoder = seeker.only(times[key], {times[i] for i in wanted})
            for raw in decoder:
                position = bisect_right(times, raw.pts if raw.pts is not None else 0) - 1
                if position >= frame_idx:
                    yield self._frame(raw, position)
                    break
        self.fault = self.fault or seeker.fault

    def _frame(self, raw: VideoFrame, frame_idx: int) -> Frame:
        return Frame(raw, frame_idx, self._time_ms(raw.pts, frame_idx), int(raw.rotation) % 360)


def ahead(frames: Iterator[Frame], count: int = 8) -> Iterator[Frame]:
    """The same frames, up to `count` of them decoded in a thread while the caller works on earlier ones.

    What decoding raises is raised here, in its place.
    """
    ready: Queue[Frame | BaseException | None] = Queue(count)
    stopped = Event()

    def put(item: Frame | BaseException | None) -> bool:
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
        # The container may be closed only after the decoder has let go of it.
        stopped.set()
        worker.join()
