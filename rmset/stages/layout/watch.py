"""Observations of each panel of a span: faces, change of the picture, motion of the rim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from rmset.parts.detect import Detections
from rmset.parts.frames import Frame, Gray, ahead
from rmset.stages.layout import changes
from rmset.stages.layout.edges import MOVES, Rect
from rmset.stages.layout.kept import KeptFaces, KeptFrames, without
from rmset.stages.layout.over import LOOKS, with_people_over
from rmset.stages.layout.panels import Panel
from rmset.stages.layout.portraits import Portrait, portrait
from rmset.stages.layout.sampling import spread_out
from rmset.stages.layout.sitters import Sitter, sitters_of
from rmset.stages.layout.spans import Span, forget
from rmset.threads import at_once

_THUMB = (24, 14)
# Thickness of a panel's rim on each side, as a share of its width and height.
_RIM = 0.12


@dataclass(frozen=True)
class Watched:
    """One panel over all looks of a span."""

    panel: Panel
    sitters: tuple[Sitter, ...]
    """best first"""
    faces: float
    """mean number of faces in a look"""
    thumbs: npt.NDArray[np.float32]
    """float32 (looks, 14, 24), gray"""
    rim: float
    """share of the rim that moves, 0 to 1"""
    portraits: tuple[Portrait, ...]
    """its picture in each look"""
    detail: float
    """how sharp the picture is: mean absolute Laplacian, gray levels"""

    @property
    def area(self) -> float:
        """px²"""
        x0, y0, x1, y1 = self.panel.rect
        return float((x1 - x0) * (y1 - y0))

    @property
    def sitting(self) -> float:
        """Largest presence × steadiness of a face, 0 to 1: confidence that a person sits here."""
        return max((s.presence * s.steadiness for s in self.sitters), default=0.0)

    @property
    def change(self) -> float:
        """Mean change of the picture from look to look, 0 (none) to 1 (another picture)."""
        if len(self.thumbs) < 2:
            return 0.0
        return float(np.mean([_unlike(a, b) for a, b in zip(self.thumbs, self.thumbs[1:], strict=False)]))


@dataclass(frozen=True)
class View:
    """All panels of a span over the same looks."""

    frames: tuple[int, ...]
    panels: tuple[Watched, ...]
    sharpness: tuple[float, ...]
    """of each look"""
    looks: npt.NDArray[np.uint8]
    """uint8 (looks, 180, 320), gray: the whole screen"""


@dataclass(frozen=True)
class _Look:
    """One frame, as far as it is noted."""

    small: Gray
    sharpness: float
    panels: tuple[tuple[Detections, npt.NDArray[np.float32], Portrait, float], ...]
    """faces, thumb, portrait and detail of each panel"""


def watch(reader: KeptFrames, span: Span, faces: KeptFaces, samples: int) -> View:
    """Observe the panels of a span in `samples` frames."""
    alive = [p for p in span.panels if p.alive or span.sums.count < 2]
    pictures = list(ahead(reader.sample(spread_out(span.looks, samples))))
    # Without the pixels that were converted: those of all looks are a hundred megabytes.
    few = spread_out(list(range(len(pictures))), LOOKS) if pictures else []
    screens = at_once(partial(faces.on_screen, pictures[n].unconverted()) for n in few)
    alive = with_people_over(span.evidence, alive, screens)
    # It is large, and no longer needed.
    forget()
    looks = at_once(partial(_looked, picture.unconverted(), alive, faces) for picture in pictures)
    found = [[look.panels[n][0] for look in looks] for n in range(len(alive))]
    thumbs = [[look.panels[n][1] for look in looks] for n in range(len(alive))]
    portraits = [[look.panels[n][2] for look in looks] for n in range(len(alive))]
    detail = [[look.panels[n][3] for look in looks] for n in range(len(alive))]
    spread = span.spread
    watched = tuple(
        Watched(
            panel,
            sitters_of(found[n], len(looks)),
            float(np.mean([len(f) for f in found[n]])) if looks else 0.0,
            np.asarray(thumbs[n], np.float32).reshape(-1, _THUMB[1], _THUMB[0]),
            rim(spread, panel.rect),
            tuple(portraits[n]),
            float(np.mean(detail[n])) if detail[n] else 0.0,
        )
        for n, panel in enumerate(alive)
    )
    whole = np.asarray([look.small for look in looks], np.uint8).reshape(-1, *changes.SMALL[::-1])
    return View(tuple(f.frame_idx for f in pictures), watched, tuple(look.sharpness for look in looks), whole)


def _looked(frame: Frame, panels: Sequence[Panel], faces: KeptFaces) -> _Look:
    """Note what a frame shows of each panel."""
    gray = frame.gray
    little = cv2.resize(gray, (480, 270), interpolation=cv2.INTER_AREA)
    seen = []
    for panel in panels:
        x0, y0, x1, y1 = panel.rect
        part = without(gray, panel, panels)
        thumb = cv2.resize(part, _THUMB, interpolation=cv2.INTER_AREA).astype(np.float32)
        detail = float(np.abs(cv2.Laplacian(part, cv2.CV_32F)).mean())
        seen.append((faces.on_panel(frame, panel, panels), thumb, portrait(frame.rgb[y0:y1, x0:x1]), detail))
    return _Look(changes.shrunk(gray), float(cv2.Laplacian(little, cv2.CV_32F).var()), tuple(seen))


def rim(spread: npt.NDArray[np.float32], rect: Rect) -> float:
    """Share of a panel's rim that moves; nearly 0 for a camera that stands still.

    `spread` is the standard deviation of gray values over time, (H, W).
    """
    x0, y0, x1, y1 = rect
    moving = spread[y0:y1, x0:x1] >= MOVES
    h, w = max(1, int((y1 - y0) * _RIM)), max(1, int((x1 - x0) * _RIM))
    # Only the rim above and beside: shoulders move below.
    upper = moving[: (y1 - y0) // 2]
    parts = [moving[:h].ravel(), upper[:, :w].ravel(), upper[:, -w:].ravel()]
    return float(np.concatenate(parts).mean())


def _unlike(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Difference of two pictures, 0 (the same) to 1 (nothing in common)."""
    one, other = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    if scale < 1e-3:
        return float(min(1.0, np.abs(a - b).mean() / 40))
    return float(np.clip(1 - (one * other).sum() / scale, 0, 1))
