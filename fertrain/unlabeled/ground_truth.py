"""Ground truth of the crops of a generated root, row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rmset.read.crops import CropKeys
from rmset.root import Root
from rmset.truth import Truth

from ..errors import DatasetError
from ..labels import canonical


@dataclass(frozen=True)
class GroundTruth:
    """The truth of N crops."""

    classes: tuple[str, ...]
    """Names of the expressions."""
    expression: npt.NDArray[np.int64]
    """(N,) position in `classes`; -1 if unknown."""
    person: npt.NDArray[np.int64]
    """(N,) identity over all videos; people of unknown identity differ in each video."""
    delays: dict[tuple[str, int], int]
    """(video_id, person_id) -> frames by which the person lags behind the film."""


def read_ground_truth(root: Root, keys: CropKeys, classes: tuple[str, ...] | None = None) -> GroundTruth | None:
    """Read the truth of a root's crops; None if it has none.

    Args:
        root: folder that may hold `truth/`.
        keys: person and time of the crops.
        classes: order of expressions; None: by name.

    Raises:
        DatasetError: only some videos have a truth, or an expression is not among `classes`.
    """
    ids = [keys.video_ids[v] for v in np.unique(keys.video).tolist()]
    there = [v for v in ids if root.files.exists(root.truth_key(v))]
    if not there:
        return None
    if len(there) < len(ids):
        missing = sorted(set(ids) - set(there))
        raise DatasetError(
            f"expected the truth of every video in {root.place} or of none, found none of {missing[0]} and "
            f"{len(missing) - 1} more"
        )
    truths = {v: Truth.read(root.files.local(root.truth_key(v))) for v in ids}
    names = sorted({canonical(f.expression) for t in truths.values() for f in t.faces if f.expression})
    order = classes if classes is not None else tuple(names)
    if strange := [name for name in names if name not in order]:
        raise DatasetError(f"expected expressions out of {', '.join(order)} in the truth of {root.place}, "
                           f"found {strange[0]}")  # fmt: skip
    expression = np.full(len(keys), -1, np.int64)
    person = np.empty(len(keys), np.int64)
    numbers: dict[str, int] = {}
    for v in ids:
        rows = keys.rows_of(keys.video_ids.index(v))
        truth = truths[v]
        shown = {(f.person, f.frame): order.index(canonical(f.expression)) for f in truth.faces if f.expression}
        who = keys.person[rows].tolist()
        expression[rows] = [shown.get(key, -1) for key in zip(who, keys.frame[rows].tolist(), strict=True)]
        person[rows] = [numbers.setdefault(truth.identities.get(p, f"{v}:{p}"), len(numbers)) for p in who]
    delays = {(v, p): delay for v, t in truths.items() for p, delay in t.delays.items()}
    return GroundTruth(order, expression, person, delays)
