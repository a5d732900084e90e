"""Pictures that contain their frame number, in black and white blocks beside a real face.

The blocks are in the margin by which an exported crop is wider than its face, so crops contain the number too.
"""

import cv2
from skimage import data

SIZE = (320, 240)
BITS = 8
# Where the blocks are, px of the picture as shown.
LEFT, RIGHT, TOP, BLOCK = 79, 92, 68, 14
BOX = (92.0, 62.0, 195.0, 204.0)
"""about where the face is"""


def _portrait():
    """Face of the public-domain photograph in scikit-image."""
    return cv2.resize(data.astronaut()[10:202, 112:368], SIZE, interpolation=cv2.INTER_AREA)


PORTRAIT = _portrait()


def picture(number):
    """uint8 (240, 320, 3) RGB, with the number 0 to 127 and a parity bit in blocks."""
    image = PORTRAIT.copy()
    image[TOP - 4 : TOP + BITS * BLOCK + 4, LEFT - 4 : RIGHT] = 128
    for bit in range(BITS):
        y = TOP + bit * BLOCK
        image[y : y + BLOCK, LEFT:RIGHT] = 235 if _coded(number) >> bit & 1 else 20
    return image


def _coded(number):
    return number << 1 | number.bit_count() & 1


def number_in(image, shown=SIZE, window=None):
    """Number in a picture; None if it has none.

    Args:
        image: uint8 (H, W, 3): the whole picture, or a part of it.
        shown: (width, height) of the whole picture.
        window: x0, y0, x1, y1 of the part in the whole picture, px; all of it if omitted.
    """
    x0, y0, x1, y1 = window or (0, 0, *shown)
    sx, sy = shown[0] / SIZE[0], shown[1] / SIZE[1]
    fx, fy = image.shape[1] / (x1 - x0), image.shape[0] / (y1 - y0)
    coded = 0
    for bit in range(BITS):
        top, left = TOP + bit * BLOCK, LEFT
        rows = [int(((top + BLOCK * part) * sy - y0) * fy) for part in (0.3, 0.7)]
        columns = [int(((left + (RIGHT - LEFT) * part) * sx - x0) * fx) for part in (0.25, 0.65)]
        block = image[rows[0] : rows[1] + 1, max(0, columns[0]) : columns[1] + 1]
        if not block.size:
            return None
        coded |= int(block.mean() > 128) << bit
    number = coded >> 1
    return number if _coded(number) == coded else None
