"""Evaluate a model and verify that its predictions do not depend on the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rmset.progress import Progress, silent

from ..datasets.base import Split
from ..datasets.images import Images, decode, resized
from ..datasets.registry import images_of
from ..errors import InvarianceError, TrainingError
from ..labels import permutation
from ..models.image_size import require_test_scales
from ..models.inference import logits
from ..models.weights import load
from ..run_folder import RunFolder
from ..transforms.input_spec import InputSpec
from . import report
from .corruptions import corruption_rows
from .metrics import Scores, agreement, confusion_matrix, reliability
from .slices import slice_rows

TOLERANCE = 1e-3
"""Largest difference between two logits of one image explained by rounding, relative to the largest logit."""
_SAMPLE = 24


@dataclass(frozen=True)
class Invariance:
    """Largest change of logits when the batch changes around an image."""

    images: int
    """Sample size."""
    largest: float
    """Largest difference of a logit, relative to the largest logit."""


@dataclass(frozen=True)
class EvalResult:
    """Predictions of a network on a split, with scores."""

    scores: Scores
    """Scores from the confusion matrix."""
    split: Split
    """The images, in order."""
    probabilities: npt.NDArray[np.float64]
    """(N, K) in the split's label order; rows sum to 1."""

    def to_json(self) -> dict[str, Any]:
        """Scores, calibration, agreement with votes if there are any, and the most confident mistakes."""
        values = self.scores.to_json()
        values["calibration"] = reliability(self.probabilities, self.split.classes).to_json()
        if self.split.shares is not None and len(self.split):
            values["votes"] = agreement(self.split.shares.astype(np.float64), self.probabilities)
        values["mistakes"] = self.mistakes()
        return values

    def mistakes(self, most: int = 24) -> list[dict[str, Any]]:
        """List the wrong predictions of highest confidence."""
        predicted, confidence = self.probabilities.argmax(axis=1), self.probabilities.max(axis=1)
        wrong = np.flatnonzero(predicted != self.split.classes)
        classes = self.split.order.classes
        return [
            {
                "name": self.split.names[i], "true": classes[self.split.classes[i]],
                "predicted": classes[predicted[i]], "confidence": round(float(confidence[i]), 4),
            }
            for i in wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
        ]  # fmt: skip


def judge(
    model: nn.Module,
    labels: tuple[str, ...],
    spec: InputSpec,
    split: Split,
    images: Images,
    *,
    part: str = "",
    workers: int = 0,
    progress: Progress = silent,
    shared: bool = False,
) -> EvalResult:
    """Probabilities and scores of a network on a split, in the split's label order.

    Args:
        model: uint8-prepared images -> logits in the order of `labels`.
        labels: class of each output. Outputs for classes that the split lacks are left out.
        spec: what the model expects.
        split: names and true labels.
        images: the split's pixels, in its order.
        part: name in reports; default: the split.
        workers: processes that decode.
        progress: progress callback.
        shared: whether the processes of a data-parallel run share the work; all get the same result.
    """
    columns = permutation(labels, split.order.classes)
    k = len(split.order)
    found = logits(model, images, spec, workers=workers, progress=progress, shared=shared)
    probabilities = found[:, columns].double().softmax(dim=1).numpy() if len(split) else np.zeros((0, k))
    # argmax of logits, because probabilities can be equal after rounding
    predicted = found[:, columns].argmax(dim=1).numpy() if len(split) else np.zeros(0, dtype=np.int64)
    matrix = confusion_matrix(split.classes, predicted, k)
    scores = Scores(matrix, split.order.classes, part or f"{split.dataset}:{split.split}", split.rule)
    return EvalResult(scores, split, probabilities)


def thumbnails(judged: EvalResult, spec: InputSpec) -> dict[str, bytes]:
    """PNG files of the most confident mistakes, by name, for the local report."""
    gray = judged.split.gray
    found: dict[str, bytes] = {}
    for mistake in judged.mistakes():
        image = resized(decode(judged.split.source.get(mistake["name"]), mistake["name"], gray=gray), spec.size)
        found[mistake["name"]] = bytes(cv2.imencode(".png", image[:, :, ::-1])[1])
    return found


