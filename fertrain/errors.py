"""Exceptions of training, a branch of rmset's tree.

RmsetError
├── UsageError
│   └── UnknownNameError     a data set, model, method, scheme or rule that does not exist (exit code 2)
└── FertrainError
    ├── LabelError           an unknown label order, or orders that do not share the required classes
    ├── DatasetError         a data set that does not match its kind
    ├── WeightsError         a weights file that cannot be read, or does not fit the model
    ├── TrainingError        a run that cannot continue: it diverged, or the disk is full
    └── InvarianceError      predictions that depend on batch size, order or companions
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from rmset.errors import RmsetError, UsageError


class FertrainError(RmsetError):
    """Base class of this package's exceptions."""


class LabelError(FertrainError):
    """An unknown label order, or orders that do not share the required classes."""


class DatasetError(FertrainError):
    """A data set that does not match its kind."""


class WeightsError(FertrainError):
    """Weights that cannot be read or do not fit."""


class TrainingError(FertrainError):
    """A run that cannot continue: it diverged, or the disk is full."""


class InvarianceError(FertrainError):
    """A model whose prediction for an image depends on the other images of the batch."""


class UnknownNameError(UsageError):
    """Unknown name; the message suggests close matches.

    Args:
        what: the kind of thing, in the user's words ("data set", "model").
        name: the unknown name.
        known: all valid names.
        remedy: what to do if none of them is meant.
    """

    def __init__(self, what: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        names = sorted(known)
        close = get_close_matches(name, names, n=4, cutoff=0.5)
        if close:
            hint = f"did you mean {', '.join(close)}?"
        elif not names:
            hint = "none is known"
        elif len(names) <= 12:
            hint = f"known: {', '.join(names)}"
        else:
            hint = f"{len(names)} are known, none is close"
        super().__init__(f"unknown {what} '{name[:80]}': {hint}" + (f"; {remedy}" if remedy else ""))
