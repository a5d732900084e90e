"""Add a composed mashup to a root as finished: video, layout, tracks, crops and ledger, as the stages leave them.

Boxes, panels and names are known, so no detector runs and no frame is decoded again. Crops are cut from the panels
before these are encoded. The root passes `rmset verify`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rmset import schema
from rmset.files import hash_of, sha256_of
from rmset.geometry import Boxes, as_boxes, clip, iou
from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.parts import cropping
from rmset.parts.pictures import SUFFIX, encoder
from rmset.parts.probe import probe
from rmset.parts.shards import CropWriter, write_faces
from rmset.progress import Progress, silent
from rmset.records import StageRecord, VideoRecord, local_video_id
from rmset.root import Root
from rmset.synth.acts import Act, compose_acts
from rmset.synth.layouts import PanelLayout
from rmset.synth.panels import PanelFrame, PanelSource
from rmset.truth import Truth, TruthFace

_QUALITY = 95
_NO_LANDMARKS = np.full((5, 2), np.nan)


@dataclass(frozen=True)
class Mashup:
    """One video to compose."""

    layout: PanelLayout
    people: Mapping[int, PanelSource]
    """person -> content of their panel, with a face in every frame"""
    film: PanelSource
    frames: int
    fps: float
    delays: Mapping[int, int] = field(default_factory=dict)
    """person -> delay of reactions, frames"""
    identities: Mapping[int, str] = field(default_factory=dict)
    """person -> name of the identity"""


@dataclass(frozen=True)
class Cut:
    """Settings of crops, named as in `rmset export`."""

    size: int = 64
    """px"""
    widen: float = 0.31
    """Δw / w_f; the paper's"""


def finish(
    root: Root, name: str, mashup: Mashup, cut: Cut, progress: Progress = silent, *, title: str | None = None
) -> str:
    """Compose a mashup into a root and write the results of all stages.

    The crops of one video are held in memory until its id, which is its hash, is known.

    Returns:
        The video's id.
    """
    crops = _Crops(cut)
    people = {person: _Watched(source, person, crops) for person, source in mashup.people.items()}
    with root.files.publish_folder("state/world") as folder:
        # Composed in a temporary folder, as the video's final name contains its hash.
        file = folder / f"{name}.mp4"
        truth = compose_acts(file, (Act(mashup.layout, mashup.frames),), people, mashup.film, mashup.fps, progress)
        truth = replace(truth, delays=dict(mashup.delays), identities=dict(mashup.identities))
        video_id = _take(root, file, name, title)
    root.files.remove("state/world")
    with root.files.publish(root.truth_key(video_id)) as path:
        truth.write(path)
    root.write_layout(_layout(video_id, truth))
    _ledger(root, "layout", video_id, [root.layout_key(video_id)], {"segments": 1, "people": len(people)}, {})
    with root.files.publish(root.tracks_key(video_id)) as path:
        write_faces(path, _face_table(video_id, truth))
    counts: dict[str, Any] = {"frames": mashup.frames, "faces": len(truth.faces), "people": len(people)}
    _ledger(root, "track", video_id, [root.tracks_key(video_id)], counts, {"stride": 1})
    with root.files.publish_folder(root.crops_key(video_id)) as folder, CropWriter(folder) as writer:
        for row in crops.rows(video_id, mashup.fps):
            writer.add(row)
    counts = {"crops": len(crops), "parts": len(writer.parts), "outside": len(truth.faces) - len(crops)}
    config = {"size": cut.size, "widen": cut.widen, "stride": 1, "quality": _QUALITY, "format": "jpeg"}
    _ledger(root, "export", video_id, root.files.keys(f"{root.crops_key(video_id)}/*.parquet"), counts, config)
    return video_id


class _Crops:
    """Encoded crops of one video, in drawing order: by frame and person."""

    def __init__(self, cut: Cut) -> None:
        self._cut, self._encode = cut, encoder("jpeg", _QUALITY)
        self._kept: list[tuple[int, int, cropping.EncodedCrop]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, person: int, index: int, shown: PanelFrame) -> None:
        """Cut the face out of a panel."""
        height, width = shown.image.shape[:2]
        bounds = (0.0, 0.0, float(width), float(height))
        if shown.box is not None and cropping.windows(shown.box, bounds, (width, height), self._cut.widen):
            crop = cropping.cut(shown.image, shown.box, bounds, self._cut.size, self._cut.widen)
            self._kept.append((person, index, cropping.EncodedCrop.of(crop, self._encode(crop.image))))

    def rows(self, video_id: str, fps: float) -> list[dict[str, Any]]:
        """Rows for a `CropWriter`."""
        return [
            cropping.crop_row(
                crop, self._cut.size, SUFFIX["jpeg"], video_id=video_id, person_id=person, segment=0, frame_idx=index,
                time_ms=1000 * index / fps, landmarks=_NO_LANDMARKS,
            )
            for person, index, crop in self._kept
        ]  # fmt: skip