def check_invariance(model: nn.Module, spec: InputSpec, images: Images, seed: int = 0) -> Invariance:
    """Run a sample as one batch, in reverse order by sevens, and one by one; the logits must agree.

    Raises:
        InvarianceError: they differ: some layer depends on the batch.
        TrainingError: they are NaN or infinite: the training has diverged.
    """
    rng = np.random.default_rng([seed, 6])
    rows = rng.permutation(len(images))[:_SAMPLE].tolist()
    if not rows:
        return Invariance(0, 0.0)
    together = logits(model, images, spec, rows=rows)
    by_seven = logits(model, images, spec, rows=rows[::-1], batch_size=7).flip(0)
    alone = logits(model, images, spec, rows=rows, batch_size=1)
    if not torch.isfinite(together).all():
        raise TrainingError(
            "expected predictions that are numbers, found NaN or infinity in the logits of the finished network; try "
            "again with a lower `optim.lr`"
        )
    scale = together.abs().max().clamp_min(1.0)
    largest = float(torch.stack([(together - by_seven).abs(), (together - alone).abs()]).max() / scale)
    if not largest <= TOLERANCE:
        raise InvarianceError(
            f"expected predictions that do not depend on batch size, order or companions, found logits of the same "
            f"image that differ by {largest:.2g} of their size; is a layer still in training mode?"
        )
    return Invariance(len(rows), largest)


def evaluate_run(
    path: Path,
    split: Split,
    progress: Progress = silent,
    *,
    slices: bool = False,
    corruptions: bool = False,
    corrupted_images: int = 1000,
    flip_test: bool | None = None,
    test_scales: Sequence[float] | None = None,
) -> tuple[Scores, Invariance, dict[str, Any]]:
    """Evaluate a finished run on a split, after the invariance check on a sample.

    Args:
        path: a run folder.
        split: the images, as `training.data.split_of` opens them.
        progress: progress callback.
        slices: also count parts of the split: by light, sharpness, size, pose, subject.
        corruptions: also count corrupted images, seven kinds at five strengths.
        corrupted_images: most images used for that.
        flip_test: average an image and its horizontal flip; None: as the run.
        test_scales: average an image resized to each of these shares of its side; None: as the run. Slices and
            corruptions are kept in the run's files only if both are as the run.

    Returns:
        The scores, the result of the invariance check, and both as JSON values.

    Raises:
        UsageError: the network does not take images of a test scale.
    """
    folder = RunFolder.open(path)
    model, labels, spec = load(folder.weights)
    changes = []
    if flip_test not in (None, model.flip_test):
        model.flip_test = not model.flip_test
        changes.append("--flip-test" if flip_test else "--no-flip-test")
    if test_scales is not None and (wanted := tuple(test_scales)) != (model.test_scales or (1.0,)):
        require_test_scales(model, spec.size, wanted)
        model.test_scales = wanted
        changes.append(f"--test-scales {','.join(f'{scale:g}' for scale in wanted)}")
    images = images_of(split, spec)
    invariance = check_invariance(model, spec, images)
    judged = judge(model, labels, spec, split, images, progress=progress)
    scores = judged.scores
    more: dict[str, Any] = {}
    if slices and len(split):
        more["slices"] = slice_rows(split, judged.probabilities, progress)
    if corruptions and len(split):
        more["corruptions"] = corruption_rows(
            model, labels, spec, split, images, most=corrupted_images, progress=progress
        )  # fmt: skip
    if more and not changes:
        folder.note_robustness(scores.split, {"rule": scores.rule, **more})
    why = " ".join(["fertrain evaluate", *changes])
    times = folder.note_evaluation(scores.split, scores.rule, scores.overall_accuracy, why)
    report.recount(folder)
    values = {
        **judged.to_json(),
        **more,
        "times_counted": times,
        "flip_test": model.flip_test,
        "test_scales": list(model.test_scales or (1.0,)),
        "selected_on": folder.metrics()["selected_on"] if (path / "metrics.json").exists() else None,
        "run": str(path),
        "invariance": {"images": invariance.images, "largest_difference": invariance.largest},
    }
    return scores, invariance, values
