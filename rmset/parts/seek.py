"""Decoding from a key frame on, and no more of it than is wanted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


@dataclass(frozen=True)
class Index:
    """What the packets of a video say of its frames, without decoding."""

    times: tuple[int, ...]
    """presentation time of each frame, ascending, in the stream's time base"""
    keys: tuple[int, ...]
    """numbers of the key frames, ascending"""

    def key_before(self, frame_idx: int) -> int:
        """The last key frame up to a frame; the first frame if there is none."""
        at = bisect_right(self.keys, frame_idx)
        return self.keys[at - 1] if at else 0


class Seeker:
    """Finds key frames of an open video by their times, in the stream's time base.

    What is damaged is left out; `fault` says what and why.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container, self._stream = container, stream
        self.fault: str | None = None

    def only(self, key: int, wanted: set[int]) -> Iterator[VideoFrame]:
        """Frames from a key frame's time on; of those that nothing is predicted from, only those at wanted times."""
        codec = self._stream.codec_context
        for packet in self._packets(key):
            codec.skip_frame = "DEFAULT" if packet.pts is None or packet.pts in wanted else "NONREF"
            frames = self._decoded(packet)
            # Whoever decodes next has not asked for anything to be left out.
            codec.skip_frame = "DEFAULT"
            yield from frames

    def alone(self, key: int) -> VideoFrame | None:
        """The key frame of a time; its packet goes through the decoder alone. None if that gives no such frame.

        A decoder that works on several frames at once would otherwise want those after it, too.
        """
        codec = self._stream.codec_context
        packet = next(self._packets(key), None)
        if packet is None:
            return None
        found = [*self._decoded(packet), *codec.decode(None)]
        codec.flush_buffers()
        return found[0] if len(found) == 1 and found[0].pts == key else None

    def _packets(self, key: int) -> Iterator[Packet]:
        """Packets from a key frame's time on, found by seeking; from the file's start where that lands behind it."""
        import av

        try:
            for rewind in (False, True):
                if rewind:
                    self._container.seek(0)
                else:
                    self._container.seek(key, stream=self._stream, backward=True)
                packets = self._container.demux(self._stream)
                for packet in packets:
                    if key == (packet.dts if packet.pts is None else packet.pts):
                        yield packet
                        yield from packets
                        return
                    if not rewind and packet.dts is not None and packet.dts > key:
                        break
        except av.error.FFmpegError as error:
            self.fault = f"reading stops after time {key}: {error.strerror}"

    def _decoded(self, packet: Packet) -> list[VideoFrame]:
        import av

        try:
            return packet.decode()
        except av.error.FFmpegError as error:
            self.fault = f"time {packet.pts} cannot be decoded: {error.strerror}"
            return []
