"""MTCNN's cascade (Zhang et al., 2016) with the arithmetic of facenet-pytorch 2.5.3, part by part.

    picture -> P-Net over a pyramid -> candidates -> R-Net on 24 px patches -> O-Net on 48 px patches -> faces

facenet-pytorch runs the three as one function over whole frames; here each is a separate step, so that a tracker can
search a panel at the scale of its person, or run only the last net on the previous frame's box.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from rmset.geometry import Boxes
from rmset.parts.detect.base import Detections
from rmset.parts.detect.nets import F32, Nets
from rmset.parts.pixels import Patch, Pixels, Rect, gain_for, lightened

THRESHOLDS = (0.6, 0.7, 0.7)
FACTOR = 0.709
_WINDOW, _STRIDE = 12, 2
_COARSE = 48
# Neither dark nor light: the nets are given 0 for it, or nearly so.
_GRAY = 127
# Pairs of boxes that are compared at once.
_PAIRS = 1 << 17


def scales(min_face: float, max_face: float, side: float) -> list[float]:
    """Scales of the pyramid at which P-Net's 12 px window covers faces from `min_face` to `max_face` px.

    Args:
        min_face: px.
        max_face: px; scales that only find larger faces are left out.
        side: shorter side of the picture, px.
    """
    result, scale = [], _WINDOW / min_face
    while side * scale >= _WINDOW and _WINDOW / scale <= max_face / FACTOR:
        result.append(scale)
        scale *= FACTOR
    return result


def propose(nets: Nets, pixels: Pixels, area: Rect, min_face: float, max_face: float = np.inf) -> Boxes:
    """P-Net's candidates (N, 4) in a rectangle of the picture, squared, in pixels of the picture."""
    x0, y0, x1, y1 = area
    width, height = x1 - x0, y1 - y0
    found: list[F32] = []
    for scale in scales(min_face, max_face, min(width, height)):
        small = pixels.patch(area, (int(width * scale + 1), int(height * scale + 1)))
        offsets, probability = nets.propose(small)
        rows, columns = np.nonzero(probability >= THRESHOLDS[0])
        if not len(rows):
            continue
        corner = np.stack([columns, rows], axis=1).astype(np.float32) * _STRIDE
        boxes = np.hstack([np.floor((corner + 1) / scale), np.floor((corner + _WINDOW) / scale)])
        score = probability[rows, columns]
        table = np.hstack([boxes, score[:, None], offsets[:, rows, columns].T]).astype(np.float32)
        found.append(table[nms(boxes, score, 0.5)])
    if not found:
        return np.empty((0, 4), np.float32)
    table = np.concatenate(found)
    table = table[nms(table[:, :4], table[:, 4], 0.7)]
    size = np.tile(table[:, 2:4] - table[:, :2], 2)
    return squared(table[:, :4] + table[:, 5:9] * size) + np.array([x0, y0, x0, y0], np.float32)


def refine(
    nets: Nets,
    pixels: Pixels,
    area: Rect,
    candidates: Boxes,
    *,
    padded: bool = False,
    threshold: float = THRESHOLDS[1],
) -> Boxes:
    """R-Net's candidates (M, 4), squared, out of P-Net's (N, 4); `padded` as in `output`."""
    if not len(candidates):
        return candidates
    offsets, probability = nets.refine(_patches(pixels, area, candidates, 24, padded=padded))
    keep = probability > threshold
    squares, offsets, probability = candidates[keep], offsets[keep], probability[keep]
    pick = nms(squares, probability, 0.7)
    return squared(_regressed(squares[pick], offsets[pick]))


def output(
    nets: Nets, pixels: Pixels, area: Rect | npt.NDArray[np.int64], squares: Boxes, *, padded: bool = False
) -> Detections:
    """O-Net's faces on each of R-Net's squares (N, 4), in their order, none dropped.

    Args:
        nets: the three nets.
        pixels: the picture.
        area: bounds of patches: one rectangle, or one for each square (N, 4).
        squares: where to look, px.
        padded: a square that reaches beyond its area is filled up with gray; otherwise what is left of it is stretched
            to a square, as facenet-pytorch does.
    """
    if not len(squares):
        return Detections.none()
    offsets, points, probability = nets.output(_patches(pixels, area, squares, 48, padded=padded))
    size = squares[:, 2:] - squares[:, :2] + 1
    landmarks = np.stack(
        [points[:, :5] * size[:, :1] + squares[:, :1] - 1, points[:, 5:] * size[:, 1:] + squares[:, 1:2] - 1], axis=2
    )
    return Detections(_regressed(squares, offsets), probability.astype(np.float32), landmarks.astype(np.float32))


def search(
    nets: Nets,
    pixels: Pixels,
    area: Rect,
    min_face: float,
    max_face: float = np.inf,
    *,
    padded: bool = False,
    unsure: tuple[float, float] | None = None,
) -> Detections:
    """Return the whole cascade in a rectangle of the picture; faces best first; `padded` as in `output`.

    Args:
        nets: the three nets.
        pixels: the picture.
        area: the rectangle, px. A dark one is lightened first: facenet-pytorch finds next to nothing there.
        min_face: px.
        max_face: px.
        padded: as in `output`.
        unsure: thresholds of R-Net and O-Net for a second try where no face passes their own.
    """
    if min(area[2] - area[0], area[3] - area[1]) < _WINDOW:
        return Detections.none()
    pixels = lightened(pixels, gain_for(pixels, area))
    # The first two nets, which process many patches, need no higher resolution of the smallest face.
    coarse = pixels.reduced(area, _COARSE / min_face)
    candidates = propose(nets, coarse, area, min_face, max_face)
    found = Detections.none()
    for of_refine, of_output in (THRESHOLDS[1:], unsure or THRESHOLDS[1:]):
        if not len(found):
            squares = refine(nets, coarse, area, candidates, padded=padded, threshold=of_refine)
            faces = output(nets, pixels, area, squares, padded=padded)
            found = faces.where(faces.scores > of_output)
        if unsure is None:
            break
    if not len(found):
        return found
    pick = np.zeros(len(found), dtype=bool)
    pick[nms(found.boxes, found.scores, 0.7, of_smaller=True)] = True
    return ordered(found.where(pick))


