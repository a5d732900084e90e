"""Audit of a tracked video, written to `audit/<video_id>.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from rmset.answers import PERSON, Answer, Audit, Rename
from rmset.errors import RootError, UsageError
from rmset.geometry import as_box, as_boxes, covered, scale_about_center
from rmset.layout_record import Person, Segment
from rmset.parts import identity as embedders
from rmset.parts.detect import cascade
from rmset.parts.detect.nets import Nets
from rmset.parts.frames import Frame, Gray, VideoReader
from rmset.parts.pixels import pixels_of
from rmset.parts.shards import read_faces
from rmset.progress import Progress, silent
from rmset.read.absent import Absent
from rmset.read.video import reader_of
from rmset.root import Root
from rmset.stages.audit import gaps, identity, screen
from rmset.stages.audit.screen import thumb

# One set of nets per process: loading them takes longer than auditing a short video.
_nets = cache(Nets)
_embedder = cache(embedders.load)
# Height of the smallest face searched for, as a share of the frame's height and in px.
_SMALLEST, _LEAST_PX = 0.055, 20.0
# Largest distance of a key frame that replaces a frame to sample, as a share of the distance between samples.
_NEAR = 0.4
# Shortest segment in which people are expected to change places, frames.
_LONG = 120
# Size of a face's surroundings ("room"), relative to its box.
_ROOM = 1.8
# Least share of a compared face's box inside its panel.
_WHOLE = 0.92


@dataclass(frozen=True)
class AuditConfig:
    """Settings of the audit."""

    every: int = 300
    """every how many frames one is searched for faces"""
    fewest: int = 3
    """fewest frames searched per segment, if it has that many"""
    again: int = 8
    """further frames searched in a segment with a face where none should be"""
    faces: int = 12
    """most faces compared per person and segment"""
    least_face: float = 28
    """height of the smallest face compared, px"""
    least_score: float = 0.9
    """least detector score of a face compared"""
    embedder: str = embedders.NONE
    """`dlib`, a file that ends in .onnx or .pt, or `none`; `auto` is resolved by the command line"""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.every < 1 or self.fewest < 1 or self.again < 0 or self.faces < 2:
            raise UsageError("expected every and fewest of 1 or more, again of 0 or more and faces of 2 or more")
        embedders.resolve(self.embedder)


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
    tracks = _Tracks.of(root, video_id)
    embedder = _embedder(config.embedder)
    # The tracker's arithmetic, which takes half the time of the exact one.
    nets = _nets("auto")
    segments = dict(enumerate(layout.segments))
    samples: list[identity.Sample] = []
    missing: list[gaps.Gap] = []
    with reader_of(root, video_id) as reader:
        keys = reader.index.keys
        searched = {n: _near(_frames(s, config), s, keys) for n, s in segments.items() if s.people}
        compared = {n: _between(segments[n], len(f), config) if embedder else [] for n, f in searched.items()}
        looks: dict[int, list[screen.Look]] = {n: [] for n in searched}
        segment_of = {frame: n for m in (searched, compared) for n, frames in m.items() for frame in frames}
        for done, frame in enumerate(reader.sample(sorted(segment_of))):
            number = segment_of[frame.frame_idx]
            segment = segments[number]
            names, boxes, scores = tracks.at(frame.frame_idx)
            if frame.frame_idx in searched[number]:
                looks[number].append(_look(frame, segment, names, boxes, nets))
            if embedder is not None and frame.frame_idx in compared[number]:
                sharp = (scores >= config.least_score) & (boxes[:, 3] - boxes[:, 1] >= config.least_face)
                sharp &= _whole(segment, names, boxes, layout.frame_size)
                samples += _compared(embedder, frame, names[sharp], boxes[sharp], samples, (number, segment), config)
            progress(f"audit {video_id}", done, len(segment_of))
        # More frames only for segments where something may be wrong.
        doubted = {}
        for n, found in looks.items():
            if screen.doubts(segments[n], found):
                more = _near(_evenly(segments[n], config.again), segments[n], keys)
                doubted[n] = sorted({*more} - {*searched[n]})
        segment_of = {frame: n for n, frames in doubted.items() for frame in frames}
        for frame in reader.sample(sorted(segment_of)):
            number = segment_of[frame.frame_idx]
            names, boxes, _ = tracks.at(frame.frame_idx)
            looks[number].append(_look(frame, segments[number], names, boxes, nets))
        for found in looks.values():
            found.sort(key=lambda look: look.frame_idx)
        missing = _missing(reader, segments, tracks)
    answers = screen.ask([(segments[n], found) for n, found in looks.items()], gaps.ask(missing, layout.segments))
    renames: list[Rename] = []
    if embedder is None:
        answers.append(Answer(PERSON, "not asked", None, "no embedder; `pip install 'rmset[identity]'`"))
    else:
        told, renames = identity.ask(samples, embedder.same, embedder.other)
        answers += told
    if (absent := Absent.of(root, video_id)) is not None:
        # A removed person is in no panel, and still in the picture.
        answers = [a for a in answers if not absent.concerns(a)]
    name = embedder.name if embedder else None
    count = sum(len(found) for found in looks.values())
    audit = Audit(video_id, name, count, len(samples), tuple(answers), tuple(renames))
    root.write_text(root.audit_key(video_id), audit.to_json())
    return _counts(audit)


def _counts(audit: Audit) -> dict[str, float | str]:
    counts: dict[str, float | str] = {"frames": audit.frames, "faces": audit.faces, "confidence": audit.confidence}
    worst = min((a for a in audit.answers if a.good is False), key=lambda a: a.confidence, default=None)
    if worst is not None:
        counts["worst"] = f"{worst.question}: {worst.answer}, {worst.detail}"
    return counts


def _frames(segment: Segment, config: AuditConfig) -> list[int]:
    """Frames of a segment to search for faces, evenly spaced."""
    return _evenly(segment, max(config.fewest, (segment.end_frame - segment.start_frame) // config.every))


def _between(segment: Segment, searched: int, config: AuditConfig) -> list[int]:
    """Frames of a segment for comparing faces: about twice as many as searched, in a short segment as many.

    They are not moved to key frames: encoders put those where pictures change, and there tracks are least certain.
    """
    long = segment.end_frame - segment.start_frame >= _LONG
    return _evenly(segment, min(2 * searched + 1, config.faces) if long else searched)


def _near(frames: Sequence[int], segment: Segment, keys: Sequence[int]) -> list[int]:
    """Replace each frame by a key frame near it, if there is one: a key frame costs only one decoded frame."""
    reach = _NEAR * (segment.end_frame - segment.start_frame) / (len(frames) + 1)
    inside = [k for k in keys if segment.start_frame + 2 <= k < segment.end_frame - 2]
    close = {f: min(inside, key=lambda k: abs(k - f), default=f) for f in frames}
    return sorted({k if abs(k - f) <= reach else f for f, k in close.items()})


def _evenly(segment: Segment, count: int) -> list[int]:
    """Evenly spaced frames of a segment without its ends, which may be part of a blend."""
    count = min(segment.end_frame - segment.start_frame, count)
    frames = {int(v) for v in np.linspace(segment.start_frame, segment.end_frame - 1, count + 2)[1:-1]}
    return sorted(frames)


def _missing(reader: VideoReader, segments: Mapping[int, Segment], tracks: _Tracks) -> list[gaps.Gap]:
    """Find the gaps in which people are not found, and compare their panels there."""
    wanted = [g for s in segments.values() for p in s.people for g in gaps.between(s, p, tracks.of_person(s, p))]
    frames = sorted({f for g in wanted for f in (*g.inside, *g.beside)})
    shown: dict[int, Gray] = {f.frame_idx: f.gray for f in reader.sample(frames)} if frames else {}
    return [gaps.seen(gap, shown) for gap in wanted]


def _whole(
    segment: Segment, names: npt.NDArray[np.int64], boxes: npt.NDArray[np.float32], frame_size: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Boolean flags (N,) of faces that lie in their panels: a crop across an edge would show the neighboring panel."""
    frame = (0.0, 0.0, float(frame_size[0]), float(frame_size[1]))
    panels = {p.person_id: p.panel or frame for p in segment.people}
    share = [
        float(covered(as_boxes(box[None]), as_boxes([panels.get(name, frame)]))[0])
        for name, box in zip(names.tolist(), boxes, strict=True)
    ]
    return np.asarray(share) >= _WHOLE if share else np.zeros(0, bool)


