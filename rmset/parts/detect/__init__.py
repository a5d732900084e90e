"""Face detectors behind one Protocol, and one dict from name to class.

base            `Detections`, and the Protocol `Detector`
mtcnn, yunet    the detectors; mtcnn is a cascade of nets
weights         weights files of detectors without bundled ones
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from rmset.errors import DetectorError
from rmset.parts.detect.base import Detections, Detector

__all__ = ["DETECTORS", "Detections", "Detector", "load"]


def _mtcnn(weights: Path | None, lane: int = 0) -> Detector:
    if weights is not None:
        raise DetectorError("detector mtcnn: its weights come with facenet-pytorch; leave --weights out")
    from rmset.parts.detect.mtcnn import MtcnnDetector

    return MtcnnDetector(lane)


def _yunet(weights: Path | None, lane: int = 0) -> Detector:  # noqa: ARG001 - each has a net of its own
    from rmset.parts.detect.yunet import YuNetDetector

    return YuNetDetector(weights)


DETECTORS: dict[str, Callable[[Path | None, int], Detector]] = {"mtcnn": _mtcnn, "yunet": _yunet}


def load(name: str, weights: Path | str | None = None, lane: int = 0) -> Detector:
    """Make the detector of this name; those of different lanes search at the same time, in a thread each.

    Raises:
        DetectorError: unknown name, or missing or unfitting weights.
    """
    if name not in DETECTORS:
        near = get_close_matches(name, DETECTORS)
        raise DetectorError(
            f"detector {name!r}: unknown; expected one of {', '.join(DETECTORS)}"
            + (f"; did you mean {near[0]}?" if near else "")
        )
    return DETECTORS[name](None if weights is None else Path(weights), lane)