def ordered(faces: Detections) -> Detections:
    """Sort faces by score, then position, so that the order of detection does not matter."""
    order = np.lexsort((faces.boxes[:, 0], faces.boxes[:, 1], -faces.scores))
    return Detections(faces.boxes[order], faces.scores[order], faces.landmarks[order])


def squared(boxes: npt.NDArray[np.floating]) -> Boxes:
    """Make boxes (N, 4) square about their centers, with the longer side."""
    side = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])[:, None]
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.hstack([center - side / 2, center + side / 2]).astype(np.float32)


def nms(
    boxes: npt.NDArray[np.floating], scores: npt.NDArray[np.floating], most: float, *, of_smaller: bool = False
) -> npt.NDArray[np.intp]:
    """Greedy non-maximum suppression: rows of the boxes that stay, best first.

    Args:
        boxes: (N, 4).
        scores: (N,).
        most: a box that overlaps a better one by more is dropped.
        of_smaller: measure the overlap by the smaller box instead of by the union.
    """
    extra = 1.0 if of_smaller else 0.0
    order = np.argsort(-scores, kind="stable")
    ranked = boxes[order]
    area = (ranked[:, 2] - ranked[:, 0] + extra) * (ranked[:, 3] - ranked[:, 1] + extra)
    stays = np.ones(len(ranked), dtype=bool)
    # Some rows of the table of pairs at a time: with thousands of boxes the whole table is too large.
    step = max(1, _PAIRS // max(1, len(ranked)))
    for start in range(0, len(ranked), step):
        rows = start + np.flatnonzero(stays[start : start + step])
        one, rest = ranked[rows][:, None], ranked[None, start:]
        sides = np.minimum(one[..., 2:], rest[..., 2:]) - np.maximum(one[..., :2], rest[..., :2]) + extra
        shared = np.maximum(sides[..., 0], 0) * np.maximum(sides[..., 1], 0)
        own, others = area[rows][:, None], area[None, start:]
        whole = np.minimum(own, others) if of_smaller else own + others - shared
        apart = shared <= most * whole
        for row, other in zip(rows.tolist(), apart, strict=True):
            if stays[row]:
                stays[row + 1 :] &= other[row + 1 - start :]
    return np.asarray(order[stays], dtype=np.intp)


def _regressed(boxes: Boxes, offsets: F32) -> Boxes:
    size = np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)
    return np.asarray(boxes + offsets * size, dtype=np.float32)


def _patches(
    pixels: Pixels, area: Rect | npt.NDArray[np.int64], boxes: Boxes, side: int, *, padded: bool = False
) -> Patch:
    """Cut the boxes (N, 4) inside the area, resized to (N, side, side, 3), as facenet-pytorch does unless `padded`.

    A box outside the area gives a black patch; facenet-pytorch raises there.
    """
    rects = np.hstack(bounded(boxes, area))
    inside = (rects[:, :2] < rects[:, 2:]).all(axis=1)
    known = rects[inside]
    if not len(known):
        return np.zeros((len(boxes), side, side, 3), np.uint8)
    if padded:
        squares = np.trunc(boxes[inside]).astype(np.int64) - np.array([1, 1, 0, 0])
        whole = ((x0, y0, x1, y1) for x0, y0, x1, y1 in known.tolist())
        found = np.stack([_padded(pixels, *pair, side) for pair in zip(squares, whole, strict=True)])
    else:
        found = pixels.patches(known, side)
    if inside.all():
        return cast(Patch, found)
    patches = np.zeros((len(boxes), *found.shape[1:]), found.dtype)
    patches[inside] = found
    return patches


def _padded(pixels: Pixels, square: npt.NDArray[np.int64], rect: Rect, side: int) -> Patch:
    """Return a square's patch (side, side, 3) of which only the rectangle is known; the rest is gray."""
    shape = np.tile(side / np.maximum(square[2:] - square[:2], 1), 2)
    at = np.rint((np.array(rect) - np.tile(square[:2], 2)) * shape).astype(np.int64)
    left, top = (int(v) for v in np.minimum(at[:2], side - 1))
    right, bottom = (int(v) for v in np.minimum(np.maximum(at[2:], (left + 1, top + 1)), side))
    part = pixels.patch(rect, (right - left, bottom - top))
    if part.shape[:2] == (side, side):
        return part
    patch = np.full((side, side, 3), _GRAY, part.dtype)
    patch[top:bottom, left:right] = part
    return cast(Patch, patch)


def bounded(boxes: Boxes, area: Rect | npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Upper left and lower right corners (N, 2) of the pixels that boxes (N, 4) share with one area or each its own."""
    whole = np.trunc(boxes).astype(np.int64)
    bounds = np.broadcast_to(np.asarray(area, dtype=np.int64), whole.shape)
    return np.maximum(whole[:, :2] - 1, bounds[:, :2]), np.minimum(whole[:, 2:], bounds[:, 2:])
