"""Limits of pictures, checked before decoding: bytes, and pixels by the file header.

A JPEG of 691 bytes can claim 65,500 × 65,500 pixels, which would take 12 GB to decode.
"""

from __future__ import annotations

import io
import struct
import warnings

MOST_PIXELS = 100_000_000
"""most pixels of a picture; a frame of 8K video has 33 million"""
MOST_BYTES = 256 << 20
"""most bytes of an encoded picture"""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"


def check_picture(data: bytes) -> None:
    """Raise for a picture that is too large to decode.

    Unknown formats pass; the decoder rejects them.

    Raises:
        ValueError: it has too many bytes or pixels.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"expected a picture of at most {MOST_BYTES:,} bytes, found {len(data):,}")
    size = _size(data)
    if size is not None and size[0] * size[1] > MOST_PIXELS:
        raise ValueError(f"expected a picture of at most {MOST_PIXELS:,} pixels, found {size[0]}×{size[1]}")


def _size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the header; None if unknown."""
    if data.startswith(_PNG) and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return int(width), int(height)
    if data.startswith(_JPEG):
        import simplejpeg

        try:
            high, wide, *_ = simplejpeg.decode_jpeg_header(data)
        except ValueError:
            pass  # kinds that turbojpeg does not know; another decoder may
        else:
            return int(wide), int(high)
    from PIL import Image

    with warnings.catch_warnings():
        # it warns of large pictures, which is what this is about
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data)) as picture:
                return picture.size
        except Image.DecompressionBombError:
            return MOST_PIXELS, 2
        except Exception:
            # no picture, or a head that is broken in any way: the decoder has the last word
            return None
