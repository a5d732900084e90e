"""Tracking: faces of every frame with person ids; short gaps are interpolated.

decoded frame -> trigger regions removed -> last net on last boxes, searches where in doubt -> face rows
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from rmset import schema
from rmset.errors import RootError, UsageError
from rmset.fields import LATER
from rmset.geometry import as_boxes, iou, pixels
from rmset.layout_record import Layout, Segment
from rmset.parts import assign
from rmset.parts.cropping import Bounds
from rmset.parts.detect import DETECTORS, Detector, load
from rmset.parts.detect.nets import Nets
from rmset.parts.early import EarlyCrops
from rmset.parts.follow import FollowConfig, Follower, Found
from rmset.parts.frames import Frame, VideoReader, ahead
from rmset.parts.pixels import pixels_of
from rmset.parts.rest import Resting
from rmset.parts.search import Searcher
from rmset.parts.shards import write_faces
from rmset.parts.tracks import Sightings, bridge
from rmset.progress import Progress, silent
from rmset.read.absent import keeps
from rmset.read.video import reader_of
from rmset.root import Root

NAME = "track"
SEARCHES = ("follow", "panel", "frame")


@dataclass(frozen=True)
class TrackConfig:
    """Settings that determine the bytes of a track file."""

    detector: str = "mtcnn"
    """name in `rmset.parts.detect.DETECTORS`"""
    weights: str | None = None
    """weights file, for a detector whose weights are in no package"""
    search: str = "follow"
    """`follow`: MTCNN's last net from frame to frame, searches where in doubt; `panel`: the detector in every panel of
    every frame; `frame`: the detector on every whole frame, the paper's way"""
    assign: str = "previous"
    """`previous` (IoU with the person's last box), `reference` (the paper) or `bytetrack`"""
    stride: int = 1
    """distance between tracked frames: 1 tracks all, 2 every second"""
    least_iou: float = 0.1
    """least IoU of a box with the person's box; our choice, the paper gives no bound"""
    smallest: float = 0.5
    """smallest face searched for, as a share of the person's reference face; our choice"""
    bridge: int = 10
    """longest gap that is interpolated, in tracked frames; our choice"""
    part_gap: int = 60
    """longest gap inside one part of a track, frames; our choice"""
    check_every: int = 30
    """tracked frames between full searches of a panel whose face is held (`follow`)"""
    ask_every: int = field(default=2, metadata=LATER)
    """tracked frames between questions to the last net about a face that hardly moves (`follow`); 1 asks in all"""
    precision: Literal["auto", "f32"] = "auto"
    """arithmetic of the nets of `follow`: `auto` is bf16 where the processor has it, `f32` agrees to six digits on all
    processors; the other searches always use f32"""

    def __post_init__(self) -> None:
        """Check the values."""
        for kind, name, known in (
            ("--search", self.search, SEARCHES),
            ("--assign", self.assign, assign.TRACKERS),
            ("--detector", self.detector, DETECTORS),
            ("--precision", self.precision, ("auto", "f32")),
        ):
            if name not in known:
                raise UsageError(f"{kind} {name}: unknown; expected one of {', '.join(known)}")
        least = min(self.stride, self.check_every, self.ask_every)
        if least < 1 or not 0 < self.smallest <= 1 or self.bridge < 0:
            raise UsageError(
                "expected stride, check_every and ask_every >= 1, 0 < smallest <= 1 and bridge >= 0, found "
                f"{self.stride}, {self.check_every}, {self.ask_every}, {self.smallest} and {self.bridge}"
            )

    @property
    def follows(self) -> bool:
        """Whether faces are followed with MTCNN's last net."""
        return self.search == "follow" and self.detector == "mtcnn" and self.assign != "bytetrack"


class _Looker(Protocol):
    """A search that may be some frames behind."""

    def step(self, frame: Frame) -> list[tuple[Frame, Found]]:
        """Look at the next frame; returns those that are finished, in order."""

    def end(self) -> list[tuple[Frame, Found]]:
        """Return those that are not finished yet."""


