"""Proposed layout of a video."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np

from rmset.errors import LayoutError
from rmset.geometry import Box, area, as_boxes, center, contains_point, iou
from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.parts.detect import Detector, load
from rmset.progress import Progress, silent
from rmset.read.absent import Absent
from rmset.read.video import reader_of
from rmset.records import VideoRecord
from rmset.root import Root
from rmset.stages.layout import film as films
from rmset.stages.layout import seats, signs, spans
from rmset.stages.layout.config import ProposeConfig
from rmset.stages.layout.kept import KeptFaces, KeptFrames
from rmset.stages.layout.people import Faces, people_of, with_lasting_ids
from rmset.stages.layout.portraits import OTHER_ROOM, SAME_ROOM
from rmset.stages.layout.signs import Witness
from rmset.stages.layout.watch import View, watch
from rmset.threads import THREADS


@cache
def _loaded(name: str) -> list[Detector]:
    """Return the detectors of this process, one for each thread: loading them takes half a second."""
    return [load(name, lane=n) for n in range(THREADS)]


# Confidence from which a film is certain.
_SURE = 0.8
# Least share of moving rim of a film that fills the screen.
_FULL_RIM = 0.5
# Share of the screen from which a panel fills it, perhaps between bars.
_FILLS = 0.75
# Segments with one grid: least share of people in the same place, and least IoU of a place.
_SAME_GRID, _SAME_SEAT = 0.6, 0.7
# How often a span is cut at changes of seats.
_DEEPEST = 2
# Longest fade, seconds.
_FADE_S = 1.0
# Neighbors that are one segment: least IoU of their regions, and of their people's faces.
_SAME, _SAME_FACE = 0.9, 0.3


def propose(root: Root, video_id: str, config: ProposeConfig, progress: Progress = silent) -> dict[str, float]:
    """Propose the layout of one video and publish `layouts/<video_id>.json`.

    Returns:
        Counts of segments, people and trigger regions, and the least confidence of a segment.

    Raises:
        LayoutError: no face stays in place.
        VideoError: the video cannot be decoded.
    """
    record = root.record(video_id)
    seen: list[tuple[range, View]] = []
    witnesses: list[Witness] = []
    # Index of the witness to a whole span, by the first frame of each of its parts.
    whole: dict[int, int] = {}
    with ThreadPoolExecutor(1) as loading, spans.evidence_kept(), reader_of(root, video_id) as video:
        reader = KeptFrames(video)
        # The detectors are loaded while the decoder is waited for.
        detectors = loading.submit(_loaded, config.detector)
        found = deque(spans.find(reader, record, config.edge_samples, progress))
        faces = KeptFaces(detectors.result(), config)
        while found:
            # A span's sums are large, so each span is dropped once its people are found.
            span = found.popleft()
            view = watch(reader, span, faces, config.samples)
            cuts = seats.cuts(reader, span, view, record.fps) if span.depth < _DEEPEST else []
            if span.depth == 0:
                witnesses.append(Witness(span.end - span.start, view))
            if cuts:
                # Other people sit there from then on: each part is watched by itself. A part is watched more closely
                # than its span, so a second change may be found in it.
                parts = spans.parts(reader, span, cuts, config.edge_samples)
                # A moment in full screen has panels of its own.
                whole |= {part.start: len(witnesses) - 1 for part in parts if part.own is not None}
                found.extendleft(reversed(parts))
                continue
            seen.append((range(span.start, span.end), view))
            progress(f"layout {video_id}: people", span.end, record.frame_count)
    calm = [signs.calm(w, [s for s in seen if whole.get(s[0].start) == n]) for n, w in enumerate(witnesses)]
    segments = _by_neighbors(seen, record, calm, whole)
    brief = round(_FADE_S * record.fps)
    layout = Layout(video_id, record.frame_size, arranged(segments, record.frame_size, Faces.of(seen), brief))
    if (absent := Absent.of(root, video_id)) is not None:
        layout = absent.left_of(layout)
    if not any(s.people for s in layout.segments) and absent is None:
        raise LayoutError(
            f"video {video_id}: expected faces, found none that stays in its place; draw people with "
            f"`rmset layout set {video_id} --person x0,y0,x1,y1`, or leave the video out"
        )
    root.write_layout(layout)
    return {
        "segments": len(layout.segments),
        "people": len({p.person_id for s in layout.segments for p in s.people}),
        "trigger_regions": max(len(s.trigger_regions) for s in layout.segments),
        "confidence": round(min(s.confidence for s in layout.segments), 3),
    }


def _by_neighbors(
    seen: Sequence[tuple[range, View]], record: VideoRecord, witnesses: Sequence[Witness], whole: Mapping[int, int]
) -> list[Segment]:
    """Build the segments; an uncertain film takes its place from a certain segment with the same grid.

    `whole` is the index of the witness to the span that a view is a part of, by the view's first frame.
    """

    def film_of(view: View) -> films.Film | None:
        return films.find(view, record.frame_size, signs.pooled(view, witnesses, record.frame_size))

    spans_films = {n: film_of(witnesses[n].view) for n in sorted(set(whole.values()))}
    alone = []
    for frames, view in seen:
        known = spans_films[whole[frames.start]] if frames.start in whole else None
        sure = known is not None and known.confidence >= _SURE
        alone.append(_segment(frames, view, films.known(view, _regions(known)) if sure else film_of(view)))
    segments = []
    for number, (frames, view) in enumerate(seen):
        mine = alone[number]
        near = [
            s
            for s in alone
            if s is not mine and s.trigger_regions and s.confidence >= _SURE > mine.confidence
            if _share_matched(s.people, mine.people) >= _SAME_GRID
        ]
        if near and mine.people:
            # Of all segments with this grid the one with the highest confidence; of equals the nearest.
            surest = max(near, key=lambda s: (_film_sure(s), -abs(s.start_frame - mine.start_frame)))
            mine = _segment(frames, view, films.known(view, surest.trigger_regions))
        segments.append(mine)
    return segments


def _regions(film: films.Film | None) -> tuple[TriggerRegion, ...]:
    return tuple(TriggerRegion(_floats(r), "proposed", film.confidence) for r in film.regions) if film else ()


def _segment(frames: range, view: View, film: films.Film | None) -> Segment:
    regions = _regions(film)
    reference, people = people_of(view, film.panels if film else (), [r.box for r in regions])
    if not people:
        # Without people it is a title, or a film over the whole screen.
        regions = _whole_screen(view)
    confidence = min([r.confidence for r in regions] + [_mean([p.confidence for p in people])])
    reference = min(max(reference, frames.start), frames.stop - 1)
    return Segment(frames.start, frames.stop, reference, regions, people, False, round(confidence, 3))


def _mean(values: Sequence[float]) -> float:
    """Mean of the values; 1 if there are none."""
    return float(np.mean(values)) if values else 1.0


def _whole_screen(view: View) -> tuple[TriggerRegion, ...]:
    moving = [p for p in view.panels if p.rim >= _FULL_RIM]
    return tuple(TriggerRegion(p.panel.box, "proposed", 0.8) for p in moving)


def arranged(
    segments: Sequence[Segment], frame_size: tuple[int, int], faces: Faces | None = None, brief: int = 0
) -> tuple[Segment, ...]:
    """Arrange the segments of a whole video: join neighbors that are alike, give lasting ids.

    A segment of `brief` frames at most may be a fade.
    """
    grid = any(len(s.people) >= 2 for s in segments)
    faces = faces or Faces({})
    known = [_as_film(s, frame_size, faces, segments) if grid else s for s in segments]
    joined: list[Segment] = []
    for segment in _with_one_film(known):
        if joined and (_alike(joined[-1], segment, faces) or _same_intro(joined[-1], segment)):
            longer = max(joined[-1], segment, key=lambda s: (len(s.trigger_regions), s.end_frame - s.start_frame))
            joined[-1] = replace(longer, start_frame=joined[-1].start_frame, end_frame=segment.end_frame)
        else:
            joined.append(segment)
    return with_lasting_ids(joined, faces, brief)


def _as_film(segment: Segment, frame_size: tuple[int, int], faces: Faces, others: Sequence[Segment]) -> Segment:
    """Turn a single panel that fills the screen into the film, unless it shows a person of another segment's panel."""
    width, height = frame_size
    screen = (0.0, 0.0, float(width), float(height))
    places = [p.panel for p in segment.people if p.panel] + [r.box for r in segment.trigger_regions]
    if len(places) != 1 or float(area(as_boxes(places))[0]) < _FILLS * width * height:
        return segment
    if segment.people and (score := faces.best(segment, segment.people[0], others)) >= SAME_ROOM:
        only = replace(segment.people[0], panel=screen)
        return replace(segment, people=(only,), trigger_regions=(), confidence=round(min(0.99, score + 0.15), 3))
    sure = 0.85 if not segment.people else min(0.85, segment.confidence)
    return replace(segment, people=(), trigger_regions=(TriggerRegion(screen, "proposed", sure),), confidence=sure)


