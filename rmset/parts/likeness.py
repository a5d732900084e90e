"""Perceptual hashes: pictures that look alike have hashes that differ in few bits.

The hash is a difference hash (dHash) of 256 bits: the signs of the horizontal differences of a 17 x 16 gray thumbnail.
It survives re-encoding, scaling and uniform changes of brightness and contrast; it does not identify a person.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from rmset.parts.picture_size import check_picture
from rmset.parts.pictures import JPEG, decode

SIDE = 16
BITS = SIDE * SIDE
BYTES = BITS // 8
_KEYS = BYTES // 2  # parts of 16 bits
_BLOCK = 1 << 22
"""pairs of hashes compared at once: 128 MB"""

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


def alike(ours: Hashes, theirs: Hashes, most: int) -> Iterator[tuple[int, int, int]]:
    """Find pairs of hashes that differ in at most `most` bits: yields (row of ours, row of theirs, bits).

    Of two hashes that differ in fewer bits than there are parts of 16 bits, at least one part is equal, so that
    only rows that share a part with any of theirs are compared (multi-index hashing, Norouzi et al., CVPR 2012).

    Args:
        ours: (N, 32) uint8.
        theirs: (M, 32) uint8; the smaller set.
        most: below 16.
    """
    if not 0 <= most < _KEYS:
        raise ValueError(f"expected at most 0 to {_KEYS - 1} bits, found {most}")
    if not (len(ours) and len(theirs)):
        return
    mine, other = (np.ascontiguousarray(h).view(np.uint16) for h in (ours, theirs))
    possible = np.zeros(len(ours), np.bool_)
    for part in range(_KEYS):
        known = np.zeros(1 << 16, np.bool_)
        known[other[:, part]] = True
        possible |= known[mine[:, part]]
    rows = np.flatnonzero(possible)
    words, wanted = (np.ascontiguousarray(h).view(np.uint64) for h in (ours[rows], theirs))
    step = max(1, _BLOCK // len(theirs))
    for low in range(0, len(rows), step):
        apart = np.bitwise_count(words[low : low + step, None] ^ wanted[None]).sum(axis=2)
        for row, column in np.argwhere(apart <= most):
            yield int(rows[low + row]), int(column), int(apart[row, column])
