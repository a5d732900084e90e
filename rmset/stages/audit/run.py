"""From a tracked video to `audit/<video_id>.json`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from rmset.answers import PERSON, Answer, Audit, Rename
from rmset.errors import RootError, UsageError
from rmset.geometry import as_boxes, covered, pixels
from rmset.layout_record import Segment
from rmset.parts import identity as embedders
from rmset.parts.detect import Detector, load
from rmset.parts.detect.screen import faces_on
from rmset.parts.frames import Frame, VideoReader
from rmset.parts.shards import read_faces
from rmset.progress import Progress, silent
from rmset.root import Root
from rmset.stages.audit import identity, screen

# One detector and one embedder a process: making them takes longer than auditing a short video.
_detector = cache(load)
_embedder = cache(embedders.load)
# (width, height) of the small pictures by which a place is compared with itself.
_THUMB = (24, 14)
# A face that is compared lies in its panel with so much of its box.
_WHOLE = 0.92


@dataclass(frozen=True)
class AuditConfig:
    """What decides the answers."""

    every: int = 300
    """one frame in so many is looked at"""
    fewest: int = 4
    """frames of a segment that are looked at, at least, if it has so many"""
    faces: int = 12
    """faces of a person in a segment that are compared, at most"""
    least_face: float = 28
    """height of the smallest face that is compared, px"""
    least_score: float = 0.9
    """of the faces that are compared"""
    embedder: str = embedders.NONE
    """`dlib`, a file that ends in .onnx or .pt, or `none`; the command line resolves `auto` before it comes here"""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.every < 1 or self.fewest < 1 or self.faces < 2:
            raise UsageError("expected every and fewest of 1 or more and faces of 2 or more")
        embedders.resolve(self.embedder)


def run(root: Root, video_id: str, config: AuditConfig, progress: Progress = silent) -> dict[str, float | str]:
    """Ask about one video and publish `audit/<video_id>.json`.

    Returns:
        How many frames and faces were looked at, what is left of the confidence, and the worst answer, if one is bad.

    Raises:
        RootError: the video has no tracks.
        VideoError: the video cannot be decoded.
    """
    layout = root.layout(video_id)
    if not root.files.exists(root.tracks_key(video_id)):
        raise RootError(f"video {video_id}: has no tracks yet; run `rmset track {video_id}` first")
    tracks = _Tracks.of(root, video_id)
    embedder = _embedder(config.embedder)
    chosen = {n: frames for n, s in enumerate(layout.segments) if (frames := _frames(s, config))}
    detector = _detector("mtcnn")
    looks: dict[int, list[screen.Look]] = {n: [] for n in chosen}
    samples: list[identity.Sample] = []
    segment_of = {frame: n for n, frames in chosen.items() for frame in frames}
    with VideoReader(root.video_path(video_id)) as reader:
        for done, frame in enumerate(reader.sample(sorted(segment_of))):
            number = segment_of[frame.frame_idx]
            segment = layout.segments[number]
            names, boxes, scores = tracks.at(frame.frame_idx)
            looks[number].append(_look(frame, segment, names, boxes, detector))
            if embedder is not None:
                sharp = (scores >= config.least_score) & (boxes[:, 3] - boxes[:, 1] >= config.least_face)
                sharp &= _whole(segment, names, boxes, layout.frame_size)
                samples += _compared(embedder, frame, names[sharp], boxes[sharp], samples, number, config)
            progress(f"audit {video_id}", done, len(segment_of))
    answers = screen.ask([(layout.segments[n], found) for n, found in looks.items()])
    renames: list[Rename] = []
    if embedder is None:
        answers.append(Answer(PERSON, "not asked", None, "no embedder; `pip install 'rmset[identity]'`"))
    else:
        more, renames = identity.ask(samples, embedder.same, embedder.other)
        answers += more
    name = embedder.name if embedder else None
    audit = Audit(video_id, name, len(segment_of), len(samples), tuple(answers), tuple(renames))
    root.write_text(root.audit_key(video_id), audit.to_json())
    return _counts(audit)


def _counts(audit: Audit) -> dict[str, float | str]:
    counts: dict[str, float | str] = {"frames": audit.frames, "faces": audit.faces, "confidence": audit.confidence}
    worst = min((a for a in audit.answers if a.good is False), key=lambda a: a.confidence, default=None)
    if worst is not None:
        counts["worst"] = f"{worst.question}: {worst.answer}, {worst.detail}"
    return counts


def _frames(segment: Segment, config: AuditConfig) -> list[int]:
    """Frames of a segment to look at, evenly; none in empty segments."""
    length = segment.end_frame - segment.start_frame
    if not segment.people:
        return []
    count = min(length, max(config.fewest, length // config.every))
    # Between, not at the ends: the frames beside a boundary may still be blending.
    return sorted({int(v) for v in np.linspace(segment.start_frame, segment.end_frame - 1, count + 2)[1:-1]})


def _whole(
    segment: Segment, names: npt.NDArray[np.int64], boxes: npt.NDArray[np.float32], frame_size: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Which faces (N,) lie in their panels: the rest of a cut face would be what is beside the panel."""
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
        """(people, boxes, scores) of a frame."""
        low, high = np.searchsorted(self.frame, [frame_idx, frame_idx + 1])
        return self.name[low:high], self.box[low:high], self.score[low:high]


def _look(
    frame: Frame, segment: Segment, names: npt.NDArray[np.int64], boxes: npt.NDArray[np.float32], detector: Detector
) -> screen.Look:
    gray = frame.gray
    places = [r.box for r in segment.trigger_regions] + [p.panel or p.box for p in segment.people]
    thumbs = []
    for place in places:
        x0, y0, x1, y1 = pixels(place, (gray.shape[1], gray.shape[0]))
        small = cv2.resize(gray[y0:y1, x0:x1], _THUMB, interpolation=cv2.INTER_AREA)
        thumbs.append(np.asarray(small, np.float32))
    return screen.Look(frame.frame_idx, faces_on(frame.rgb, detector).boxes, boxes, names, tuple(thumbs))


def _compared(
    embedder: embedders.Embedder,
    frame: Frame,
    names: npt.NDArray[np.int64],
    boxes: npt.NDArray[np.float32],
    before: Sequence[identity.Sample],
    segment: int,
    config: AuditConfig,
) -> Iterator[identity.Sample]:
    """Faces of the frame as samples, of people who do not have enough of this segment."""
    have = [s.person_id for s in before if s.segment == segment]
    rows = [row for row, name in enumerate(names.tolist()) if have.count(name) < config.faces]
    if not rows:
        return
    vectors = embedder.embed(frame.rgb, as_boxes(boxes[rows]))
    for row, vector in zip(rows, vectors, strict=True):
        x0, y0, x1, y1 = (round(float(v), 1) for v in boxes[row])
        yield identity.Sample(int(names[row]), frame.frame_idx, (x0, y0, x1, y1), vector, segment)
