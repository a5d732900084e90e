"""Comparison of crops with the video: random frames are decoded again and cropped as in the export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rmset.fields import fitting
from rmset.layout_record import Layout
from rmset.parts.cropping import Crop
from rmset.parts.frames import Frame, Image
from rmset.parts.grid import Grid
from rmset.parts.pictures import PictureFormat, decode
from rmset.parts.plane_crops import ColorFrame, Picture, PlaneCrop, encoded, picture_of
from rmset.parts.shards import batches, read_faces
from rmset.read.video import reader_of
from rmset.records import StageRecord
from rmset.root import Root
from rmset.tombstones import BLANKED

# Mean difference, 0 to 255, of the same pixels encoded alike; the same face a moment later makes more. Where the ledger
# does not say how crops were encoded, or they were cut before the video was, encoding itself makes some.
_SAME, _SAME_UNKNOWN = 1.0, 6.0


@dataclass(frozen=True)
class Recropped:
    """Result for one video."""

    frames: int
    """looked at"""
    crops: int
    """compared"""
    wrong: tuple[tuple[int, int], ...]
    """(person, frame) of crops that differ from their frame"""
    missing: tuple[int, ...]
    """frames with crops that cannot be decoded"""


def recrop(root: Root, video_id: str, count: int) -> Recropped:
    """Decode `count` random frames with crops (the same ones every time), and compare.

    Raises:
        RmsetError: the video, its layout, tracks or crops cannot be read.
    """
    parts = root.files.keys(f"{root.crops_key(video_id)}/part-*.parquet")
    frames = np.unique(np.concatenate([np.empty(0, np.int64), *(_frames(root, key) for key in parts)]))
    seed = [int(b) for b in video_id.encode()]
    chosen = sorted(np.random.default_rng(seed).choice(frames, min(count, len(frames)), replace=False).tolist())
    stored = {key: image for part in parts for key, image in _stored(root, part, chosen)}
    faces = _faces(root, video_id, chosen)
    # A source in which somebody was made gray was encoded again after the export.
    again = BLANKED in root.record(video_id).notes
    cutter = _Cutter.of(root.layout(video_id), root.stage_record("export", video_id), again)
    wrong: list[tuple[int, int]] = []
    seen: set[int] = set()
    with reader_of(root, video_id) as reader:
        for frame in reader.sample(chosen):
            seen.add(frame.frame_idx)
            for (person, at), image in stored.items():
                if at == frame.frame_idx and not cutter.matches(frame, image, faces.get((person, at))):
                    wrong.append((person, at))
    return Recropped(len(chosen), len(stored), tuple(sorted(wrong)), tuple(f for f in chosen if f not in seen))


def _frames(root: Root, key: str) -> npt.NDArray[np.int64]:
    every = [batch["frame_idx"].to_numpy() for batch in batches(root.files.local(key), ["frame_idx"], 65536)]
    return np.concatenate([np.empty(0, np.int64), *every])


def _stored(root: Root, key: str, frames: Sequence[int]) -> list[tuple[tuple[int, int], Image]]:
    """Return the stored crops of some frames."""
    found: list[tuple[tuple[int, int], Image]] = []
    wanted = pa.array(frames, pa.int32())
    for batch in batches(root.files.local(key), ["person_id", "frame_idx", "image"], 256):
        some = batch.filter(pc.is_in(batch["frame_idx"], value_set=wanted))
        columns = (some["person_id"].to_pylist(), some["frame_idx"].to_pylist(), some["image"].field("bytes"))
        found += [((person, frame), decode(data.as_py())) for person, frame, data in zip(*columns, strict=True)]
    return found


def _faces(root: Root, video_id: str, frames: Sequence[int]) -> dict[tuple[int, int], dict[str, float]]:
    """(person, frame) -> segment and box of the faces of some frames."""
    names = ["person_id", "frame_idx", "segment", "x0", "y0", "x1", "y1"]
    table = read_faces(root.files.local(root.tracks_key(video_id)), names)
    table = table.filter(pc.is_in(table["frame_idx"], value_set=pa.array(frames, pa.int32())))
    return {(row["person_id"], row["frame_idx"]): row for row in table.to_pylist()}


@dataclass(frozen=True)
class _Cutter:
    """Crops faces with the settings of the export."""

    layout: Layout
    widen: float
    encoding: tuple[PictureFormat, int] | None
    """format and quality; None if the encoding of the crops is unknown"""
    grid: Grid | None
    """pixels in which the windows of the crops were rounded; None: those of the video"""
    most: float
    """mean difference that counts as the same, gray levels"""

    @classmethod
    def of(cls, layout: Layout, entry: StageRecord | None, again: bool) -> _Cutter:
        done = entry.standing if entry is not None else None
        if done is None:
            return cls(layout, 0.31, None, None, _SAME_UNKNOWN)
        config = done.config
        known = {"format", "quality"} <= config.keys()
        encoding = (config["format"], int(config["quality"])) if known else None
        before = "made_by" in config  # a generated world cuts crops while it draws
        most = _SAME_UNKNOWN if again or before or encoding is None else _SAME
        grid = Grid(**fitting(Grid, config["grid"])) if config.get("grid") else None
        return cls(layout, float(config.get("widen", 0.31)), encoding, grid, most)

    def matches(self, frame: Frame, stored: Image, face: dict[str, float] | None) -> bool:
        """Whether a crop matches its face row and frame, cut as this version does or as earlier ones did."""
        if face is None or int(face["segment"]) >= len(self.layout.segments):
            return False
        people = {p.person_id: p for p in self.layout.segments[int(face["segment"])].people}
        person = people.get(int(face["person_id"]))
        width, height = self.layout.frame_size
        whole = (0.0, 0.0, float(width), float(height))
        panel = person.panel if person is not None and person.panel is not None else whole
        box = (face["x0"], face["y0"], face["x1"], face["y1"])
        try:
            now = (
                self._image(picture.cut(box, panel, stored.shape[0], self.widen)) for picture in self._pictures(frame)
            )
            return any(float(np.abs(image.astype(np.int16) - stored).mean()) <= self.most for image in now)
        except ValueError:
            return False

    def _pictures(self, frame: Frame) -> Iterator[Picture]:
        if self.encoding is not None and self.encoding[0] == "jpeg":
            yield picture_of(frame, "jpeg", self.grid)
        yield ColorFrame(frame.rgb, self.grid)

    def _image(self, crop: Crop | PlaneCrop) -> Image:
        if self.encoding is not None:
            return decode(encoded(crop, *self.encoding))
        return crop.image if isinstance(crop, Crop) else decode(crop.jpeg(100))
