"""The counts of the paper's table, per video and in all, and what else describes a root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rmset.geometry import area, as_boxes
from rmset.progress import Progress, silent
from rmset.read.catalog import Catalog
from rmset.read.crops import CropStore
from rmset.store import Root

_PER_VIDEO = """
with f as (
  select video_id, count(*) faces, count(distinct person_id) people, count(distinct frame_idx) frames_with_faces,
    avg((y1 - y0) / (x1 - x0)) aspect, avg(y1 - y0) face_height, avg((source = 'interpolated')::int) interpolated
  from faces group by video_id),
c as (select video_id, count(*) crops from crops group by video_id)
select v.video_id, v.frame_count frames, coalesce(f.people, 0) people, coalesce(f.faces, 0) faces,
  coalesce(c.crops, 0) crops, f.faces / (f.people * v.frame_count) coverage, f.face_height, f.aspect, f.interpolated
from videos v left join f using (video_id) left join c using (video_id)
order by v.video_id
"""


@dataclass(frozen=True)
class PixelStatistics:
    """Mean and standard deviation of all pixels of all crops, per channel RGB, 0 to 1."""

    crops: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def per_video(root: Root, widen: float = 0.31) -> list[dict[str, Any]]:
    """One row per video: frames, people, faces, crops, coverage, face height and aspect before and after, masked share.

    Args:
        root: where to look.
        widen: Δw / w_f of the export, for the aspect after it.
    """
    rows = Catalog(root).sql(_PER_VIDEO).rows()
    for row in rows:
        row["aspect_after"] = None if row["aspect"] is None else row["aspect"] / (1 + widen)
        row["masked"] = masked_share(root, row["video_id"])
    return rows


def total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The paper's table: what the videos come to together; shares and ratios are means weighted by faces or frames."""
    faces, frames = (np.array([row[n] for row in rows], float) for n in ("faces", "frames"))

    def mean(name: str, weight: np.ndarray) -> float | None:
        values = np.array([np.nan if row[name] is None else row[name] for row in rows], float)
        known = ~np.isnan(values) & (weight > 0)
        return float(np.average(values[known], weights=weight[known])) if known.any() else None

    return {
        "video_id": f"all {len(rows)}",
        **{name: int(sum(row[name] for row in rows)) for name in ("frames", "people", "faces", "crops")},
        "coverage": mean("coverage", frames),
        **{name: mean(name, faces) for name in ("face_height", "aspect", "interpolated", "aspect_after")},
        "masked": mean("masked", frames),
    }


def masked_share(root: Root, video_id: str) -> float | None:
    """Share of all pixels of the video that its trigger regions remove, 0 to 1; None without a layout."""
    if not root.has_layout(video_id):
        return None
    layout = root.layout(video_id)
    frame = float(layout.frame_size[0] * layout.frame_size[1])
    frames = sum(s.end_frame - s.start_frame for s in layout.segments)
    removed = sum(
        float(area(as_boxes([r.box for r in s.trigger_regions])).sum()) / frame * (s.end_frame - s.start_frame)
        for s in layout.segments
    )
    return removed / frames if frames else None


def pixels(root: Root, progress: Progress = silent) -> PixelStatistics:
    """Mean and standard deviation over every pixel of every crop: exact, streamed.

    Sums are kept as integers, so the result does not depend on the order of the crops.
    """
    store = CropStore(root)
    first, second, count = np.zeros(3, np.uint64), np.zeros(3, np.uint64), 0
    levels = np.arange(256, dtype=np.uint64)
    for start in range(0, len(store), 256):
        rows = np.arange(start, min(start + 256, len(store)))
        for image in store.images(rows):
            flat = image.reshape(-1, 3)
            count += len(flat)
            for channel in range(3):
                histogram = np.bincount(flat[:, channel], minlength=256).astype(np.uint64)
                first[channel] += (histogram * levels).sum()
                second[channel] += (histogram * levels * levels).sum()
        progress("pixels", int(rows[-1]) + 1, len(store))
    mean = first / count / 255
    std = np.sqrt(np.maximum(second / count / 255**2 - mean**2, 0))
    return PixelStatistics(len(store), (mean[0], mean[1], mean[2]), (std[0], std[1], std[2]))
