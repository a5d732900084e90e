"""Audit of a tracked video, written to `audit/<video_id>.json`.

frames to search and compare -> looks and face samples -> more looks where something may be wrong
-> gaps of tracks -> answers
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from rmset.answers import PERSON, Answer, Audit, Rename
from rmset.errors import RootError
from rmset.geometry import Boxes, as_box, as_boxes, pixels, scale_about_center
from rmset.layout_record import Segment
from rmset.parts import identity as embedders
from rmset.parts.detect import cascade
from rmset.parts.detect.nets import Nets
from rmset.parts.frames import Frame, Gray, VideoReader, ahead
from rmset.parts.pixels import pixels_of
from rmset.progress import Progress, silent
from rmset.read.absent import Absent
from rmset.read.video import reader_of
from rmset.root import Root
from rmset.stages.audit import frames, gaps, identity, screen
from rmset.stages.audit.config import AuditConfig
from rmset.stages.audit.pieces import Piece, Sample
from rmset.stages.audit.screen import Look, thumb
from rmset.stages.audit.tracked import Tracks, in_their_panels

# One set of nets per process: loading them takes longer than auditing a short video.
_nets = cache(Nets)
_embedder = cache(embedders.load)
# Height of the smallest face searched for, as a share of the frame's height and in px.
_SMALLEST, _LEAST_PX = 0.055, 20.0
# Size of a face's surroundings ("room"), relative to its box.
_ROOM = 1.8
# Further faces compared between two that are unlike.
_MORE = 4
# Share of a person's frames in a segment that may be left without a compared face.
_MUCH = 0.15


@dataclass(frozen=True)
class _Audited:
    """A tracked video under audit."""

    reader: VideoReader
    segments: Mapping[int, Segment]
    """by position in the layout; without those without people"""
    tracks: Tracks
    frame_size: tuple[int, int]
    config: AuditConfig
    embedder: embedders.Embedder | None


def run(root: Root, video_id: str, config: AuditConfig, progress: Progress = silent) -> dict[str, float | str]:
    """Audit one video and publish `audit/<video_id>.json`.

    Returns:
        Numbers of frames and faces examined, the confidence left, and the worst answer if any is bad.

    Raises:
        RootError: the video has no tracks.
        VideoError: the video cannot be decoded.
    """
    layout = root.layout(video_id)
    if not root.files.exists(root.tracks_key(video_id)):
        raise RootError(f"video {video_id}: has no tracks yet; run `rmset track {video_id}` first")
    segments = {n: s for n, s in enumerate(layout.segments) if s.people}
    tracks, embedder = Tracks.of(root, video_id), _embedder(config.embedder)
    with reader_of(root, video_id) as reader:
        video = _Audited(reader, segments, tracks, layout.frame_size, config, embedder)
        looks, samples = _first_looks(video, progress, f"audit {video_id}")
        looks = _second_looks(video, looks)
        missing = _missing(video)
        of_identity, renames = _identities(video, samples)
    answers = screen.ask([(segments[n], found) for n, found in looks.items()], gaps.ask(missing, layout.segments))
    if (absent := Absent.of(root, video_id)) is not None:
        # A removed person is in no panel, and still in the picture.
        answers = [a for a in answers if not absent.concerns(a)]
    name = embedder.name if embedder else None
    count = sum(len(found) for found in looks.values())
    audit = Audit(video_id, name, count, len(samples), (*answers, *of_identity), tuple(renames))
    root.write_text(root.audit_key(video_id), audit.to_json())
    return _counts(audit)


def _first_looks(video: _Audited, progress: Progress, what: str) -> tuple[dict[int, list[Look]], list[Sample]]:
    """Return the looks of each segment, and samples of faces, from one pass over the video.

    Only one frame of each grid is searched everywhere, the others in the trigger regions.
    """
    config, keys = video.config, video.reader.index.keys
    searched = {n: frames.to_search(s, config, keys) for n, s in video.segments.items()}
    everywhere = frames.of_each_grid(video.segments, searched)
    compared: dict[int, list[int]] = {n: [] for n in searched}
    if video.embedder is not None:
        compared = {n: frames.to_compare(video.segments[n], len(f), config) for n, f in searched.items()}
    looks: dict[int, list[Look]] = {n: [] for n in searched}
    samples: list[Sample] = []
    segment_of = {frame: n for part in (searched, compared) for n, numbers in part.items() for frame in numbers}
    for done, frame in enumerate(ahead(video.reader.sample(sorted(segment_of)))):
        n = segment_of[frame.frame_idx]
        if frame.frame_idx in searched[n]:
            looks[n].append(_look(video, frame, n, everywhere=frame.frame_idx in everywhere))
        if frame.frame_idx in compared[n]:
            samples += _compared(video, frame, n, [s.person_id for s in samples if s.segment == n])
        progress(what, done, len(segment_of))
    return looks, samples


def _second_looks(video: _Audited, looks: Mapping[int, list[Look]]) -> dict[int, list[Look]]:
    """Return the looks with those at more frames of segments in which something may be wrong, in order of time."""
    known = [(video.segments[n], found) for n, found in looks.items()]
    doubts = {n: screen.doubts(video.segments[n], found, known) for n, found in looks.items()}
    segment_of = {
        frame: n
        for n, found in looks.items()
        if doubts[n]
        for frame in frames.to_search_again(
            video.segments[n], [look.frame_idx for look in found], video.config, video.reader.index.keys
        )
    }
    more: dict[int, list[Look]] = {n: list(found) for n, found in looks.items()}
    for frame in ahead(video.reader.sample(sorted(segment_of))):
        n = segment_of[frame.frame_idx]
        more[n].append(_look(video, frame, n, everywhere=doubts[n] == "everywhere"))
    return {n: sorted(found, key=lambda look: look.frame_idx) for n, found in more.items()}


def _missing(video: _Audited) -> list[gaps.Gap]:
    """Find the gaps in which people are not found, and compare their panels there."""
    wanted = [
        gap
        for s in video.segments.values()
        for person in s.people
        for gap in gaps.between(s, person, video.tracks.of_person(s, person))
    ]
    numbers = sorted({f for gap in wanted for f in (*gap.inside, *gap.beside)})
    shown: dict[int, Gray] = dict(ahead((f.frame_idx, f.gray) for f in video.reader.sample(numbers)))
    return [gaps.seen(gap, shown) for gap in wanted]


def _identities(video: _Audited, samples: list[Sample]) -> tuple[list[Answer], list[Rename]]:
    """Answers about identities, and corrections; more faces are compared where the first ones leave a doubt."""
    twice = [identity.one_face(*pair) for pair in video.tracks.twice()]
    if video.embedder is None:
        return [Answer(PERSON, "not asked", None, "no embedder; `pip install 'rmset[identity]'`"), *twice], []
    same, other = video.embedder.same, video.embedder.other
    samples += _unseen(video, samples)
    for person, low, high in identity.doubtful(samples, same, other):
        known = {s.frame_idx for s in samples if s.person_id == person}
        inside = [f for f in video.tracks.between(person, low, high).tolist() if f not in known]
        samples += _faces(video, person, frames.evenly_of(inside, _MORE))
    answers, renames = identity.ask(samples, same, other, lambda before, after: _first_frame(video, before, after))
    unknown = [
        identity.unknown(person, low, high, share)
        for _, person, low, high, share in _blind(video, samples)
        if share >= _MUCH
    ]
    # A fault takes the good answer away; other faults stand.
    more = [*twice, *unknown]
    return [*(a for a in answers if not more or a.good is not True), *more], renames


def _unseen(video: _Audited, samples: Sequence[Sample]) -> list[Sample]:
    """Return more samples, of the sharp faces in long stretches without any."""
    more: list[Sample] = []
    for n, person, low, high, _ in _blind(video, samples):
        sharp = video.tracks.sharp_between(person, low, high, video.config).tolist()
        for frame in video.reader.sample(frames.evenly_of(sharp, _MORE)):
            names, boxes, _ = video.tracks.at(frame.frame_idx)
            whole = in_their_panels(video.segments[n], names, boxes, video.frame_size)
            more += _embedded(video, frame, n, names, boxes, np.flatnonzero(whole & (names == person)))
    return more


def _blind(video: _Audited, samples: Sequence[Sample]) -> Iterator[tuple[int, int, int, int, float]]:
    """Yield (segment, person, frame before, frame after, share of the person's frames) of stretches without samples."""
    for n, segment in video.segments.items():
        searched = frames.to_search(segment, video.config, video.reader.index.keys)
        expected = len(frames.to_compare(segment, len(searched), video.config))
        for person in segment.people:
            tracked = video.tracks.of_person(segment, person).tolist()
            known = sorted(s.frame_idx for s in samples if (s.segment, s.person_id) == (n, person.person_id))
            for low, high, count in frames.uncompared(tracked, known, expected):
                yield n, person.person_id, low, high, count / len(tracked)


def _first_frame(video: _Audited, before: Piece | None, after: Piece) -> int:
    """Find the first frame of the second person, by halves: each middle face belongs to the piece it resembles more.

    With nothing before it, it is the first frame of the segment.
    """
    if before is None:
        return video.segments[after.samples[0].segment].start_frame
    low, high, person = before.end, after.start, before.person_id
    while inside := video.tracks.between(person, low, high).tolist():
        middle = min(inside, key=lambda f: abs(2 * f - low - high))
        face = next(iter(_faces(video, person, [middle])), None)
        if face is None:
            break
        if identity.nearer(face, after, before):
            high = face.frame_idx
        else:
            low = face.frame_idx
    return low + 1


def _faces(video: _Audited, person: int, numbers: Sequence[int]) -> Iterator[Sample]:
    """Yield a person's faces in frames (ascending) in which they are tracked."""
    for frame in video.reader.sample(numbers):
        n = next((n for n, s in video.segments.items() if s.start_frame <= frame.frame_idx < s.end_frame), None)
        if n is not None:
            names, boxes, _ = video.tracks.at(frame.frame_idx)
            yield from _embedded(video, frame, n, names, boxes, np.flatnonzero(names == person))


def _counts(audit: Audit) -> dict[str, float | str]:
    counts: dict[str, float | str] = {"frames": audit.frames, "faces": audit.faces, "confidence": audit.confidence}
    worst = min((a for a in audit.answers if a.good is False), key=lambda a: a.confidence, default=None)
    if worst is not None:
        counts["worst"] = f"{worst.question}: {worst.answer}, {worst.detail}"
    return counts


def _look(video: _Audited, frame: Frame, number: int, *, everywhere: bool) -> Look:
    """Return what a frame of a segment shows; faces are searched everywhere or in the trigger regions."""
    segment, gray, picture = video.segments[number], frame.gray, pixels_of(frame)
    names, boxes, _ = video.tracks.at(frame.frame_idx)
    places = [r.box for r in segment.trigger_regions] + [p.panel or p.box for p in segment.people]
    areas = [(0, 0, picture.width, picture.height)]
    if not everywhere:
        areas = [pixels(r.box, (picture.width, picture.height)) for r in segment.trigger_regions]
    least = max(_LEAST_PX, _SMALLEST * picture.height)
    # The tracker's arithmetic, which takes half the time of the exact one.
    faces: Boxes = as_boxes(
        [as_box(b) for a in areas for b in cascade.search(_nets("auto"), picture, a, least, padded=True).boxes]
    )
    rooms = [scale_about_center(as_box(face), _ROOM) for face in faces]
    shown, around = (tuple(thumb(gray, place) for place in part) for part in (places, rooms))
    return Look(frame.frame_idx, faces, boxes, names, shown, around, everywhere)


def _compared(video: _Audited, frame: Frame, number: int, have: Sequence[int]) -> Iterator[Sample]:
    """Yield a frame's sharp faces as samples, of people who are fewer than `config.faces` times in `have`."""
    if video.embedder is None:
        return
    segment, config = video.segments[number], video.config
    names, boxes, scores = video.tracks.at(frame.frame_idx)
    sharp = (scores >= config.least_score) & (boxes[:, 3] - boxes[:, 1] >= config.least_face)
    sharp &= in_their_panels(segment, names, boxes, video.frame_size)
    sharp &= np.array([have.count(name) < config.faces for name in names.tolist()], bool)
    rows = np.flatnonzero(sharp)
    yield from _embedded(video, frame, number, names, boxes, rows)


def _embedded(
    video: _Audited,
    frame: Frame,
    number: int,
    names: npt.NDArray[np.int64],
    boxes: npt.NDArray[np.float32],
    rows: npt.NDArray[np.intp],
) -> Iterator[Sample]:
    """Yield the faces of some rows of a frame as samples."""
    if video.embedder is None or not len(rows):
        return
    panels = {p.person_id: p.panel for p in video.segments[number].people}
    for row, vector in zip(rows, video.embedder.embed(frame.rgb, as_boxes(boxes[rows])), strict=True):
        x0, y0, x1, y1 = (round(float(v), 1) for v in boxes[row])
        panel = panels.get(int(names[row]))
        room = thumb(frame.gray, panel) if panel is not None else None
        yield Sample(int(names[row]), frame.frame_idx, (x0, y0, x1, y1), vector, number, room)