@dataclass(frozen=True)
class _Tracks:
    """The rows of a track file, by frame."""

    frame: npt.NDArray[np.int64]
    name: npt.NDArray[np.int64]
    box: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]

    @classmethod
    def of(cls, root: Root, video_id: str) -> _Tracks:
        columns = ["frame_idx", "person_id", "x0", "y0", "x1", "y1", "score"]
        table = read_faces(root.files.local(root.tracks_key(video_id)), columns)
        frame = table["frame_idx"].to_numpy().astype(np.int64)
        order = np.argsort(frame, kind="stable")
        box = np.stack([table[n].to_numpy() for n in ("x0", "y0", "x1", "y1")], axis=1)
        return cls(
            frame[order],
            table["person_id"].to_numpy().astype(np.int64)[order],
            as_boxes(box)[order],
            table["score"].to_numpy().astype(np.float32)[order],
        )

    def at(self, frame_idx: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return (people, boxes, scores) of a frame."""
        low, high = np.searchsorted(self.frame, [frame_idx, frame_idx + 1])
        return self.name[low:high], self.box[low:high], self.score[low:high]

    def of_person(self, segment: Segment, person: Person) -> npt.NDArray[np.int64]:
        """Frames of a segment in which a person is found, ascending."""
        low, high = np.searchsorted(self.frame, [segment.start_frame, segment.end_frame])
        return np.asarray(self.frame[low:high][self.name[low:high] == person.person_id], np.int64)


def _look(
    frame: Frame, segment: Segment, names: npt.NDArray[np.int64], boxes: npt.NDArray[np.float32], nets: Nets
) -> screen.Look:
    gray = frame.gray
    places = [r.box for r in segment.trigger_regions] + [p.panel or p.box for p in segment.people]
    picture = pixels_of(frame)
    least = max(_LEAST_PX, _SMALLEST * picture.height)
    faces = cascade.search(nets, picture, (0, 0, picture.width, picture.height), least).boxes
    rooms = [scale_about_center(as_box(face), _ROOM) for face in faces]
    return screen.Look(
        frame.frame_idx, faces, boxes, names, *(tuple(thumb(gray, p) for p in part) for part in (places, rooms))
    )


def _compared(
    embedder: embedders.Embedder,
    frame: Frame,
    names: npt.NDArray[np.int64],
    boxes: npt.NDArray[np.float32],
    before: Sequence[identity.Sample],
    of: tuple[int, Segment],
    config: AuditConfig,
) -> Iterator[identity.Sample]:
    """Yield a frame's faces as samples, for people with fewer than `config.faces` samples in this segment."""
    number, segment = of
    panels = {p.person_id: p.panel for p in segment.people}
    have = [s.person_id for s in before if s.segment == number]
    rows = [row for row, name in enumerate(names.tolist()) if have.count(name) < config.faces]
    if not rows:
        return
    vectors = embedder.embed(frame.rgb, as_boxes(boxes[rows]))
    for row, vector in zip(rows, vectors, strict=True):
        x0, y0, x1, y1 = (round(float(v), 1) for v in boxes[row])
        panel = panels.get(int(names[row]))
        room = thumb(frame.gray, panel) if panel is not None else None
        yield identity.Sample(int(names[row]), frame.frame_idx, (x0, y0, x1, y1), vector, number, room)
