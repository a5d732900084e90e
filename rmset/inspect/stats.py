"""Counts as in the paper's table, per video and overall, and distributions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.progress import Progress, silent
from rmset.read.catalog import Catalog
from rmset.read.crops import CropStore
from rmset.read.index import kept_index
from rmset.read.persons import read_persons
from rmset.root import Root

# Group by person first: counting rows costs half as much as counting distinct people among all faces.
_PER_VIDEO = """
with p as (
  select video_id, person_id, count(*) faces, sum((y1 - y0) / (x1 - x0)) aspect, sum(y1 - y0) height,
    count(*) filter (source = 'interpolated') interpolated, max(part) gaps
  from faces group by video_id, person_id),
f as (
  select video_id, sum(faces)::bigint faces, count(*) people, sum(aspect) / sum(faces) aspect,
    sum(height) / sum(faces) face_height, sum(interpolated) / sum(faces) interpolated,
    sum(gaps)::bigint gaps
  from p group by video_id),
r as (
  select video_id, segment, sum((x1 - x0) * (y1 - y0)) removed from regions group by video_id, segment),
m as (
  select s.video_id,
    sum(coalesce(r.removed, 0) * (s.end_frame - s.start_frame)) / sum(s.end_frame - s.start_frame) removed
  from segments s left join r using (video_id, segment) group by s.video_id)
select v.video_id, v.frame_count frames, coalesce(f.people, 0) people, coalesce(f.faces, 0) faces,
  f.faces / (f.people * v.frame_count) coverage, f.face_height, f.aspect, f.interpolated,
  coalesce(f.gaps, 0) gaps,
  m.removed / (v.width * v.height) masked
from videos v left join f using (video_id) left join m using (video_id)
order by v.video_id
"""
_CROPS = "select video_id, count(*) crops from crops group by video_id"
_BINS = {
    "face height, px": ("faces", "y1 - y0", 10.0),
    "face aspect h / w": ("faces", "(y1 - y0) / (x1 - x0)", 0.05),
    "detection score": ("faces", "score", 0.02),
    "IoU with the reference box": ("faces", "iou_ref", 0.05),
    "sharpness, log10": ("crops", "log10(greatest(sharpness, 0.1))", 0.1),
    "brightness": ("crops", "brightness", 0.02),
    "yaw": ("crops", "yaw", 0.05),
    "padding": ("crops", "padding", 0.02),
    "bytes of a picture": ("crops", "encoded_size", 1000.0),
}
_CHUNK = 128


@dataclass(frozen=True)
class PixelStatistics:
    """Mean and standard deviation of all pixels of all crops, per channel RGB, 0 to 1."""

    crops: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Histogram:
    """Histogram of a quantity."""

    name: str
    width: float
    """of a bin"""
    left: npt.NDArray[np.float64]
    """(n,) left edges of the bins that are not empty, ascending"""
    count: npt.NDArray[np.int64]
    """(n,)"""


def per_video(root: Root, widen: float = 0.31) -> list[dict[str, Any]]:
    """One row per video: frames, people, faces, crops, coverage, face height and aspect before and after, masked share.

    `gaps` counts interruptions of tracks; `interpolated` is the share of faces that bridge shorter gaps.

    Args:
        root: data set.
        widen: Δw / w_f of the export, for the aspect after it.
    """
    catalog = Catalog(root)
    found = catalog.run(_PER_VIDEO).rows()
    crops = _crops(root, catalog)
    rows = []
    for row in found:
        head = {name: row.pop(name) for name in ("video_id", "frames", "people", "faces")}
        after = None if row["aspect"] is None else row["aspect"] / (1 + widen)
        masked = row.pop("masked")
        rows.append({**head, "crops": crops.get(head["video_id"], 0), **row, "aspect_after": after, "masked": masked})
    return rows


def _crops(root: Root, catalog: Catalog) -> dict[str, int]:
    """Count the crops per video: from the index if there is one, which avoids reading every shard's footer."""
    index = kept_index(root)
    if index is None:
        return {row["video_id"]: row["crops"] for row in catalog.run(_CROPS).rows()}
    counts: dict[str, int] = {}
    for shard, rows in zip(index.shards, np.diff(index.first_row).tolist(), strict=True):
        counts[shard.video_id] = counts.get(shard.video_id, 0) + rows
    return counts


