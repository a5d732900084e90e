"""Prediction on your own pictures and videos: find faces, crop as in training, probabilities of each face.

image or frame -> detector -> rmset.parts.cropping.cut -> the run's input spec -> probabilities
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from rmset.errors import UsageError
from rmset.geometry import Box
from rmset.parts.cropping import cut
from rmset.parts.detect import Detector
from rmset.parts.probe import VIDEO_SUFFIXES

from ..datasets.images import decode, resized
from ..datasets.sources import SUFFIXES, FolderBytes, files_below
from ..models.classifier import Classifier
from ..models.inference import eval_mode
from ..transforms.input_spec import InputSpec

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Frame:
    """A picture, or a frame of a video."""

    file: str
    """Path as the user gave it."""
    frame: int
    """From 0; 0 for a picture."""
    time_ms: float
    """Time since the start of the video; 0 for a picture."""
    image: Pixels
    """uint8 (H, W, 3), RGB."""


@dataclass(frozen=True)
class Prediction:
    """One face."""

    frame: Frame
    """Its picture or frame."""
    face: int
    """Number within the frame, most confident detection first."""
    box: Box
    """xyxy, px."""
    score: float
    """Confidence of the detector, 0 to 1; 1 where the whole image was used."""
    probabilities: tuple[float, ...]
    """Probabilities in the run's label order."""
    person: int | None = None
    """Number of the person within the video, from 0, if people were followed; of a root its person_id."""
    smoothed_s: float = 0.0
    """Seconds over which the probabilities were averaged; 0: those of this frame alone."""

    @property
    def entropy(self) -> float:
        """Entropy of the probabilities, nats: 0 if sure, log K if not at all."""
        return -sum(p * math.log(p) for p in self.probabilities if p > 0)


@dataclass(frozen=True)
class Found:
    """A face before it is predicted."""

    frame: Frame
    """Its picture or frame, without pixels, which would fill the memory."""
    face: int
    """Number within the frame."""
    box: Box
    """xyxy, px."""
    score: float
    """Confidence of the detector."""
    crop: Pixels
    """uint8 (S, S, 3), of the network's size."""
    person: int | None = None
    """Number of the person, if people are followed."""


def files_in(target: Path) -> list[Path]:
    """Return the pictures and videos of a folder (sorted, recursive), or the one file.

    Raises:
        UsageError: there is nothing at `target`, or no picture or video in it.
    """
    if target.is_dir():
        files = sorted(p for p in files_below(target) if p.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES)
        if not files:
            raise UsageError(f"expected images or videos in {target}, found none")
        return files
    if target.is_file():
        return [target]
    raise UsageError(f"expected an image, a folder or a video, found none at {target}")


def picture(file: Path) -> Frame:
    """Read a picture.

    Raises:
        DatasetError: it is not an image.
    """
    return Frame(str(file), 0, 0.0, decode(FolderBytes(file.parent).get(file.name), str(file), gray=False))


def predicted(
    model: Classifier, spec: InputSpec, found: Iterable[Found], *, temperature: float = 1.0, batch: int = 64
) -> Iterator[Prediction]:
    """Yield the prediction of each face, in order.

    Args:
        model: network of a run.
        spec: its input spec.
        found: faces.
        temperature: probabilities are softmax(logits / temperature).
        batch: faces per forward pass; does not affect predictions.
    """
    faces = iter(found)
    while waiting := list(islice(faces, batch)):
        yield from _judged(model, spec, waiting, temperature)


def crop_widening(spec: InputSpec, asked: float | None = None) -> float:
    """Margin of a crop as a share of the face's width: as asked, else that of the training data, else the paper's."""
    return next(w for w in (asked, spec.widen, 0.31) if w is not None)


def faces_of(
    frame: Frame, spec: InputSpec, detector: Detector | None, min_face: float, widen: float
) -> Iterator[Found]:
    """Find the faces of a picture; without a detector, the picture itself."""
    height, width = frame.image.shape[:2]
    whole: Box = (0.0, 0.0, float(width), float(height))
    light = without_pixels(frame)
    if detector is None:
        yield Found(light, 0, whole, 1.0, resized(frame.image, spec.size))
        return
    found = detector.detect(frame.image, min_face)
    for k, (box, score) in enumerate(zip(found.boxes.tolist(), found.scores.tolist(), strict=True)):
        xyxy: Box = (box[0], box[1], box[2], box[3])
        yield Found(light, k, xyxy, float(score), cut(frame.image, xyxy, whole, spec.size, widen).image)


def without_pixels(frame: Frame) -> Frame:
    """Return a frame's place alone."""
    return Frame(frame.file, frame.frame, frame.time_ms, np.empty((0, 0, 3), np.uint8))


def _judged(model: Classifier, spec: InputSpec, waiting: Sequence[Found], temperature: float) -> Iterator[Prediction]:
    pixels = torch.from_numpy(np.stack([face.crop for face in waiting])).permute(0, 3, 1, 2).contiguous()
    device = next(model.parameters()).device
    with eval_mode(model):
        found = (model.test_logits(spec.prepare(pixels.to(device))).double() / temperature).softmax(dim=1).cpu()
    for face, row in zip(waiting, found.tolist(), strict=True):
        yield Prediction(face.frame, face.face, face.box, face.score, tuple(row), face.person)
