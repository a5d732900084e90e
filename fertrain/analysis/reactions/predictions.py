"""Probabilities of every crop of a root, written to `predictions/<run>/<video_id>.parquet` of the root.

The crops are prepared as `Run.extract` does: with the root's own mean and std. A file records what it was made from
(weights, mean and std, export), so a second call predicts only what has changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.files import sha256_of
from rmset.progress import Progress, silent
from rmset.read.predictions import made_from, read_predictions, run_name, write_predictions
from rmset.root import Root

from ...errors import FertrainError
from ...evaluation.features import OpenedRun, extract, on_root, open_run
from ...unlabeled.crops import CropDataset, Crops, open_crops


@dataclass(frozen=True)
class Predicted:
    """Predictions of one video, in the order of person and frame."""

    video_id: str
    person: npt.NDArray[np.int64]
    """(n,) person_id."""
    frame: npt.NDArray[np.int64]
    """(n,) frame_idx."""
    time_ms: npt.NDArray[np.float64]
    """(n,) time of the frame."""
    probabilities: npt.NDArray[np.float64]
    """(n, K)."""
    rows: npt.NDArray[np.int64]
    """(n,) the crops' rows in the root's store."""


def predict_root(
    path: Path, root: Root, name: str | None = None, *, workers: int = 0, progress: Progress = silent
) -> tuple[OpenedRun, Crops, list[Predicted]]:
    """Predict all crops of a root and write the predictions into it.

    Args:
        path: a run folder.
        root: the data set, exported.
        name: name of the run in the root; default: the folder's.
        workers: processes that decode.
        progress: progress callback.

    Raises:
        UsageError: there is no run, or its name cannot be that of a folder in the root.
        RootError: the root has no crops, or another process works on a video.
        FertrainError: a video changed meanwhile.
    """
    run = open_run(path)
    name = run_name(name or run.name)
    crops = open_crops(root)
    images, spec = on_root(run, lambda own: CropDataset.for_spec(crops, own))
    common = {
        "run": name, "labels": list(run.labels), "weights_sha256": sha256_of(run.folder.weights),
        "mean": list(spec.mean), "std": list(spec.std),
    }  # fmt: skip
    exports = {video_id: root.export_hash(video_id) for video_id in crops.keys.video_ids}
    found = []
    for number, video_id in enumerate(crops.keys.video_ids):
        rows = crops.keys.rows_of(number)
        rows = rows[np.lexsort((crops.keys.frame[rows], crops.keys.person[rows]))]
        origin: dict[str, Any] = {**common, "export": exports[video_id]}
        person, frame = crops.keys.person[rows].astype(np.int64), crops.keys.frame[rows].astype(np.int64)
        with root.files.lock(video_id):
            # the crops may have been exported again, or some removed, since they were listed
            if video_id in root.removed().hidden or root.export_hash(video_id) != exports[video_id]:
                raise FertrainError(f"expected the crops of {video_id} as they were, found others; run it again")
            probabilities = _kept(root, name, video_id, origin, person, frame, run.labels)
            if probabilities is None:
                seen = extract(
                    run.model, run.projection, images, spec, rows.tolist(), workers=workers, progress=progress
                ).probabilities.double().numpy()  # fmt: skip
                write_predictions(root, name, video_id, person, frame, seen, run.labels, origin)
                # as a later call reads them
                probabilities = seen.astype(np.float32).astype(np.float64)
        time_ms = crops.keys.time_ms[rows].astype(np.float64)
        own = rows if crops.rows is None else crops.rows[rows]
        found.append(Predicted(video_id, person, frame, time_ms, probabilities, own))
    return run, crops, found


def _kept(
    root: Root, name: str, video_id: str, origin: Mapping[str, Any], person: npt.NDArray[np.int64],
    frame: npt.NDArray[np.int64], labels: Sequence[str],
) -> npt.NDArray[np.float64] | None:  # fmt: skip
    """Predictions of an earlier call; None if they are missing, damaged, or of something else."""
    path = root.files.local(root.predictions_key(name, video_id))
    if made_from(path) != origin:
        return None
    table = read_predictions(path)
    if not (
        np.array_equal(table["person_id"].to_numpy(), person) and np.array_equal(table["frame_idx"].to_numpy(), frame)
    ):
        return None
    return np.stack([table[label].to_numpy() for label in labels], axis=1).astype(np.float64)