def _with_one_film(segments: Sequence[Segment]) -> list[Segment]:
    """Give neighbors with most people in the same places the film regions of the one with more confidence."""
    done: list[Segment] = []
    for segment in segments:
        before = done[-1] if done else None
        if before is not None and _share_matched(before.people, segment.people) >= _SAME_GRID:
            better, worse = (before, segment) if _film_sure(before) >= _film_sure(segment) else (segment, before)
            if not _hides(replace(worse, trigger_regions=better.trigger_regions)):
                done[-1] = replace(before, trigger_regions=better.trigger_regions)
                segment = replace(segment, trigger_regions=better.trigger_regions)
        done.append(segment)
    return done


def _film_sure(segment: Segment) -> float:
    """Confidence in the film's place, times the length of the segment."""
    return max((r.confidence for r in segment.trigger_regions), default=0.0) * (segment.end_frame - segment.start_frame)


def _share_matched(one: Sequence[Person], other: Sequence[Person]) -> float:
    """Share of the people of the smaller group who sit in the same place in the other."""
    if not one or not other:
        return 0.0
    overlap = iou(as_boxes([_place(p) for p in one]), as_boxes([_place(p) for p in other]))
    return float((overlap.max(axis=int(len(one) <= len(other))) >= _SAME_SEAT).mean())


