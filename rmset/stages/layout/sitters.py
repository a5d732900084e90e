"""Sitters: faces that stay in about the same place from look to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmset.geometry import Box, Boxes, as_box, as_boxes, iou
from rmset.parts.detect import Detections

# Least IoU of a face's box in a look with its usual box.
_SAME_FACE = 0.3


@dataclass(frozen=True)
class Sitter:
    """A face that stays in about the same place."""

    boxes: tuple[Box | None, ...]
    """its box in each look, None where it is not seen"""
    presence: float
    """share of looks in which it is seen, 0 to 1"""
    steadiness: float
    """mean IoU with its median box where seen, 0 to 1"""
    score: float
    """mean of the detector's score"""
    stirs: float = 0.0
    """mean distance of the face from its usual place, as a share of its height; nearly 0 for a picture of a face"""

    @property
    def usual(self) -> Box:
        """Median box."""
        return as_box(np.median(as_boxes([b for b in self.boxes if b is not None]), axis=0))


def sitters_of(looks: Sequence[Detections], count: int) -> tuple[Sitter, ...]:
    """Link faces from look to look by overlap."""
    lines: list[list[tuple[int, Box, float]]] = []
    for at, look in enumerate(looks):
        free = set(range(len(lines)))
        for row in range(len(look)):
            box, score = as_box(look.boxes[row]), float(look.scores[row])
            near = {n: float(iou(as_boxes([box]), as_boxes([b for _, b, _ in lines[n][-6:]]))[0].max()) for n in free}
            best = max(near, key=lambda n: near[n], default=None)
            if best is None or near[best] < _SAME_FACE:
                lines.append([(at, box, score)])
            else:
                lines[best].append((at, box, score))
                free.discard(best)
    sitters = []
    for line in lines:
        boxes: list[Box | None] = [None] * count
        for at, box, _ in line:
            boxes[at] = box
        seen = as_boxes([b for _, b, _ in line])
        middle = np.median(seen, axis=0, keepdims=True).astype(np.float32)
        steadiness = float(iou(seen, middle).mean())
        scores = float(np.mean([s for _, _, s in line]))
        sitters.append(Sitter(tuple(boxes), len(line) / max(1, count), steadiness, scores, _stirs(seen)))
    return tuple(sorted(sitters, key=lambda s: -s.presence * s.steadiness))


def _stirs(boxes: Boxes) -> float:
    """Mean distance of the centers of boxes (N, 4) from their median, divided by the height of the usual box."""
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    usual = np.median(centers, axis=0)
    tall = float(np.median(boxes[:, 3] - boxes[:, 1]))
    return float(np.linalg.norm(centers - usual, axis=1).mean()) / max(tall, 1.0)
