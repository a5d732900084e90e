"""One pass over a video: every frame is decoded once and numbered, and what a player does with them is noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from re import fullmatch
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rmset.errors import VideoError
from rmset.parts.display import Size, Turn, is_untagged, meant, squared, turn_of
from rmset.parts.media import cause
from rmset.parts.numbering import FrameIndex, Key
from rmset.parts.seek import decoded, drained, start_decoder
from rmset.parts.stream import open_video
from rmset.parts.times import Times, shown_at
from rmset.progress import Progress, silent

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Decoders that begin anew at a key frame; others may need pictures before it (GIF).
_BEGIN_AT_KEYS = {
    "h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v2", "msmpeg4",
    "h263", "ffv1", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "png", "flv",
    "wmv1", "wmv2", "vc1", "theora", "mjpeg", "prores", "dnxhd",
}  # fmt: skip
# Decoders that can leave out frames on which no other depends, as they go.
_LEAVE_OUT = {"h264", "hevc", "mpeg1video", "mpeg2video"}
# Containers whose time may start anew.
_RESTARTS = {"mpegts", "mpeg"}
_INTRA = 1
# A transport stream marks a packet so few before the one with which another recording begins.
_JOIN = 4
# Packets between two calls of the progress callback.
_TELL = 100
# A rate that the container names is kept if what its frames' times give is no more than this times as much or little.
_SAME_RATE = 1.5
# The last picture may be held for so long, seconds and share of the video: what ends earlier was cut short.
_HELD_S, _HELD = 2.0, 0.02


@dataclass
class _Seen:
    """What one pass over a file found."""

    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)
    """packets that an edit list leaves out"""
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
    """packets of which the container says that something is missing"""
    starts: set[int] = field(default_factory=set)
    """key packets"""
    stopped: str | None = None
    one_thread: bool = False
    """whether decoding in several threads gives other frames"""

    def look(
        self, packets: Iterable[Packet], stream: VideoStream, most: int | None, progress: Callable[[int], None]
    ) -> _Seen:
        """Decode all packets, or at least so many frames."""
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
        """Whether packets do not tell frames apart."""
        return min(self.packet) < 0 or len(set(self.packet)) < len(self.packet)

    @property
    def silent(self) -> list[int]:
        """Packets that show nothing, although no edit list hides them."""
        shown = set(self.packet) | self.hidden
        return [n for n in range(len(self.pts)) if n not in shown]

    @property
    def lost(self) -> int:
        """Packets at the beginning that show nothing: they depend on pictures before the file's first."""
        first = sorted(self.packet)[:2]
        return sum(n < first[-1] for n in self.silent)

    @property
    def broken(self) -> list[int]:
        """Packets that lack something; where a key frame follows, one recording ends and another begins."""
        return [n for n in self.incomplete if not self.starts.intersection(range(n, n + _JOIN))]

    @property
    def is_damaged(self) -> bool:
        """Whether the decoder had to invent or leave out anything behind the beginning."""
        return bool(self.damaged or self.broken or self.stopped or any(frame for frame, _, _ in self.errors))

    @property
    def is_plain(self) -> bool:
        """Whether each packet behind the beginning shows one frame."""
        return not self.is_damaged and not self.is_counted and len(self.silent) == self.lost

    def key_frames(self) -> tuple[Key, ...]:
        """Key frames from which the same pictures are decoded as from the beginning.

        They can be told from all others by their place in the file. What is invented for damaged pictures depends on
        those before them, so none is taken between which and the next one there is damage.
        """
        found = [Key(n, self.packet[n], *self.where[self.packet[n]]) for n in self.keys if self.packet[n] in self.where]
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


def survey(path: Path, threads: int = 0, most: int | None = None, progress: Progress = silent) -> FrameIndex:
    """Decode a video once and note every frame.

    Args:
        path: the file.
        threads: of the decoder; 0 takes as many as the machine has.
        most: only so many frames are needed: the index may end after them.
        progress: called every hundred frames.

    Raises:
        VideoError: the file is missing, empty, no video, is to be shown askew, or not one frame can be decoded.
    """
    container, stream = open_video(path)
    with container:
        promised, listed, name = stream.frames, len(stream.index_entries), container.format.name
        length = _seconds(stream.metadata.get("DURATION", ""))
        total = promised or round(length * float(stream.average_rate or 0))
        seen = _look(path, threads, most, lambda frames: progress(f"probe {path.name}", frames, max(total, frames)))
        base, rate = float(stream.time_base or 0), float(stream.average_rate or stream.guessed_rate or 0)
        codec, shape, others = stream.codec_context.name, stream.sample_aspect_ratio, len(container.streams.video) - 1
        notes = {"stream": f"stream {stream.index} is the video"} if others and stream.index else {}
    if not seen.packet:
        why = seen.stopped or (seen.errors[0][2] if seen.errors else "the stream is empty")
        raise VideoError(f"{path}: no frame can be decoded ({why}); fetch it again")
    if most is not None:
        length, promised = 0.0, 0
    elif name == "avi":
        # It counts pictures that are not there: the one before is held.
        length, promised = promised * base, 0
    elif listed:
        # An edit list takes frames out of what the file lists, not out of what it counts.
        promised = min(promised, listed)
    # Matroska counts its length from 0, wherever the first frame is.
    late = max(0.0, (min((p for p in seen.pts if p is not None), default=0)) * base) if length else 0.0
    order = [max(0, p) for p in seen.packet]
    times = shown_at(order, seen.pts, seen.dts, base, rate, restarts=name in _RESTARTS)
    if times.source == "rate" and len(order) > 1:
        raise VideoError(
            f"{path}: expected a container that keeps times, found a bare stream; "
            f"`ffmpeg -i {path.name} -c copy x.mkv` makes one"
        )
    stored, turn = squared(seen.sizes[0][1], shape), seen.turns[0][1]
    fault = _cut_short(seen, times, promised, length, late) or _fault(seen, times)
    return FrameIndex(
        time_ms=times.ms,
        packet=np.array([0] * len(order) if min(seen.packet) < 0 else order, np.int32),
        stored=stored,
        shape=float(meant(shape)),
        turn=turn,
        codec=codec,
        fps=_rate(times.ms, rate),
        packets=len(seen.pts),
        key_frames=seen.key_frames() if codec in _BEGIN_AT_KEYS and not seen.is_counted else (),
        can_skip=codec in _LEAVE_OUT and seen.is_plain,
        one_thread=seen.one_thread,
        fault=fault,
        notes=notes | _notes(seen, times, shape, stored),
    )