def _hides(segment: Segment) -> bool:
    """Whether a region covers a person's face."""
    boxes = as_boxes(list(segment.masked))
    return any(bool(contains_point(boxes, *center(p.box)).any()) for p in segment.people)


def _same_intro(one: Segment, other: Segment) -> bool:
    """Whether a film over the whole screen continues, though its next scene hardly moves."""
    if one.people or other.people:
        return False
    return bool(one.trigger_regions) != bool(other.trigger_regions)


def _alike(one: Segment, other: Segment, faces: Faces) -> bool:
    """Whether both have the same regions and the same people, whose panels may differ where few edges are visible."""
    regions = [[r.box for r in s.trigger_regions] for s in (one, other)]
    boxes = [[p.box for p in s.people] for s in (one, other)]
    if not (_match(regions[0], regions[1], _SAME) and _match(boxes[0], boxes[1], _SAME_FACE)):
        return False
    pairs = (
        (p, q)
        for p in one.people
        for q in other.people
        if float(iou(as_boxes([_place(p)]), as_boxes([_place(q)]))[0, 0]) >= _SAME_SEAT
    )
    return all(faces.alike(one, p, other, q) >= OTHER_ROOM for p, q in pairs)


def _match(one: Sequence[Box], other: Sequence[Box], least: float) -> bool:
    if len(one) != len(other):
        return False
    if not one:
        return True
    overlap = iou(as_boxes(list(one)), as_boxes(list(other)))
    return bool((overlap.max(axis=1) >= least).all() and (overlap.max(axis=0) >= least).all())


def _place(person: Person) -> Box:
    return person.panel or person.box


def _floats(rect: tuple[int, int, int, int]) -> Box:
    x0, y0, x1, y1 = rect
    return (float(x0), float(y0), float(x1), float(y1))
