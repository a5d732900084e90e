"""Face embeddings behind one Protocol, to compare identities.

Embeddings are biometric data. The audit compares them in memory; only `rmset people link` stores them.

    dlib      ResNet of dlib with its 5-point predictor (extra `identity`); public domain weights
    FILE.onnx any network of the user's that takes an aligned face and gives one vector
    FILE.pt   weights of facenet-pytorch's InceptionResnetV1, the user's choice (VGGFace2's terms are not clear)
    none      no comparison
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.geometry import Boxes
from rmset.parts.frames import Image

Vectors = npt.NDArray[np.float32]
AUTO, NONE, DLIB = "auto", "none", "dlib"


class Embedder(Protocol):
    """Maps faces to vectors whose distance separates people."""

    name: str
    license: str
    """terms of the weights, one line"""
    same: float
    """below this distance, faces are one person's"""
    other: float
    """above this distance, faces are two people's; in between it is undecided"""

    def embed(self, image: Image, boxes: Boxes) -> Vectors:
        """Vectors (N, D) of the faces in boxes (N, 4) of an RGB frame (H, W, 3)."""


def is_there(name: str) -> bool:
    """Whether the packages of an embedder are installed."""
    if name == DLIB:
        return find_spec("dlib") is not None and find_spec("face_recognition_models") is not None
    return name == NONE or Path(name).is_file()


def resolve(name: str) -> str:
    """Resolve `auto` on this machine; other names are unchanged.

    Raises:
        UsageError: not `auto`, `none`, `dlib` or a file that ends in .onnx or .pt.
    """
    if name == AUTO:
        return DLIB if is_there(DLIB) else NONE
    if name not in (NONE, DLIB) and Path(name).suffix not in (".onnx", ".pt"):
        raise UsageError(f"--embedder {name}: unknown; expected auto, none, dlib, or a file that ends in .onnx or .pt")
    return name


def load(name: str) -> Embedder | None:
    """Make an embedder; None for `none`.

    Raises:
        UsageError: unknown name, missing file, or a package that is not installed.
    """
    chosen = resolve(name)
    if chosen == NONE:
        return None
    if not is_there(chosen):
        remedy = "`pip install 'rmset[identity]'`" if chosen == DLIB else "name a file that is there"
        raise UsageError(f"--embedder {name}: expected it to be there, found nothing; {remedy}")
    if chosen == DLIB:
        from rmset.parts.identity.dlib import DlibEmbedder

        return DlibEmbedder()
    if chosen.endswith(".onnx"):
        from rmset.parts.identity.onnx import OnnxEmbedder

        return OnnxEmbedder(Path(chosen))
    from rmset.parts.identity.facenet import FacenetEmbedder

    return FacenetEmbedder(Path(chosen))
