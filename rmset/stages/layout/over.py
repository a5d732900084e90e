"""People who are shown over a large picture, a film over the whole screen, say: found by their faces first.

Panels are usually found by their edges, and faces then sought in each. Bubbles have no straight edges, and what is as
small as a fifteenth of the screen is not seen in a panel that fills it. So large panels are searched for small faces;
a face that stays where it is, and lies in an outline of its own, has a panel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rmset.geometry import as_boxes, covered
from rmset.parts.detect import Detections, Detector
from rmset.parts.frames import Image
from rmset.stages.layout import outlines
from rmset.stages.layout.edges import Evidence, Rect
from rmset.stages.layout.panels import Panel
from rmset.stages.layout.sitters import Sitter, sitters_of

# A panel is large from this share of the frame on.
_LARGE = 0.2
# Height of the smallest face that is looked for, as a share of the frame's; of the largest, as a share of its panel's.
_SMALLEST, _LARGEST = 0.045, 0.36
# A face stays: seen in so many looks, overlapping its usual place by so much.
_PRESENT, _STEADY = 0.5, 0.45
# A panel that is found by its edges is taken for what lies in it when pictures with faces fill so much of it.
_FILLED = 0.5
# The same place.
_SAME = 0.6


def faces_over(image: Image, panel: Panel, detector: Detector) -> Detections:
    """Small faces in a large panel of a frame, in the frame's pixels; none where the panel is not large."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = panel.rect
    if (x1 - x0) * (y1 - y0) < _LARGE * width * height:
        return Detections.none()
    found = detector.detect(image[y0:y1, x0:x1], max(20.0, _SMALLEST * height))
    tall = found.boxes[:, 3] - found.boxes[:, 1]
    return found.where(tall <= _LARGEST * min(x1 - x0, y1 - y0)).moved(x0, y0)


def with_people_over(evidence: Evidence, panels: Sequence[Panel], looks: Sequence[Sequence[Detections]]) -> list[Panel]:
    """The panels of a span, and those of people who are shown over them.

    Args:
        evidence: edges of the span.
        panels: found by their edges.
        looks: for each panel, `faces_over` in each look.
    """
    made: list[Panel] = []
    for panel, seen in zip(panels, looks, strict=True):
        for sitter in sitters_of(seen, len(seen)):
            if not _stays(sitter) or _is_inside(sitter, made):
                continue
            outline = outlines.around(evidence, sitter.usual)
            if outline is None or _share(panel.rect, outline.rect) > _FILLED:
                continue
            if any(_same(p.rect, outline.rect) for p in panels):
                continue
            made.append(Panel(outline.rect, True, True))
    return [p for p in panels if not _is_made_of(p, made)] + made


def _stays(sitter: Sitter) -> bool:
    return sitter.presence >= _PRESENT and sitter.steadiness >= _STEADY


def _is_inside(sitter: Sitter, panels: Sequence[Panel]) -> bool:
    face = as_boxes([sitter.usual])
    return any(float(covered(face, as_boxes([p.box]))[0]) > 0.5 for p in panels)


def _is_made_of(panel: Panel, made: Sequence[Panel]) -> bool:
    """Whether a panel is only what several pictures in it make up: a column of boxes has straight sides too."""
    inside = [p.rect for p in made if _share(p.rect, panel.rect) > 0.9]
    return len(inside) >= 2 and sum(_share(panel.rect, r) for r in inside) > _FILLED


def _share(of: Rect, part: Rect) -> float:
    """Share of `of` that `part` covers, 0 to 1."""
    boxes = np.array([of, part], np.float32)
    return float(covered(boxes[:1], boxes[1:])[0])


def _same(one: Rect, other: Rect) -> bool:
    return _share(one, other) > _SAME and _share(other, one) > _SAME