class _Watched:
    """Panel source that cuts out each face when it is drawn."""

    def __init__(self, source: PanelSource, person: int, crops: _Crops) -> None:
        self._source, self._person, self._crops = source, person, crops

    def frame(self, index: int, size: tuple[int, int]) -> PanelFrame:
        """Return the content at a frame of the mashup."""
        shown = self._source.frame(index, size)
        self._crops.keep(self._person, index, shown)
        return shown

    def loop_points(self, frames: int) -> tuple[int, ...]:
        """Return the loop points of the source."""
        return self._source.loop_points(frames)


def _take(root: Root, file: Path, name: str, title: str | None) -> str:
    """Move the composed file into the root under its id; the record is written last."""
    found, sha256 = probe(file), sha256_of(file)
    video_id = local_video_id(name, sha256)
    record = VideoRecord(
        video_id=video_id, sha256=sha256, bytes=file.stat().st_size, title=title or name, **found.fields()
    )
    with root.files.publish(root.frames_key(video_id)) as target:
        found.index.write(target)
    with root.files.publish(f"videos/{video_id}.mp4") as target:
        file.replace(target)
    root.write_text(root.record_key(video_id), record.to_json())
    return video_id


def _layout(video_id: str, truth: Truth) -> Layout:
    """Return the truth as a reviewed layout, so that no proposal replaces it."""
    (segment,) = truth.segments
    first = {f.person: f.box for f in truth.faces if f.frame == segment.start_frame}
    crowd = tuple(Person(p, clip(first[p], panel), panel, "manual") for p, panel in segment.panels.items())
    films = tuple(TriggerRegion(box, "manual") for box in segment.trigger_regions)
    known = Segment(segment.start_frame, segment.end_frame, segment.start_frame, films, crowd, reviewed=True)
    return Layout(video_id, truth.frame_size, (known,))


def _face_table(video_id: str, truth: Truth) -> pa.Table:
    """Rows of `rmset.schema.faces()`, by person and frame, all with full confidence."""
    faces = sorted(truth.faces, key=lambda f: (f.person, f.frame))
    n = len(faces)
    box = as_boxes([f.box for f in faces])
    frame = np.array([f.frame for f in faces], np.int32)
    columns = {
        "video_id": pa.array([video_id] * n, pa.string()),
        "person_id": np.array([f.person for f in faces], np.int16),
        "part": np.zeros(n, np.int16),
        "segment": np.zeros(n, np.int16),
        "frame_idx": frame,
        "time_ms": 1000 * frame / truth.fps,
        **{name: np.ascontiguousarray(box[:, i]) for i, name in enumerate(("x0", "y0", "x1", "y1"))},
        "score": np.ones(n, np.float32),
        "source": pa.DictionaryArray.from_arrays(np.zeros(n, np.int8), [schema.DETECTED]),
        "iou_ref": _overlap_with_first(faces, box),
        # NaN rather than null: pyarrow before 26 cannot read null lists of a fixed size.
        "landmarks": pa.FixedSizeListArray.from_arrays(pa.array(np.full(10 * n, np.nan, np.float32)), 10),
    }
    return pa.table(columns, schema=schema.faces())


def _overlap_with_first(faces: Sequence[TruthFace], box: Boxes) -> np.ndarray:
    """IoU of each face with its person's first face, (N,)."""
    overlap = np.empty(len(faces), np.float32)
    person = np.array([f.person for f in faces])
    for who in np.unique(person):
        mine = np.flatnonzero(person == who)
        overlap[mine] = iou(box[mine[:1]], box[mine])[0]
    return overlap


def _ledger(
    root: Root, stage: str, video_id: str, keys: list[str], counts: dict[str, Any], config: dict[str, Any]
) -> None:
    """Write a ledger entry for generated results; its config differs from a stage's, so the stage can still run."""
    config = {"made_by": "rmset world", **config}
    outputs = {key: root.files.sha256(key) for key in keys}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    root.write_stage_record(
        StageRecord(stage, video_id, "done", hash_of(config), "", outputs, counts, config, finished=now)
    )
