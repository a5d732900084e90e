"""Prediction on your own pictures and videos: detect faces, crop as in training, one row per face.

image or frame -> detector -> rmset.parts.cropping.cut -> the run's input spec -> probabilities
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt
import torch

from rmset.errors import RmsetError, UsageError, VideoError
from rmset.geometry import Box
from rmset.parts.cropping import cut
from rmset.parts.detect import Detector
from rmset.parts.frames import VideoReader
from rmset.parts.probe import VIDEO_SUFFIXES, probe
from rmset.progress import Progress, silent

from ..datasets.images import decode, resized
from ..datasets.sources import SUFFIXES, FolderBytes, files_below
from ..errors import DatasetError
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


def _raised(error: RmsetError) -> None:
    raise error


def frames_of(
    target: Path, stride: int = 1, progress: Progress = silent, tell: Callable[[RmsetError], None] = _raised
) -> Iterator[Frame]:
    """Yield the pictures of a folder (sorted, recursive), one picture, or every `stride`-th frame of a video.

    Args:
        target: the folder or file.
        stride: of videos, in frames.
        progress: progress callback on files, or on the frames of a single video.
        tell: callback for errors: an unreadable file of a folder is skipped, and of a truncated video the frames so
            far are used. The default raises the error.

    Raises:
        UsageError: there is nothing at `target`, or no picture or video in it.
        DatasetError: `target` is one file, and not an image.
        VideoError: `target` is one file, and not a video.
    """
    if target.is_dir():
        files = sorted(p for p in files_below(target) if p.suffix.lower() in SUFFIXES | VIDEO_SUFFIXES)
        if not files:
            raise UsageError(f"expected images or videos in {target}, found none")
    elif target.is_file():
        files = [target]
    else:
        raise UsageError(f"expected an image, a folder or a video, found none at {target}")
    alone = target.is_file()
    for done, file in enumerate(files, start=1):
        try:
            if file.suffix.lower() in VIDEO_SUFFIXES:
                yield from _film(file, stride, progress if alone else silent, tell)
            else:
                image = decode(FolderBytes(file.parent).get(file.name), str(file), gray=False)
                yield Frame(str(file), 0, 0.0, image)
        except (DatasetError, VideoError) as error:
            if alone:
                raise
            tell(error)
        if not alone:
            progress("predict", done, len(files))


def _film(file: Path, stride: int, progress: Progress, tell: Callable[[RmsetError], None]) -> Iterator[Frame]:
    """Yield every `stride`-th frame; report missing frames at the end."""
    seen = probe(file)
    with VideoReader(file, index=seen.index) as reader:
        for frame in reader.frames(stride=stride):
            yield Frame(str(file), frame.frame_idx, frame.time_ms, frame.rgb)
            progress("predict", frame.frame_idx + 1, seen.frame_count)
    # the decoder's error names where it stopped; lost packets alone are not an error
    if fault := reader.fault or seen.fault:
        tell(VideoError(f"{file}: {fault}; the frames up to there are used"))


def predict(
    model: Classifier,
    spec: InputSpec,
    frames: Iterator[Frame],
    detector: Detector | None,
    *,
    min_face: float = 40,
    widen: float = 0.31,
    batch: int = 64,
) -> Iterator[Prediction]:
    """Yield every face of every frame, in order.

    Args:
        model: network of a run.
        spec: its input spec.
        frames: pictures.
        detector: face detector; None uses each picture whole, for sets that are already cropped.
        min_face: smallest face to look for, px.
        widen: margin of the crop as a share of the face's width, as in `rmset export` and `datasets align`.
        batch: faces per forward pass; does not affect predictions.
    """
    waiting: list[tuple[Frame, int, Box, float, Pixels]] = []
    for frame in frames:
        waiting += _faces(frame, spec, detector, min_face, widen)
        if len(waiting) >= batch:
            yield from _judged(model, spec, waiting)
            waiting = []
    yield from _judged(model, spec, waiting)


def crop_widening(spec: InputSpec, asked: float | None = None) -> float:
    """Margin of a crop as a share of the face's width: as asked, else that of the training data, else the paper's."""
    return next(w for w in (asked, spec.widen, 0.31) if w is not None)


def _faces(
    frame: Frame, spec: InputSpec, detector: Detector | None, min_face: float, widen: float
) -> list[tuple[Frame, int, Box, float, Pixels]]:
    height, width = frame.image.shape[:2]
    whole: Box = (0.0, 0.0, float(width), float(height))
    # keep the frame's place without its pixels, which would fill the memory
    light = Frame(frame.file, frame.frame, frame.time_ms, np.empty((0, 0, 3), np.uint8))
    if detector is None:
        return [(light, 0, whole, 1.0, resized(frame.image, spec.size))]
    found = detector.detect(frame.image, min_face)
    faces = []
    for k, (box, score) in enumerate(zip(found.boxes.tolist(), found.scores.tolist(), strict=True)):
        xyxy: Box = (box[0], box[1], box[2], box[3])
        faces.append((light, k, xyxy, float(score), cut(frame.image, xyxy, whole, spec.size, widen).image))
    return faces


def _judged(
    model: Classifier, spec: InputSpec, waiting: Sequence[tuple[Frame, int, Box, float, Pixels]]
) -> Iterator[Prediction]:
    if not waiting:
        return
    pixels = torch.from_numpy(np.stack([face[4] for face in waiting])).permute(0, 3, 1, 2).contiguous()
    device = next(model.parameters()).device
    with eval_mode(model):
        found = model(spec.prepare(pixels.to(device))).double().softmax(dim=1).cpu()
    for (frame, face, box, score, _), row in zip(waiting, found.tolist(), strict=True):
        yield Prediction(frame, face, box, score, tuple(row))


def _named(file: str) -> str:
    """Return a path that spreadsheets do not read as a formula and any encoding can store; it still opens the file.

    >>> _named("=sum.jpg"), _named("faces/=sum.jpg")
    ('./=sum.jpg', 'faces/=sum.jpg')
    """
    text = os.fsencode(file).decode("utf-8", "backslashreplace")
    return f"./{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def write_csv(predictions: Iterator[Prediction], labels: Sequence[str], stream: TextIO) -> dict[str, int]:
    """Write one row per face as they come; returns how often each class was the most probable.

    Columns: file, frame, time_ms, face, x0, y0, x1, y1, score, label, confidence, then one per class.
    """
    writer = csv.writer(stream, lineterminator="\n")
    head = ["file", "frame", "time_ms", "face", "x0", "y0", "x1", "y1", "score", "label", "confidence", *labels]
    writer.writerow(head)
    counts = dict.fromkeys(labels, 0)
    for p in predictions:
        k = int(np.argmax(p.probabilities))
        counts[labels[k]] += 1
        row: list[Any] = [_named(p.frame.file), p.frame.frame, f"{p.frame.time_ms:.3f}", p.face]
        row += [f"{v:.2f}" for v in p.box] + [f"{p.score:.4f}", labels[k], f"{p.probabilities[k]:.6f}"]
        writer.writerow(row + [f"{v:.6f}" for v in p.probabilities])
    return counts
