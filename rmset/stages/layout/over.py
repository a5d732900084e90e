"""People shown over a large picture, such as a film that fills the screen; found by their faces first.

Other panels are found by their edges first. That fails for bubbles, which have no straight edges, for rounded panels
over moving pictures, and for panels of a fifteenth of the screen in a panel that fills it. So the whole screen is
searched for faces too: a face that stays in place inside an outline of its own has a panel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rmset.geometry import Box, as_boxes, covered
from rmset.parts.detect import Detections
from rmset.stages.layout import outlines
from rmset.stages.layout.edges import Evidence, Rect
from rmset.stages.layout.panels import Panel
from rmset.stages.layout.sitters import sitters_of

# Looks searched for faces that stay in place.
LOOKS = 6
# Least share of the frame of a large panel; largest height of a face over it, as a share of the panel's shorter side.
_LARGE, _LARGEST = 0.2, 0.36
# A face that stays: least share of looks, and least IoU with its usual place.
_PRESENT, _STEADY = 0.5, 0.45
# Share of a panel covered by panels inside it from which it is only their common outline.
_FILLED = 0.6
# Least share of a person's picture that moves.
_ALIVE = 0.02
# Share of common area of two panels in the same place; share of a panel inside an outline that replaces the panel.
_SAME, _CROSSES = 0.6, 0.35


def with_people_over(evidence: Evidence, panels: Sequence[Panel], looks: Sequence[Detections]) -> list[Panel]:
    """Complete the panels of a span by those of people whose picture has no panel yet or lies over another.

    Args:
        evidence: edges of the span.
        panels: panels found by their edges.
        looks: results of `faces_on` for some looks.
    """
    height, width = evidence.mean.shape
    kept = [p for p in panels if not _is_made_of(p, [o for o in panels if o is not p])]
    made: list[Panel] = []
    for sitter in sitters_of(looks, len(looks)):
        if sitter.presence < _PRESENT or sitter.steadiness < _STEADY or _inside(sitter.usual, made):
            continue
        hosts = _inside(sitter.usual, kept)
        if len(hosts) == 1 and not _may_lie_over(sitter.usual, hosts[0], width * height):
            continue
        outline = outlines.around(evidence, sitter.usual)
        if outline is None or not _moves(evidence, outline.rect) or any(_same(p.rect, outline.rect) for p in hosts):
            continue
        if any(_share(host.rect, outline.rect) > _FILLED for host in hosts):
            continue
        made.append(Panel(outline.rect, True, any(_share(outline.rect, h.rect) > _FILLED for h in hosts)))
    return [p for p in kept if not _is_made_of(p, made) and not _crosses(p, made)] + made


def _moves(evidence: Evidence, rect: Rect) -> bool:
    """Whether anything moves in a rectangle: portraits on a title card do not."""
    x0, y0, x1, y1 = rect
    return bool(evidence.moving[y0:y1, x0:x1].mean() >= _ALIVE)


def _may_lie_over(face: Box, host: Panel, screen: float) -> bool:
    """Whether a face is small in a large panel."""
    x0, y0, x1, y1 = host.rect
    return (x1 - x0) * (y1 - y0) >= _LARGE * screen and face[3] - face[1] <= _LARGEST * min(x1 - x0, y1 - y0)


def _inside(face: Box, panels: Sequence[Panel]) -> list[Panel]:
    """Return the panels that hold most of a face."""
    share = [float(covered(as_boxes([face]), as_boxes([p.box]))[0]) for p in panels]
    return [p for p, s in zip(panels, share, strict=True) if s > 0.5]


def _is_made_of(panel: Panel, others: Sequence[Panel]) -> bool:
    """Whether a panel is only the common outline of several panels: a column of boxes has straight sides too."""
    inside = [o.rect for o in others if _share(o.rect, panel.rect) > 0.9]
    return len(inside) >= 2 and sum(_share(panel.rect, r) for r in inside) > _FILLED


def _crosses(panel: Panel, made: Sequence[Panel]) -> bool:
    """Whether a panel lies partly inside and partly outside an outline: its edges belong to several pictures."""
    return any(
        _share(panel.rect, m.rect) > _CROSSES and _share(m.rect, panel.rect) > _CROSSES and not m.inset for m in made
    )


def _share(of: Rect, part: Rect) -> float:
    """Share of `of` that `part` covers, 0 to 1."""
    boxes = np.array([of, part], np.float32)
    return float(covered(boxes[:1], boxes[1:])[0])


def _same(one: Rect, other: Rect) -> bool:
    return _share(one, other) > _SAME and _share(other, one) > _SAME
