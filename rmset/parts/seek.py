"""Decoding by packet number, from the beginning or a key frame, skipping unneeded frames."""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rmset.parts.media import cause
from rmset.parts.numbering import FrameIndex, Key
from rmset.parts.stream import open_video

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame


def start_decoder(codec: VideoCodecContext, threads: int = 0, *, one_thread: bool = False) -> None:
    """Configure a decoder and open it: some read their skip settings only then.

    Args:
        codec: codec context of the stream.
        threads: decoder threads; 0: one per core.
        one_thread: decode in one thread, regardless of `threads`.
    """
    codec.thread_type = "AUTO"
    if one_thread or threads:
        codec.thread_count = 1 if one_thread else threads
    codec.skip_frame = "DEFAULT"
    codec.open(strict=False)


def decoded(codec: VideoCodecContext, packet: Packet, number: int) -> tuple[list[VideoFrame], str | None]:
    """Decode a packet; returns its frames and its fault. The packet's number becomes each frame's `pts`."""
    import av

    packet.pts, packet.dts = number, None
    try:
        return codec.decode(packet), None
    except av.error.FFmpegError as error:
        return [], cause(error)


def drained(codec: VideoCodecContext) -> tuple[list[VideoFrame], str | None]:
    """Flush a decoder after the last packet; it can be used again afterwards."""
    import av

    frames: list[VideoFrame] = []
    failed: str | None = None
    # A multi-threaded decoder reports one error at a time, and returns the other frames on the next call.
    for _ in range(64):
        try:
            frames += codec.decode(None)
            break
        except av.error.EOFError:
            break
        except av.error.FFmpegError as error:
            failed = cause(error)
    codec.flush_buffers()
    return frames, failed


class _NotHereError(Exception):
    """A seek landed behind its target packet."""


class Seeker:
    """Decodes a video by its index; close it after use.

    Damaged frames are left out; `fault` says which and why.

    Raises:
        VideoError: the file is missing, empty, or not a video.
    """

    def __init__(self, path: Path, index: FrameIndex, threads: int = 0) -> None:
        self._path, self._index, self._threads = path, index, threads
        self.fault: str | None = None
        self._open()

    def close(self) -> None:
        """Close the file and free the decoder's threads."""
        self._container.close()

    def _open(self) -> None:
        self._container, self._stream = open_video(self._path)
        self._codec = self._stream.codec_context
        start_decoder(self._codec, self._threads, one_thread=self._index.one_thread)
        self._is_fresh = True

    def run(self, start: Key | None = None, wanted: Container[int] | None = None) -> Iterator[tuple[int, VideoFrame]]:
        """Yield frames with their numbers, from a key frame (or the file's beginning) on.

        Args:
            start: key frame to begin at.
            wanted: numbers of the wanted frames; others are skipped if no frame depends on them.
        """
        import av

        frame_of, skips = self._index.frame_of, wanted is not None and self._index.can_skip
        count = 0
        try:
            for number, packet in self._packets(start):
                codec = self._codec
                if skips and wanted is not None:
                    # Packets without a visible frame may be needed by others.
                    shown = int(frame_of[number]) if number < len(frame_of) else -1
                    codec.skip_frame = "DEFAULT" if shown < 0 or shown in wanted else "NONREF"
                frames, failed = decoded(codec, packet, number)
                # The next use of the decoder needs all frames.
                codec.skip_frame = "DEFAULT"
                self._note(failed, count)
                for raw in frames:
                    if (frame := self._number(raw, count)) >= 0:
                        yield frame, raw
                    count += 1
        except av.error.FFmpegError as error:
            self._note(f"reading stops: {cause(error)}", count)
        frames, failed = drained(self._codec)
        self._note(failed, count)
        for raw in frames:
            if (frame := self._number(raw, count)) >= 0:
                yield frame, raw
            count += 1

    def alone(self, key: Key) -> VideoFrame | None:
        """Decode a key frame from its packet alone; None if that gives no such frame.

        A multi-threaded decoder would otherwise need the packets after it, too.
        """
        found = next(self._packets(key), None)
        if found is None:
            return None
        frames, _ = decoded(self._codec, found[1], found[0])
        frames += drained(self._codec)[0]
        return frames[0] if len(frames) == 1 and frames[0].pts == key.packet else None

    def _number(self, raw: VideoFrame, count: int) -> int:
        if self._index.is_counted:
            return count if count < len(self._index) else -1
        frame_of, packet = self._index.frame_of, raw.pts
        return int(frame_of[packet]) if packet is not None and 0 <= packet < len(frame_of) else -1

    def _note(self, failed: str | None, frame: int) -> None:
        if failed is not None and self.fault is None:
            self.fault = f"near frame {frame}: {failed}"

    def _packets(self, start: Key | None) -> Iterator[tuple[int, Packet]]:
        """Yield packets with their numbers, from a key frame on: by seeking, or by counting if the seek misses."""
        import av

        if start is not None:
            try:
                self._is_fresh = False
                self._container.seek(start.seek, stream=self._stream, backward=True)
                yield from self._after(start)
                return
            except (_NotHereError, av.error.FFmpegError):
                pass
        if not self._is_fresh:
            # Some files cannot seek back by time.
            self.close()
            self._open()
        self._is_fresh = False
        first = 0 if start is None else start.packet
        for number, packet in enumerate(p for p in self._container.demux(self._stream) if p.size):
            if number >= first:
                yield number, packet

    def _after(self, start: Key) -> Iterator[tuple[int, Packet]]:
        packets = (p for p in self._container.demux(self._stream) if p.size)
        for packet in packets:
            if (packet.pos, packet.size) == (start.pos, start.size):
                yield start.packet, packet
                yield from enumerate(packets, start.packet + 1)
                return
            if packet.dts is not None and packet.dts > start.seek:
                break
        raise _NotHereError