def run(
    root: Root, video_id: str, config: TrackConfig, progress: Progress = silent, early: EarlyCrops | None = None
) -> dict[str, float | str]:
    """Track one video and publish `tracks/<video_id>.parquet`.

    A stream that breaks in the middle is tracked up to there; the fault is among the counts. With `early`, crops are
    cut for the export that follows.

    Returns:
        Counts of frames, faces, people, interpolated faces and newcomers (faces of no person).

    Raises:
        RootError: the video has no layout, or none of its segments has people.
        VideoError: the video cannot be decoded at all.
    """
    layout, record = root.layout(video_id), root.record(video_id)
    keep = keeps(root, video_id)
    if not any(s.people for s in layout.segments) and not root.removed().of(video_id):
        raise RootError(
            f"video {video_id}: its layout names no people; draw people with "
            f"`rmset layout set {video_id} --person x0,y0,x1,y1`"
        )
    # Nets and decoder are freed before the table is made, so that they are never in memory together.
    at = partial(progress, f"track {video_id}")
    if early is not None:
        early.begin(record.sha256, Bounds.in_layout(layout), stride=config.stride, longest=config.bridge)
    opened = reader_of(root, video_id)
    seen = _look(opened, layout, config, early, lambda frame: at(frame, record.frame_count))
    counts: dict[str, float | str] = {"frames": seen.frames, "faces": 0, "people": 0, "interpolated": 0}

    def counted(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        for table in tables:
            interpolated = pc.sum(pc.equal(table["source"], schema.INTERPOLATED)).as_py() or 0
            for name, more in (("faces", table.num_rows), ("people", 1), ("interpolated", interpolated)):
                counts[name] = int(counts[name]) + more
            yield table

    tables = bridge(seen.sightings, video_id, stride=config.stride, longest=config.bridge, part_gap=config.part_gap)
    with root.files.publish(root.tracks_key(video_id)) as path:
        write_faces(path, counted(kept for table in tables if (kept := keep(table)).num_rows))
    progress(f"track {video_id}", record.frame_count, record.frame_count)
    counts["newcomers"] = seen.newcomers
    fault = seen.fault or record.fault
    return counts | ({"fault": fault} if fault else {})


@dataclass(frozen=True)
class _Seen:
    """Result of searching a video for its people."""

    sightings: Sightings
    frames: int
    newcomers: int
    fault: str | None


def _look(
    opened: VideoReader, layout: Layout, config: TrackConfig, early: EarlyCrops | None, progress: Callable[[int], None]
) -> _Seen:
    """Decode a video and find its people; `progress` is called with the frame number."""
    # Only one of the two is needed, and each is slow to load; MTCNN refuses weights by itself.
    quick = config.follows and config.weights is None
    looks_with = Nets(config.precision) if quick else load(config.detector, config.weights)
    sightings = Sightings()
    frames, newcomers = 0, 0

    def note(finished: list[tuple[Frame, Found]], by: _Segment) -> None:
        nonlocal newcomers
        for frame, found in finished:
            before = len(sightings)
            newcomers += by.note(frame, found, sightings)
            if early is not None:
                early.see(frame, sightings.since(before))

    with opened as reader:
        remaining = list(enumerate(layout.segments))
        current: _Segment | None = None
        for frame in ahead(reader.frames(stride=config.stride)):
            while remaining and frame.frame_idx >= remaining[0][1].start_frame:
                index, segment = remaining.pop(0)
                if current is not None:
                    note(current.looker.end(), current)
                current = _Segment(segment, index, layout.frame_size, looks_with, config)
            frames += 1
            if current is not None and current.covers(frame.frame_idx):
                note(current.looker.step(frame), current)
            if frame.frame_idx % 30 == 0:
                progress(frame.frame_idx)
        if current is not None:
            note(current.looker.end(), current)
        if early is not None:
            early.end()
        return _Seen(sightings, frames, newcomers, reader.fault)


class _Segment:
    """Search for the people of one segment."""

    def __init__(
        self,
        segment: Segment,
        index: int,
        frame_size: tuple[int, int],
        looks_with: Nets | Detector,
        config: TrackConfig,
    ) -> None:
        self._segment, self._index = segment, index
        self._reference = as_boxes([p.box for p in segment.people])
        # As in the paper, a box that has left the reference box belongs to no person.
        self._least_reference = config.least_iou if config.assign == "reference" else 0.0
        removed = list(segment.masked)
        self.looker: _Looker
        if isinstance(looks_with, Nets):
            settings = FollowConfig(
                check_every=config.check_every, smallest=config.smallest, least_iou=config.least_iou
            )
            follower = Follower(looks_with, segment.people, frame_size, removed, settings)
            resting = Resting(follower, config.ask_every, as_boxes(removed))
            self.looker = _FollowFrames(resting, [pixels(b, frame_size) for b in removed])
        else:
            tracker = assign.tracker(config.assign, segment.people, config.least_iou)
            whole = config.search == "frame"
            self.looker = _SearchFrames(
                Searcher(looks_with, tracker, segment.people, frame_size, removed, config.smallest, whole)
            )

    def covers(self, frame_idx: int) -> bool:
        """Whether the frame is in this segment and the segment has people."""
        return bool(self._segment.people) and self._segment.start_frame <= frame_idx < self._segment.end_frame

    def note(self, frame: Frame, found: Found, into: Sightings) -> int:
        """Note the people of one frame; return the number of faces that belong to no person."""
        strangers = 0
        for row, who in enumerate(found.people):
            overlap = float(iou(self._reference[who : who + 1], found.faces.boxes[row : row + 1])[0, 0])
            if overlap < self._least_reference:
                strangers += 1
                continue
            source = schema.DETECTED if found.searched[row] else schema.REFINED
            person_id = self._segment.people[who].person_id
            into.add(person_id, self._index, frame.frame_idx, frame.time_ms, found.faces, row, overlap, source)
        return found.newcomers + strangers


class _SearchFrames:
    """Adapter for a search that finishes every frame at once."""

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher

    def step(self, frame: Frame) -> list[tuple[Frame, Found]]:
        return [(frame, self._searcher.step(frame))]

    def end(self) -> list[tuple[Frame, Found]]:
        return []


class _FollowFrames:
    """Adapter that gives decoded frames to a follower, and keeps those that it has not finished."""

    def __init__(self, resting: Resting, removed: list[tuple[int, int, int, int]]) -> None:
        self._resting, self._removed = resting, removed
        self._waiting: list[Frame] = []

    def step(self, frame: Frame) -> list[tuple[Frame, Found]]:
        self._waiting.append(frame)
        return self._with_frames(self._resting.step(pixels_of(frame, self._removed)))

    def end(self) -> list[tuple[Frame, Found]]:
        return self._with_frames(self._resting.end())

    def _with_frames(self, found: list[Found]) -> list[tuple[Frame, Found]]:
        frames, self._waiting = self._waiting[: len(found)], self._waiting[len(found) :]
        return list(zip(frames, found, strict=True))
