"""Encoding and decoding of JPEG, PNG and WebP. The same pixels give the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from rmset.errors import UsageError
from rmset.parts.frames import Image
from rmset.parts.picture_size import check_picture

PictureFormat = Literal["jpeg", "png", "webp"]
SUFFIX: dict[str, str] = {"jpeg": "jpg", "png": "png", "webp": "webp"}
JPEG = b"\xff\xd8\xff"
"""First bytes of every JPEG. `simplejpeg.is_jpeg` also checks the end; OpenCV fills damaged parts with gray."""


def encoder(form: PictureFormat, quality: int) -> Callable[[Image], bytes]:
    """Return an encoder for images, uint8 (H, W, 3) RGB.

    Args:
        form: jpeg and webp are lossy, png is lossless.
        quality: 1 to 100; not used for png.

    Raises:
        UsageError: an unknown format.
    """
    if form == "jpeg":
        import simplejpeg

        def jpeg(image: Image) -> bytes:
            return bytes(simplejpeg.encode_jpeg(image, quality=quality, colorspace="RGB", colorsubsampling="420"))

        return jpeg
    if form not in SUFFIX:
        raise UsageError(f"--format {form}: expected one of {', '.join(get_args(PictureFormat))}")
    import cv2

    suffix = f".{SUFFIX[form]}"
    settings = [cv2.IMWRITE_WEBP_QUALITY, quality] if form == "webp" else [cv2.IMWRITE_PNG_COMPRESSION, 3]

    def other(image: Image) -> bytes:
        return bytes(cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)[1])

    return other


def decode(data: bytes) -> Image:
    """Decode a picture to uint8 (H, W, 3) RGB.

    Raises:
        ValueError: the bytes are not a picture, or it is too large to decode.
    """
    import simplejpeg

    check_picture(data)
    if data.startswith(JPEG):
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace="RGB"), dtype=np.uint8)
    import cv2

    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error:
        image = None  # a contradictory header
    if image is None:
        raise ValueError(f"expected an encoded picture, found {len(data)} bytes that are none")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