def _look(path: Path, threads: int, most: int | None, progress: Callable[[int], None]) -> _Seen:
    """One pass; where it finds damage, another one in one thread, which alone decodes that alike every time."""
    seen = _pass(path, most, threads, progress)
    if not seen.packet or seen.is_plain or most is not None:
        return seen
    again = _pass(path, most, threads, progress, one_thread=True)
    again.one_thread = again.is_damaged or again.packet != seen.packet
    return again


def _pass(
    path: Path, most: int | None, threads: int, progress: Callable[[int], None], *, one_thread: bool = False
) -> _Seen:
    container, stream = open_video(path)
    with container:
        start_decoder(stream.codec_context, threads, one_thread=one_thread)
        try:
            return _Seen().look(container.demux(stream), stream, most, progress)
        except VideoError as error:
            raise VideoError(f"{path}: {error}") from error


def _rate(ms: npt.NDArray[np.float64], named: float) -> float:
    """Average frames per second: what the container names, if its frames agree."""
    measured = (len(ms) - 1) * 1000 / float(ms[-1]) if ms[-1] > 0 else 0.0
    if named <= 0 or (measured and not 1 / _SAME_RATE <= named / measured <= _SAME_RATE):
        return measured or 25.0
    return named


def _seconds(text: str) -> float:
    """Seconds of the video that Matroska and WebM, which count no frames, name in a tag; 0 where there is none."""
    found = fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", text)
    return sum(float(part) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0.0


def _cut_short(seen: _Seen, times: Times, promised: int, length: float, late: float) -> str | None:
    if len(seen.pts) < promised:
        return f"cut short: {len(seen.pts)} of {promised} frames are in the file"
    end = float(times.ms[-1]) / 1000 + late
    if length - end > max(_HELD_S, _HELD * length):
        return f"cut short: {end:.1f} of {length:.1f} s are in the file"
    return None


def _fault(seen: _Seen, times: Times) -> str | None:
    count = len(seen.packet)
    if seen.stopped:
        return f"reading stops after frame {count - 1}: {seen.stopped}"
    if errors := [(frame, why) for frame, _, why in seen.errors if frame]:
        (frame, why), more = errors[0], len(errors) - 1
        return f"a packet near frame {frame} does not decode: {why}" + (f" ({more} more behind it)" if more else "")
    if seen.damaged:
        frame = seen.damaged[0]
        at = times.ms[frame] / 1000
        return f"{len(seen.damaged)} of {count} frames are damaged, the first is {frame} at {at:.2f} s"
    if seen.broken:
        frame = sum(packet < seen.broken[0] for packet in seen.packet)
        return f"bytes are missing at {len(seen.broken)} packets, the first near frame {frame}"
    if len(seen.turns) > 1:
        return f"from frame {seen.turns[1][0]} on the picture is to be turned otherwise; it is shown as at first"
    return None


def _places(changes: list[tuple[int, Size]]) -> str:
    more = len(changes) - 2
    return f"frame {changes[1][0]}" + (f" and {more} later ones" if more else "")


def _notes(seen: _Seen, times: Times, shape: Fraction | None, stored: Size) -> dict[str, str]:
    """What a player does that a plain reader would not."""
    notes: dict[str, str] = {}
    first, turn = seen.sizes[0][1], seen.turns[0][1]
    if seen.lost:
        notes["lost"] = f"{seen.lost} packets at the beginning depend on pictures that are not in the file; not counted"
    if seen.hidden:
        notes["hidden"] = f"{len(seen.hidden)} packets are hidden by an edit list"
    if stored != first:
        notes["squared"] = f"pixels of {shape} made square: {first[0]}x{first[1]} is shown as {stored[0]}x{stored[1]}"
    elif shape and shape != 1:
        notes["squared"] = f"pixels of {shape} cannot be meant; taken as square"
    if len(seen.sizes) > 1:
        width, height = seen.sizes[1][1]
        notes["sizes"] = (
            f"the size changes at {_places(seen.sizes)}, there from {first[0]}x{first[1]} to {width}x{height}; "
            "all pictures are scaled to the first size"
        )
    if turn.is_mirror:
        notes["mirrored"] = "mirrored as the file asks"
    elif not turn.is_none:
        notes["turned"] = "turned as the file asks"
    if times.continued:
        frame = times.continued[0]
        more = f" and {len(times.continued) - 1} later ones" if len(times.continued) > 1 else ""
        notes["restarted"] = f"time starts anew at frame {frame}{more}; it is continued there"
    if times.source != "pts":
        notes["timed"] = "frames do not say, in order, when they are shown; taken from when they are decoded"
    if seen.untagged:
        notes["color"] = "color is not tagged; taken as BT.709 by its size"
    return notes
