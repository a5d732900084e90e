"""Measures of a run on people never seen, and the purity of the candidates that its features see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rmset.root import Root

from ...config.methods import RmferConfig
from ...datasets.base import Split
from ...datasets.registry import images_of
from ...errors import DatasetError
from ...evaluation.features import extract, on_root, open_run
from ...unlabeled.candidates import open_anchors
from ...unlabeled.crops import CropDataset, open_crops
from ...unlabeled.ground_truth import read_ground_truth
from ..pairs.purity import Purity, chosen, purity
from ..pairs.retrieval import balanced, same_expression, same_person


def measured(folder: Path, split: Split, faces: int) -> dict[str, Any]:
    """Measure retrieval by a run's features f among the people of a split.

    Args:
        folder: the run.
        split: images that name their subjects.
        faces: most faces of each person and expression.

    Returns:
        `map`: mean average precision of the same expression in other people; `map_chance`; `identity`: recall@1 of the
        same person in other expressions; `identity_chance`; `faces`: number of faces.
    """
    run = open_run(folder)
    person = np.unique(np.asarray(split.groups["subject"], dtype=np.str_), return_inverse=True)[1].reshape(-1)
    rows = balanced(split.classes, person, faces, seed=0)
    seen = extract(run.model, run.projection, images_of(split, run.spec), run.spec, rows.tolist())
    expression = same_expression(seen.features, split.classes[rows], person[rows])
    identity = same_person(seen.features, split.classes[rows], person[rows])
    return {
        "map": expression.mean_ap, "map_chance": expression.chance, "identity": identity.recall_at_1,
        "identity_chance": identity.chance, "faces": len(rows),
    }  # fmt: skip


def purity_of(folder: Path, root: Path, settings: RmferConfig, anchors: int) -> Purity:
    """Measure the purity of the mashup's candidates in a world, refined by a run's projected features.

    Raises:
        DatasetError: the root has no truth.
    """
    run, crops = open_run(folder), open_crops(Root(root))
    known = read_ground_truth(crops.store.root, crops.keys)
    if known is None:
        raise DatasetError(f"expected a root with truth at {root}, found none; `fertrain world --identity` writes one")
    drawn = [open_anchors(crops, settings, seed=1).draw(0, step, 1)[0] for step in range(anchors)]
    rows = np.unique([row for many, _ in drawn for row in many])
    images, spec = on_root(run, lambda own: CropDataset.for_spec(crops, own))
    z = extract(run.model, run.projection, images, spec, rows.tolist()).projected
    found = []
    for many, p in drawn:
        at = np.searchsorted(rows, many)
        found.append(chosen(z, int(at[0]), at[1 : 1 + p], at[1 + p :], settings.gamma))
    keys = crops.keys
    return purity(found, known.expression[rows], keys.video[rows], keys.person[rows])
