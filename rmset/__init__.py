"""Unlabeled faces out of reaction mashup videos, for facial expression recognition.

    manifest ── fetch / add ──> videos/<id>.mp4, <id>.json
    videos ──── layout ───────> layouts/<id>.json             where the film plays, who reacts; reviewed by a person
    both ────── track ────────> tracks/<id>.parquet           one row per face and frame
    all three ─ export ───────> crops/<id>/part-NNN.parquet   one row per face, with pixels
    crops ───── pairs ────────> an anchor's positives (others, same moment) and negatives (same person, far away)

In Python:

    root = rmset.open("data/rmset")
    rmset.add(root, "mashup.mp4")
    rmset.build(root, jobs=2)
    root.crops()[1337].image
    for anchor, positives, negatives in root.pairs(d=5, d_far=30, seed=0).take(8): ...

Every public name is listed below and imported on first use, so `import rmset` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rmset import privacy

if TYPE_CHECKING:
    from rmset._build import add, build, export, propose, track
    from rmset._dataset import Dataset, RootStats, VideoPerson, open  # noqa: A004
    from rmset.errors import (
        DetectorError,
        FetchError,
        IncompleteError,
        LayoutError,
        ManifestError,
        QueryError,
        RmsetError,
        RootError,
        ShardError,
        UnreadableError,
        UsageError,
        VideoError,
    )
    from rmset.layout_record import Layout, Person, Segment, TriggerRegion
    from rmset.pipeline import Outcome
    from rmset.progress import Progress
    from rmset.read.result import Result
    from rmset.read.sequence import Crop, Crops, Pair, Pairs
    from rmset.records import VideoRecord
    from rmset.stages.export import ExportConfig
    from rmset.stages.layout import ProposeConfig
    from rmset.stages.track import TrackConfig

__all__ = [
    "Crop", "Crops", "Dataset", "DetectorError", "ExportConfig", "FetchError", "IncompleteError", "Layout",
    "LayoutError", "ManifestError", "Outcome", "Pair", "Pairs", "Person", "Progress", "ProposeConfig", "QueryError",
    "Result", "RmsetError", "RootError", "RootStats", "Segment", "ShardError", "TrackConfig", "TriggerRegion",
    "UnreadableError", "UsageError", "VideoError", "VideoPerson", "VideoRecord", "add", "build", "export", "open",
    "propose", "track",
]  # fmt: skip
__version__ = "0.1.0"

# before importing any library that reports usage over the network
privacy.opt_out()

_HOMES = {
    "_build": "add build export propose track",
    "_dataset": "Dataset RootStats VideoPerson open",
    "errors": "DetectorError FetchError IncompleteError LayoutError ManifestError QueryError RmsetError RootError "
    "ShardError UnreadableError UsageError VideoError",
    "layout_record": "Layout Person Segment TriggerRegion",
    "pipeline": "Outcome",
    "progress": "Progress",
    "read.result": "Result",
    "read.sequence": "Crop Crops Pair Pairs",
    "records": "VideoRecord",
    "stages.export": "ExportConfig",
    "stages.layout": "ProposeConfig",
    "stages.track": "TrackConfig",
}
"""Module -> the public names that it holds."""
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rmset' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"rmset.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
