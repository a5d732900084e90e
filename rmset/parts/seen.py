"""Result of one pass over a video's packets and frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from rmset.parts.display import Size, Turn, is_untagged, turn_of
from rmset.parts.media import cause
from rmset.parts.numbering import Key
from rmset.parts.seek import decoded, drained

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_INTRA = 1
# In a transport stream, the marked packet is at most this many before the start of the next recording.
_JOIN = 4
# Packets between two calls of the progress callback.
_TELL = 100


@dataclass
class Seen:
    """Result of one pass over a file."""

    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)
    """packets hidden by an edit list"""
    where: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    """key packet -> byte, size, time to seek to"""
    packet: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    sizes: list[tuple[int, Size]] = field(default_factory=list)
    """frame from which on the decoder gives another size, and that size"""
    turns: list[tuple[int, Turn]] = field(default_factory=list)
    untagged: bool = False
    damaged: list[int] = field(default_factory=list)
    errors: list[tuple[int, int, str]] = field(default_factory=list)
    """frames shown before an error, packet, and the error"""
    incomplete: list[int] = field(default_factory=list)
    """packets that the container marks as incomplete"""
    starts: set[int] = field(default_factory=set)
    """key packets"""
    stopped: str | None = None
    one_thread: bool = False
    """whether multi-threaded decoding gives other frames"""

    def look(
        self, packets: Iterable[Packet], stream: VideoStream, most: int | None, progress: Callable[[int], None]
    ) -> Seen:
        """Decode all packets, or at least the given number of frames."""
        import av

        codec = stream.codec_context
        try:
            for packet in packets:
                if not packet.size:
                    continue
                self._add_packet(packet)
                frames, error = decoded(codec, packet, len(self.pts) - 1)
                self._add_frames(frames, error)
                if len(self.pts) % _TELL == 0:
                    progress(len(self.packet))
                if most is not None and len(self.packet) >= most:
                    return self
        except av.error.FFmpegError as error:
            self.stopped = cause(error)
        self._add_frames(*drained(codec))
        return self

    def _add_packet(self, packet: Packet) -> None:
        number = len(self.pts)
        self.pts.append(packet.pts)
        self.dts.append(packet.dts)
        if packet.is_corrupt:
            self.incomplete.append(number)
        if packet.is_keyframe:
            self.starts.add(number)
        if packet.is_discard:
            self.hidden.add(number)
        elif packet.is_keyframe and packet.pos is not None:
            at = packet.pts if packet.pts is not None else packet.dts
            if at is not None:
                self.where[number] = (packet.pos, packet.size, at)

    def _add_frames(self, frames: Iterable[VideoFrame], error: str | None) -> None:
        for raw in frames:
            number, size, turn = len(self.packet), (raw.width, raw.height), turn_of(raw)
            if not self.sizes or self.sizes[-1][1] != size:
                self.sizes.append((number, size))
            if not self.turns or self.turns[-1][1] != turn:
                self.turns.append((number, turn))
            if raw.is_corrupt:
                self.damaged.append(number)
            if raw.key_frame and int(raw.pict_type) == _INTRA:
                self.keys.append(number)
            self.untagged = self.untagged or is_untagged(raw)
            self.packet.append(-1 if raw.pts is None else raw.pts)
        if error is not None:
            self.errors.append((len(self.packet), len(self.pts) - 1, error))

    @property
    def is_counted(self) -> bool:
        """Whether frames cannot be identified by packet."""
        return min(self.packet) < 0 or len(set(self.packet)) < len(self.packet)

    @property
    def silent(self) -> list[int]:
        """Packets without a frame that no edit list hides."""
        shown = set(self.packet) | self.hidden
        return [n for n in range(len(self.pts)) if n not in shown]

    @property
    def lost(self) -> int:
        """Packets at the beginning without a frame: they depend on pictures before the file."""
        first = sorted(self.packet)[:2]
        return sum(n < first[-1] for n in self.silent)

    @property
    def broken(self) -> list[int]:
        """Incomplete packets, except before a key frame, where another recording begins."""
        return [n for n in self.incomplete if not self.starts.intersection(range(n, n + _JOIN))]

    @property
    def is_damaged(self) -> bool:
        """Whether the decoder had to conceal or skip anything after the beginning."""
        return bool(self.damaged or self.broken or self.stopped or any(frame for frame, _, _ in self.errors))

    @property
    def is_plain(self) -> bool:
        """Whether each packet after the beginning gives one frame."""
        return not self.is_damaged and not self.is_counted and len(self.silent) == self.lost

    def key_frames(self) -> tuple[Key, ...]:
        """Key frames from which the same pictures are decoded as from the beginning.

        They are identified by their place in the file. Concealment of damage depends on earlier pictures, so key frames
        with damage before the next one are excluded.
        """
        found = [Key(n, self.packet[n], *self.where[self.packet[n]]) for n in self.keys if self.packet[n] in self.where]
        if not found:
            return ()
        places = Counter((key.pos, key.size) for key in found)
        bad = np.array(
            sorted({*self.broken, *(self.packet[n] for n in self.damaged), *(packet for _, packet, _ in self.errors)}),
            np.int64,
        )
        ends = [*(key.packet for key in found[1:]), len(self.pts)]
        spoiled = [
            bool(np.searchsorted(bad, end) > np.searchsorted(bad, key.packet))
            for key, end in zip(found, ends, strict=True)
        ]
        return tuple(key for key, bad in zip(found, spoiled, strict=True) if not bad and places[key.pos, key.size] == 1)
