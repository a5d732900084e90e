"""Where the film is and who is in which panel: a proposal by the program, to be confirmed by a person.

sparse frames -> panels -> faces in each -> the panel that behaves like a film is the trigger, the rest are people
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from rmset.errors import LayoutError
from rmset.geometry import Box, as_box, as_boxes, centre, iou
from rmset.parts import panels
from rmset.parts.detect import Detections, load
from rmset.parts.frames import VideoReader
from rmset.progress import Progress, silent
from rmset.records import Layout, Person, Segment, TriggerRegion
from rmset.store import Root

NAME = "layout"


@dataclass(frozen=True)
class ProposeConfig:
    """What decides a proposal."""

    samples: int = 24
    """frames looked at, evenly spaced"""
    detector: str = "mtcnn"
    """name in `rmset.parts.detect.DETECTORS`"""
    search_width: int = 1280
    """frames are shrunk to this width for detection, px"""
    min_face: float = 32
    """smallest face looked for at that width, px"""


def is_manual(root: Root, video_id: str) -> bool:
    """Whether a person has drawn or confirmed anything in the layout; then no proposal touches it."""
    if not root.has_layout(video_id):
        return False
    return any(
        s.reviewed
        or any(r.source == "manual" for r in s.trigger_regions)
        or any(p.source == "manual" for p in s.people)
        for s in root.layout(video_id).segments
    )


def propose(root: Root, video_id: str, config: ProposeConfig, progress: Progress = silent) -> dict[str, float]:
    """Propose the layout of one video and publish `layouts/<video_id>.json`.

    Returns:
        What was found: people, trigger regions, confidence.

    Raises:
        LayoutError: nobody's face is found.
        VideoError: the video cannot be decoded.
    """
    record = root.record(video_id)
    wanted = np.linspace(0, record.frame_count - 1, config.samples + 2).round().astype(int)[1:-1]
    detector = load(config.detector)
    looks: list[_Look] = []
    with VideoReader(root.video_path(video_id)) as reader:
        for frame in reader.sample(sorted(set(wanted.tolist()))):
            shrink = min(1.0, config.search_width / frame.rgb.shape[1])
            small = cv2.resize(frame.rgb, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
            found = detector.detect(np.asarray(small, np.uint8), config.min_face)
            grey = np.asarray(cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY), np.uint8)
            looks.append(_Look(frame.frame_idx, grey, Detections(found.boxes / shrink, found.scores, found.landmarks)))
            progress(f"layout {video_id}", len(looks), config.samples)
    if not any(len(look.faces) for look in looks):
        raise LayoutError(
            f"video {video_id}: expected faces, found none in {len(looks)} frames; draw people with "
            f"`rmset layout set {video_id} --person x0,y0,x1,y1`, or leave the video out"
        )
    segment = _segment(looks, record.frame_size, record.frame_count)
    root.write_layout(Layout(video_id, record.frame_size, (segment,)))
    return {
        "people": len(segment.people),
        "trigger_regions": len(segment.trigger_regions),
        "confidence": round(segment.confidence, 3),
    }


@dataclass(frozen=True)
class _Look:
    """One sampled frame."""

    frame_idx: int
    grey: npt.NDArray[np.uint8]
    faces: Detections


@dataclass(frozen=True)
class _Panel:
    """What is seen in one rectangle over the samples."""

    box: Box
    faces: tuple[Box | None, ...]
    """the largest face in each sample"""
    steadiness: float
    """share of samples with a face, times how much those faces overlap their median, 0 to 1"""
    change: float
    """mean grey difference between samples, 0 to 255"""


def _segment(looks: Sequence[_Look], frame_size: tuple[int, int], frame_count: int) -> Segment:
    watched = [_watch(box, looks) for box in panels.find([look.grey for look in looks])]
    alive = [p for p in watched if p.change > 1 or p.steadiness > 0]
    # A sliver is never where the film plays.
    usual = float(np.median([_area(p.box) for p in alive])) if alive else 0.0
    screens = [p for p in alive if _area(p.box) >= usual / 2]
    trigger = max(screens, key=lambda p: _film_likeness(p, alive, frame_size)) if len(alive) > 1 else None
    others = [p for p in alive if p is not trigger and p.steadiness >= 0.25]
    # The frame in which most people are seen; of equals, the first.
    reference = max(range(len(looks)), key=lambda i: (sum(p.faces[i] is not None for p in others), -i))
    people = []
    for person_id, panel in enumerate(others):
        box = _face_near(panel, reference)
        people.append(Person(person_id, _inside(box, panel.box), panel.box, "detected", round(panel.steadiness, 3)))
    regions: tuple[TriggerRegion, ...] = ()
    confidence = 1.0 if people else 0.0
    if trigger is not None:
        likeness = sorted((_film_likeness(p, alive, frame_size) for p in screens), reverse=True)
        margin = likeness[0] - likeness[1] if len(likeness) > 1 else 0.0
        sure = round(float(np.clip(0.5 + margin, 0, 1)), 3)
        regions = (TriggerRegion(trigger.box, "proposed", sure),)
        confidence = min([sure, *(p.confidence for p in people)])
    return Segment(0, frame_count, looks[reference].frame_idx, regions, tuple(people), False, round(confidence, 3))


def _watch(box: Box, looks: Sequence[_Look]) -> _Panel:
    x0, y0, x1, y1 = (int(v) for v in box)
    faces = tuple(_largest_inside(look.faces, box) for look in looks)
    seen = as_boxes([f for f in faces if f is not None])
    steadiness = 0.0
    if len(seen):
        middle = np.median(seen, axis=0, keepdims=True).astype(np.float32)
        steadiness = len(seen) / len(looks) * float(iou(seen, middle).mean())
    insides = [look.grey[y0:y1:4, x0:x1:4].astype(np.int16) for look in looks]
    changes = [float(np.abs(b - a).mean()) for a, b in pairwise(insides)]
    return _Panel(box, faces, steadiness, float(np.mean(changes)) if changes else 0.0)


def _film_likeness(panel: _Panel, panels_: Sequence[_Panel], frame_size: tuple[int, int]) -> float:
    """How much a panel behaves like a film: cuts, no steady face, large, central. Higher is more."""
    most = max(p.change for p in panels_) or 1.0
    largest = max(_area(p.box) for p in panels_)
    x, y = centre(panel.box)
    off_centre = max(abs(x / frame_size[0] - 0.5), abs(y / frame_size[1] - 0.5)) * 2
    return (
        0.4 * (1 - panel.steadiness)
        + 0.2 * panel.change / most
        + 0.3 * (1 - off_centre)
        + 0.1 * _area(panel.box) / largest
    )


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _largest_inside(faces: Detections, box: Box) -> Box | None:
    inside = [as_box(b) for b in faces.boxes if _holds(box, *centre(as_box(b)))]
    return max(inside, key=_area, default=None)


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x < box[2] and box[1] <= y < box[3]


def _face_near(panel: _Panel, sample: int) -> Box:
    """The face in the sample, or in the nearest one that has one."""
    order = sorted(range(len(panel.faces)), key=lambda i: (abs(i - sample), i))
    return next(face for i in order if (face := panel.faces[i]) is not None)


def _inside(box: Box, bounds: Box) -> Box:
    return (
        round(max(box[0], bounds[0]), 1),
        round(max(box[1], bounds[1]), 1),
        round(min(box[2], bounds[2]), 1),
        round(min(box[3], bounds[3]), 1),
    )


def edit(
    layout: Layout,
    *,
    span: tuple[int, int] | None = None,
    triggers: Sequence[Box] = (),
    people: Sequence[Box] = (),
    append: bool = False,
    reviewed: bool | None = None,
) -> Layout:
    """The layout with what is named replaced, in the segments that overlap `span` (all if none).

    People keep the panel in which they are drawn, if the layout knows one there.

    Raises:
        LayoutError: a box does not fit into the frame, or no segment overlaps the span.
    """
    touched = [s for s in layout.segments if span is None or (s.start_frame < span[1] and span[0] < s.end_frame)]
    if not touched:
        raise LayoutError(
            f"layout of {layout.video_id}: no segment overlaps {span}; it has "
            + ", ".join(f"{s.start_frame}:{s.end_frame}" for s in layout.segments)
        )
    changed = [_edited(s, triggers, people, append, reviewed) if s in touched else s for s in layout.segments]
    return replace(layout, segments=tuple(changed))


def _edited(
    segment: Segment, triggers: Sequence[Box], people: Sequence[Box], append: bool, reviewed: bool | None
) -> Segment:
    regions, known = segment.trigger_regions, segment.people
    if triggers:
        made = tuple(TriggerRegion(b, "manual", 1.0) for b in triggers)
        regions = (*regions, *made) if append else made
    if people:
        first = max((p.person_id for p in known), default=-1) + 1 if append else 0
        drawn = tuple(
            Person(
                first + i, b, next((p.panel for p in known if p.panel and _holds(p.panel, *centre(b))), None), "manual"
            )
            for i, b in enumerate(people)
        )
        known = (*known, *drawn) if append else drawn
    return replace(
        segment,
        trigger_regions=regions,
        people=known,
        reviewed=segment.reviewed if reviewed is None else reviewed,
    )


def _panel_around(box: Box, people: Sequence[Person]) -> Box | None:
    return next((p.panel for p in people if p.panel and _holds(p.panel, *centre(box))), None)
