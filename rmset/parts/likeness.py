"""Perceptual hashes: pictures that look alike have hashes that differ in few bits.

The hash is a difference hash (dHash) of 256 bits: the signs of the horizontal differences of a 17 x 16 gray thumbnail.
It survives re-encoding, scaling and uniform changes of brightness and contrast; it does not identify a person.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from rmset.parts.picture_size import check_picture
from rmset.parts.pictures import JPEG, decode

SIDE = 16
BITS = SIDE * SIDE
BYTES = BITS // 8

# Side to which a JPEG is decoded at least, px: twice that of the thumbnail.
_SMALL = 34

Hashes = npt.NDArray[np.uint8]


def likeness(image: npt.NDArray[np.uint8]) -> bytes:
    """Return the perceptual hash of a picture, 32 bytes.

    Args:
        image: (H, W) or (H, W, 3), any size.
    """
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits(small[:, 1:] > small[:, :-1]).tobytes()


def likeness_of(data: bytes) -> bytes:
    """Return the perceptual hash of an encoded picture, 32 bytes; of a JPEG without decoding all of it.

    Raises:
        ValueError: it cannot be decoded.
    """
    if not data.startswith(JPEG):
        return likeness(decode(data))
    check_picture(data)
    gray = simplejpeg.decode_jpeg(data, colorspace="GRAY", min_height=_SMALL, min_width=_SMALL)
    return likeness(np.asarray(gray, np.uint8)[..., 0])
