"""Several runs looked at side by side: where their attention goes, and how their features lie.

The same anchors, the same candidates and the same labeled images for all runs, so that what differs is the runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rmset.errors import UsageError
from rmset.progress import Progress, silent
from rmset.root import Root

from ...config.methods import RmferConfig
from ...datasets.base import Split
from ...datasets.registry import images_of, open_split, open_target
from ...evaluation.features import Extracted, OpenedRun, extract, on_root, open_run
from ...files import write_figure, write_json
from ...labels import permutation
from ...run_folder import told_apart
from ...unlabeled.candidates import Anchors, open_anchors
from ...unlabeled.crops import CropDataset, Crops, open_crops
from . import figures as sidebyside
from .attention import AnchorView, Attended, between_classes, over_candidates
from .feature_map import on_plane, spread, turned_onto, unit

_TRIED = 96
_DPI = 130


@dataclass(frozen=True)
class Seen:
    """Files written, and a table of the figures in them."""

    rows: list[dict[str, Any]]
    files: list[Path]


def explain_attention(
    paths: Sequence[Path], root: Root, on: str | None, out: Path, *, anchors: Sequence[str] = (), most: int = 3,
    candidates: int = 10, per_class: int = 16, eval_rule: str = "majority", seed: int = 0,
    progress: Progress = silent,
) -> Seen:  # fmt: skip
    """Attention of anchors over candidates, and of classes over classes.

    Args:
        paths: run folders; each run uses its own τ and γ.
        root: root from which anchors are drawn.
        on: labeled set for the classes; None: that of the first run.
        out: folder of `attention-*.png` and `attention.json`.
        anchors: VIDEO:PERSON:FRAME; if empty, drawn: the most confident of the first run, of different classes.
        most: number of anchors to draw.
        candidates: number of each kind drawn for an anchor.
        per_class: images of each class in the batch for class attention.
        eval_rule: which images, where there are votes.
        seed: of the draws.
        progress: progress callback on faces.
    """
    runs = _opened(paths)
    first = runs[0].folder.config().rmfer
    crops = open_crops(root)
    rules = RmferConfig(d=first.d, d_far=first.d_far, max_candidates=candidates)
    drawn = _anchors(runs[0], crops, open_anchors(crops, rules, seed), anchors, most, seed)
    views = _views(runs, crops, drawn, progress)
    split, present, matrices, chance = _classes(runs, on, per_class, eval_rule, seed, progress)
    out.mkdir(parents=True, exist_ok=True)
    figures = {"candidates": out / "attention-candidates.png", "classes": out / "attention-classes.png"}
    images = {row: crops.store.images([row if crops.rows is None else int(crops.rows[row])])[0]
              for view in views for row in view.rows}  # fmt: skip
    write_figure(figures["candidates"], sidebyside.candidates(views, images, crops), dpi=_DPI)
    write_figure(figures["classes"], sidebyside.classes(matrices, present, chance), dpi=_DPI)
    name = crops.keys.name
    values = {
        "runs": [str(p) for p in paths], "root": root.place, "on": f"{split.dataset}:{split.split}",
        "classes": list(present),
        "anchors": [
            {
                "anchor": v.name, "run": run, "on_positives_before": a.on_positives[0],
                "on_positives_after": a.on_positives[1],
                "candidates": [
                    {"face": name(row), "kind": "positive" if k < v.positives else "negative", "similarity": s,
                     "before": b, "after": f}
                    for k, (row, s, b, f) in enumerate(
                        zip(v.rows[1:], a.similarity.tolist(), a.before.tolist(), a.after.tolist(), strict=True)
                    )
                ],
            }
            for v in views for run, a in v.attended.items()
        ],
        "within_class_by_chance": chance, "between_classes": {run: m.tolist() for run, m in matrices.items()},
    }  # fmt: skip
    file = out / "attention.json"
    write_json(file, values)
    rows = [
        {
            "run": run.name, "on_positives": _mean(views, run.name, 0),
            "on_positives_refined": _mean(views, run.name, 1),
            "within_class": float(np.diag(matrices[run.name]).mean()), "within_class_by_chance": chance,
        }
        for run in runs
    ]  # fmt: skip
    return Seen(rows, [*figures.values(), file])


def explain_embedding(
    paths: Sequence[Path], on: str | None, out: Path, *, how: str = "mds", per_class: int = 40,
    eval_rule: str = "majority", seed: int = 0, progress: Progress = silent,
) -> Seen:  # fmt: skip
    """Features of labeled images on a plane, and mean distances to the class centers.

    Args:
        paths: runs.
        on: labeled set; None: that of the first run.
        out: folder of `embedding-*.png` and `embedding.json`.
        how: `mds` or `tsne`.
        per_class: images of each class.
        eval_rule: which images, where there are votes.
        seed: of the images that are drawn.
        progress: progress callback.
    """
    runs = _opened(paths)
    split, rows, looked = _looked_at(runs, on, per_class, eval_rule, seed, progress)
    labels = split.classes[rows]
    maps: dict[str, npt.NDArray[np.float64]] = {}
    table = []
    values: dict[str, Any] = {
        "runs": [str(p) for p in paths], "on": f"{split.dataset}:{split.split}", "rule": split.rule, "map": how,
        "classes": list(split.order.classes), "images": [split.names[i] for i in rows], "labels": labels.tolist(),
        "by_run": {},
    }  # fmt: skip
    for run, found in zip(runs, looked, strict=True):
        u = unit(found.features.numpy())
        plane, stress = on_plane(u, how, seed)
        maps[run.name] = plane if not maps else turned_onto(plane, labels, next(iter(maps.values())))
        tight, flat = spread(u, labels), spread(maps[run.name], labels)
        table.append({
            "run": run.name, "images": len(rows), "to_centre": tight.to_centre, "between_centres": tight.between,
            "ratio": tight.to_centre / tight.between, "to_centre_on_map": flat.to_centre, "stress": stress,
        })  # fmt: skip
        values["by_run"][run.name] = {
            **{k: v for k, v in table[-1].items() if k != "run"},
            "to_centre_by_class": {split.order.classes[k]: v for k, v in tight.by_class.items()},
            "points": maps[run.name].round(5).tolist(),
        }
    out.mkdir(parents=True, exist_ok=True)
    figure, file = out / f"embedding-{how}.png", out / "embedding.json"
    # square panels leave a constrained layout too little room for three title lines
    drawn = sidebyside.embedding(maps, labels, split.order.classes, table)
    write_figure(figure, drawn, dpi=_DPI, bbox_inches="tight")
    write_json(file, values)
    return Seen(table, [figure, file])


def _opened(paths: Sequence[Path]) -> list[OpenedRun]:
    names = told_apart(paths)
    return [replace(open_run(path), name=name) for path, name in zip(paths, names, strict=True)]


def _anchors(
    run: OpenedRun, crops: Crops, anchors: Anchors, names: Sequence[str], most: int, seed: int
) -> list[tuple[list[int], int]]:
    """Rows of each anchor and its candidates: those named, or the most confident of a draw, one for each class."""
    if names:
        rows = np.array([_row_of(name, crops) for name in names])
        if strange := [n for n, row in zip(names, rows, strict=True) if row not in anchors.candidates.anchors]:
            raise UsageError(f"expected an anchor with candidates of both kinds, found {strange[0]}; it lacks one")
    else:
        rng = np.random.default_rng([seed, 16])
        rows = rng.permutation(anchors.candidates.anchors)[:_TRIED]
        images, spec = on_root(run, lambda own: CropDataset.for_spec(crops, own))
        p = extract(run.model, run.projection, images, spec, rows.tolist()).probabilities
        sure, said = (v.numpy() for v in p.max(dim=1))
        neutral = run.labels.index("neutral") if "neutral" in run.labels else -1
        best = [int(np.flatnonzero(said == k)[sure[said == k].argmax()]) for k in np.unique(said) if k != neutral]
        rows = rows[sorted(best, key=lambda i: -sure[i])[:most]] if best else rows[:most]
    drawn = anchors.candidates.draw_many(rows, np.random.default_rng([seed, 17]))
    return [([int(r), *p.tolist(), *n.tolist()], len(p)) for r, (p, n) in zip(rows, drawn, strict=True)]


def _row_of(name: str, crops: Crops) -> int:
    video, _, rest = name.partition(":")
    person, _, frame = rest.partition(":")
    if not (person.isdigit() and frame.isdigit()):
        raise UsageError(f"expected an anchor as VIDEO:PERSON:FRAME, found {name}")
    return crops.keys.row(video, int(person), int(frame))


def _views(
    runs: Sequence[OpenedRun], crops: Crops, drawn: list[tuple[list[int], int]], progress: Progress
) -> list[AnchorView]:
    attended: list[dict[str, Attended]] = [{} for _ in drawn]
    for run in runs:
        images, spec = on_root(run, lambda own: CropDataset.for_spec(crops, own))
        rules = run.folder.config().rmfer
        for k, (rows, p) in enumerate(drawn):
            z = extract(run.model, run.projection, images, spec, rows).projected
            attended[k][run.name] = over_candidates(z, p, rules.gamma, rules.tau)
            progress(f"attention of {run.name}", k + 1, len(drawn))
    return [AnchorView(crops.keys.name(rows[0]), rows, p, a) for (rows, p), a in zip(drawn, attended, strict=True)]


def _classes(
    runs: Sequence[OpenedRun], on: str | None, per_class: int, eval_rule: str, seed: int, progress: Progress
) -> tuple[Split, list[str], dict[str, npt.NDArray[np.float64]], float]:
    """Compute each run's attention between the classes that have images.

    Returns:
        The split, these classes, the matrices, and the attention of an image to its own class if it attends to all
        other images equally.
    """
    split, rows, looked = _looked_at(runs, on, per_class, eval_rule, seed, progress)
    present, labels = np.unique(split.classes[rows], return_inverse=True)
    matrices = {}
    for run, found in zip(runs, looked, strict=True):
        rules = run.folder.config().rmfer
        mass = between_classes(found.projected, labels, len(present), rules.tau, rules.self_mask)
        matrices[run.name] = mass.numpy()
    n = len(rows) // len(present)
    return split, [split.order.classes[k] for k in present], matrices, (n - 1) / (len(rows) - 1)


def _looked_at(
    runs: Sequence[OpenedRun], on: str | None, per_class: int, eval_rule: str, seed: int, progress: Progress
) -> tuple[Split, npt.NDArray[np.int64], list[Extracted]]:
    """Open a split, draw up to `per_class` rows of each class, and extract each run's features of them."""
    data, name = open_target(on or runs[0].folder.config().data.labeled)
    split = open_split(data, name, eval_rule)
    rng = np.random.default_rng([seed, 18])
    counts = [int((split.classes == k).sum()) for k in range(len(split.order))]
    n = min(per_class, min((c for c in counts if c), default=0))
    if n < 2:
        raise UsageError(f"expected two images or more of each class in {split.dataset}:{name}, found {counts}")
    rows = np.sort(
        np.concatenate([rng.permutation(np.flatnonzero(split.classes == k))[:n] for k in range(len(counts))])
    )
    looked = []
    for run in runs:
        permutation(run.labels, split.order.classes)  # raises for a run that does not know these classes
        images = images_of(split, run.spec)
        looked.append(extract(run.model, run.projection, images, run.spec, rows.tolist(), progress=progress))
    return split, rows, looked


def _mean(views: Sequence[AnchorView], run: str, which: int) -> float:
    return float(np.mean([view.attended[run].on_positives[which] for view in views]))
