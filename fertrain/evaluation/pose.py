"""Head poses of labeled pictures, which have no landmarks: MTCNN's last net reads them off the picture itself.

picture of a face -> squares about its middle -> O-Net -> its best face, looked at once more -> five points -> yaw
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from rmset.geometry import Box, Boxes, as_boxes, scale_about_center
from rmset.parts.cropping import yaw
from rmset.parts.detect import cascade
from rmset.parts.detect.nets import Nets
from rmset.parts.frames import Image
from rmset.parts.pixels import IntegralPixels, gain_for, lightened

# Sizes of the first squares, in shorter sides: sets crop their faces tightly or with hair and shoulders.
_SQUARES = (0.6, 0.8, 1.0, 1.2)
# Least score of a face; MTCNN's own for this net.
_LEAST = cascade.THRESHOLDS[-1]
# Larger pictures are reduced first; the net sees 48 px.
_LARGEST = 256

_nets = cache(Nets)


def yaw_of(picture: Image) -> float:
    """Yaw of the face that a picture uint8 (H, W, 3) shows: 0 frontal, about ±1 profile; NaN if no face is found.

    The measure is that of `rmset export`.
    """
    height, width = picture.shape[:2]
    if (scale := _LARGEST / max(height, width)) < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        height, width = picture.shape[:2]
    area = (0, 0, width, height)
    exact = IntegralPixels(picture)
    pixels = lightened(exact, gain_for(exact, area))
    left, top = (width - min(width, height)) / 2, (height - min(width, height)) / 2
    middle: Box = (left, top, width - left, height - top)
    squares: Boxes = as_boxes([scale_about_center(middle, size) for size in _SQUARES])
    first = cascade.output(_nets(), pixels, area, squares, padded=True)
    best = int(np.argmax(first.scores))
    # The net's own box shows the face as it was trained to see it.
    second = cascade.output(_nets(), pixels, area, cascade.squared(first.boxes[best : best + 1]), padded=True)
    if second.scores[0] < _LEAST:
        return float("nan")
    return yaw(second.landmarks[0])
