"""Score of panels as the film's: by cuts, camera motion, faces and position, over all views with the same grid.

In a part of one or two seconds, a film may show one scene with a face and look like a person's panel. So a panel is
judged by all views of the video that have the same grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rmset.geometry import as_boxes, center, iou
from rmset.stages.layout.watch import View, Watched

# Weights of the features of `likeness_of`; tuned on the tuning half of the benchmark's mashups.
_EMPTY, _CHANGES, _RIM, _CENTRAL, _LARGE, _INSET, _CROWD = 1.0, 0.6, 1.5, 0.35, 0.4, 0.9, 0.3
# Least IoU of panels at one place; least share of common places in two views with one grid.
_PLACE, _GRID = 0.7, 0.6


@dataclass(frozen=True)
class Witness:
    """View of a whole span, used to score panels."""

    frames: int
    """length of the span"""
    view: View


def likeness_of(panel: Watched, panels: Sequence[Watched], frame_size: tuple[int, int]) -> float:
    """Score of a panel as the film's panel; higher is more likely."""
    most = max(max(p.change for p in panels), 0.3)
    usual = float(np.median([p.area for p in panels]))
    x, y = center(panel.panel.box)
    off = max(abs(x / frame_size[0] - 0.5), abs(y / frame_size[1] - 0.5)) * 2
    wandering = max(0.0, min(1.0, panel.faces - 0.5)) * (1 - panel.sitting)
    return (
        _EMPTY * (1 - panel.sitting)
        + _CHANGES * panel.change / most
        + _RIM * panel.rim**2
        + _CENTRAL * (1 - off)
        + _LARGE * float(np.clip(np.log2(panel.area / usual), -0.5, 1.5))
        + _INSET * panel.panel.inset
        + _CROWD * wandering
    )


def pooled(view: View, witnesses: Sequence[Witness], frame_size: tuple[int, int]) -> list[float]:
    """Return the score of each panel of a view: the mean over all witnesses with the same grid, weighted by length.

    A panel that no witness has is scored in the view alone.
    """
    own = [likeness_of(p, view.panels, frame_size) for p in view.panels]
    if not view.panels:
        return own
    total, weight = np.zeros(len(own)), np.zeros(len(own))
    for witness in witnesses:
        overlap = _overlap(view, witness.view)
        if overlap.size == 0 or not _same_grid(overlap):
            continue
        theirs = np.asarray([likeness_of(p, witness.view.panels, frame_size) for p in witness.view.panels])
        there = overlap.max(axis=1) >= _PLACE
        total += np.where(there, witness.frames * theirs[overlap.argmax(axis=1)], 0)
        weight += np.where(there, witness.frames, 0)
    return [float(t / w) if w else o for t, w, o in zip(total, weight, own, strict=True)]


def calm(witness: Witness, parts: Sequence[tuple[range, View]]) -> Witness:
    """Return a witness with the motion of rims measured within the parts of its span.

    When a person leaves a panel or enters it, the whole picture changes once, which is no motion of a camera.
    """
    panels = []
    for watched in witness.view.panels:
        there = [(len(f), p.rim) for f, v in parts for p in v.panels if p.panel.rect == watched.panel.rect]
        rim = sum(n * r for n, r in there) / sum(n for n, _ in there) if there else watched.rim
        panels.append(replace(watched, rim=rim))
    return replace(witness, view=replace(witness.view, panels=tuple(panels)))


def _overlap(one: View, other: View) -> np.ndarray:
    """IoU (N, M) of the panels of two views."""
    return iou(*(as_boxes([p.panel.box for p in v.panels]) for v in (one, other)))


def _same_grid(overlap: np.ndarray) -> bool:
    """Whether most panels of the view with fewer panels are at places of the other."""
    fewer = int(overlap.shape[0] > overlap.shape[1])
    return bool((overlap.max(axis=1 - fewer) >= _PLACE).mean() >= _GRID)