def persons(root: Root) -> int | None:
    """Count the people of all videos, each once (`rmset people link`); None if they were not linked."""
    known = read_persons(root)
    if not len(known):
        return None
    tracks = Catalog(root).run("select distinct video_id, person_id from faces").rows()
    return len({known.key_of(row["video_id"], row["person_id"]) for row in tracks})


def total(rows: list[dict[str, Any]], persons: int | None = None) -> dict[str, Any]:
    """Sum the videos to the paper's table; shares and ratios are means weighted by faces or frames.

    Args:
        rows: of `per_video`.
        persons: people of all videos, each counted once; `people` counts them once per video.
    """
    faces, frames = (np.array([row[n] for row in rows], float) for n in ("faces", "frames"))

    def mean(name: str, weight: np.ndarray) -> float | None:
        values = np.array([np.nan if row[name] is None else row[name] for row in rows], float)
        known = ~np.isnan(values) & (weight > 0)
        return float(np.average(values[known], weights=weight[known])) if known.any() else None

    return {
        "video_id": f"all {len(rows)}",
        **{name: int(sum(row[name] for row in rows)) for name in ("frames", "people", "faces", "crops")},
        "gaps": int(sum(row["gaps"] for row in rows)),
        "coverage": mean("coverage", frames),
        **{name: mean(name, faces) for name in ("face_height", "aspect", "interpolated", "aspect_after")},
        "masked": mean("masked", frames),
        **({} if persons is None else {"persons": persons}),
    }


def distributions(root: Root) -> list[Histogram]:
    """Exact histograms of faces and crops, computed by DuckDB; a quantity without values is left out."""
    catalog = Catalog(root)
    found = []
    for name, (table, value, width) in _BINS.items():
        rows = catalog.run(
            f"select floor(({value}) / {width})::bigint as bin, count(*) as n from {table} "  # noqa: S608  (our own text)
            f"where isfinite({value}::double) group by 1 order by 1"
        ).rows()
        if rows:
            left = np.array([row["bin"] for row in rows], np.float64) * width
            found.append(Histogram(name, width, left, np.array([row["n"] for row in rows], np.int64)))
    return found


def pixels(root: Root, progress: Progress = silent, threads: int = 2) -> PixelStatistics:
    """Mean and standard deviation over every pixel of every crop: exact, streamed.

    Pixels are counted by value, in integers, so the result depends neither on the order of the crops nor on threads.
    """
    store = CropStore(root)
    if not len(store):
        return PixelStatistics(0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    counted = np.zeros((3, 256), np.uint64)
    done = 0
    with ThreadPoolExecutor(threads) as pool:
        # One chunk per thread, to bound memory.
        for low in range(0, len(store), _CHUNK * threads):
            high = min(low + _CHUNK * threads, len(store))
            chunks = [np.arange(a, min(a + _CHUNK, high)) for a in range(low, high, _CHUNK)]
            for part in pool.map(lambda rows: _values(store, rows), chunks):
                counted += part
            done = high
            progress("pixels", done, len(store))
    levels = np.arange(256, dtype=np.uint64)
    count = counted.sum(axis=1)
    mean = (counted @ levels) / count / 255
    std = np.sqrt(np.maximum((counted @ (levels * levels)) / count / 255**2 - mean**2, 0))
    return PixelStatistics(len(store), _triple(mean), _triple(std))


def _values(store: CropStore, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Histogram of values per channel of these crops, (3, 256)."""
    import cv2

    counted = np.zeros((3, 256), np.uint64)
    for data, row in zip(store.read(rows), rows.tolist(), strict=True):
        image = store.picture(data, row)
        for channel in range(3):
            # Counts of one picture are whole numbers far below 2²⁴: float32 holds them exactly.
            histogram = cv2.calcHist([image], [channel], None, [256], [0, 256])
            counted[channel] += histogram.reshape(-1).astype(np.uint64)
    return counted


def _triple(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
