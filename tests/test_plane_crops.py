"""Crops from planes: nearly as exact as in floats, for any matrix and range, without a neighbor's color."""

import av
import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from rmset.parts.cropping import cut, windows
from rmset.parts.frames import VideoReader
from rmset.parts.pictures import decode
from rmset.parts.pixels import to_rgb
from rmset.parts.plane_crops import ColorFrame, PlaneFrame, encoded, picture_of

LIMITED, FULL = 1, 2
LEFT, BETWEEN = 0.5, 1.0
"""Where chroma lies in its pair of columns, from the left edge."""
FROM_JPEG = np.array([[1, 0, 1.402], [1, -0.344136286, -0.714136286], [1, 1.772, 0]])
NO_BOUNDS = (0.0, 0.0, 512.0, 512.0)


def at_luma(plane, sited):
    """Upsample a chroma plane (h, w) to the pixels of luma (2h, 2w), in floats."""
    h, w = plane.shape
    places = np.array([[0.5, 0, (0.5 - sited) / 2], [0, 0.5, -0.25]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        plane.astype(np.float32), places, (2 * w, 2 * h), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )


def frame_of(y, cb, cr, colorspace, full):
    frame = av.VideoFrame.from_ndarray(
        np.concatenate([y.ravel(), cb.ravel(), cr.ravel()]).astype(np.uint8).reshape(-1, y.shape[1]), format="yuv420p"
    )
    frame.colorspace, frame.color_range = colorspace, FULL if full else LIMITED
    return frame


def photo(colorspace, full):
    """The astronaut photograph as a decoded frame, and the same in floats, RGB, computed from its planes."""
    matrix = to_rgb(colorspace, full).astype(np.float64)
    yuv = (astronaut().astype(np.float64) - matrix[:, 3]) @ np.linalg.inv(matrix[:, :3]).T
    y = np.clip(yuv[..., 0].round(), 0, 255)
    sited = BETWEEN if full else LEFT
    wide = cv2.GaussianBlur(yuv[..., 1:], (5, 5), 1.2)
    # any chroma works: the reference uses these samples at their true places
    cb, cr = (np.clip(wide[::2, ::2, i].round(), 0, 255) for i in range(2))
    true = np.dstack([y, at_luma(cb, sited), at_luma(cr, sited)]) @ matrix[:, :3].T + matrix[:, 3]
    return frame_of(y, cb, cr, colorspace, full), np.clip(true, 0, 255).astype(np.float32)


def reference(image, box, size):
    """The crop in floats."""
    (x0, y0, x1, y1), inside = windows(box, NO_BOUNDS, (512, 512))
    part = image[inside[1] : inside[3], inside[0] : inside[2]]
    part = cv2.copyMakeBorder(
        part, inside[1] - y0, y1 - inside[3], inside[0] - x0, x1 - inside[2], cv2.BORDER_REPLICATE
    )
    how = cv2.INTER_AREA if max(part.shape[:2]) > size else cv2.INTER_CUBIC
    return np.clip(cv2.resize(part, (size, size), interpolation=how), 0, 255)


def shown(crop):
    """Convert a crop's planes to RGB as in a JPEG viewer, before compression."""
    size = crop.luma.shape[0]
    chroma = [at_luma(plane, BETWEEN)[:size, :size] - 128.0 for plane in crop.chroma]
    return np.clip(np.dstack([crop.luma.astype(np.float64), *chroma]) @ FROM_JPEG.T, 0, 255)


def psnr(one, other):
    return 10 * np.log10(255**2 / np.mean((one.astype(np.float64) - other) ** 2))


@pytest.mark.parametrize("size", [48, 65, 260])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("colorspace", [1, 5, 6, 7, 9])
def test_planes_lose_no_more_than_rgb_did_and_shift_no_color(colorspace, full, size):
    frame, true = photo(colorspace, full)
    rgb, planes = frame.to_ndarray(format="rgb24"), PlaneFrame(frame)
    for box in ((170.4, 31.7, 276.0, 169.2), (200.0, 60.0, 244.5, 118.3), (-20.0, 300.0, 101.0, 540.0)):
        wanted = reference(true, box, size)
        # A JPEG halves the chroma of both: so does this, without compressing.
        before = decode(encoded(cut(rgb, box, NO_BOUNDS, size), "jpeg", 100))
        now = planes.cut(box, NO_BOUNDS, size)
        assert psnr(wanted, shown(now)) > psnr(wanted, before) - 0.5
        assert np.abs((shown(now) - wanted).mean(axis=(0, 1))).max() < 0.5
        assert now.padding == pytest.approx(cut(rgb, box, NO_BOUNDS, size).padding)


@pytest.mark.parametrize(("full", "sited"), [(False, LEFT), (True, BETWEEN)])
@pytest.mark.parametrize("left", [20, 21])
def test_chroma_is_taken_where_it_lies(full, sited, left):
    # Cb is the distance from the left edge in pixels, so that every sample encodes its source place.
    cb = np.broadcast_to(2 * np.arange(64) + sited, (64, 64)).round()
    frame = frame_of(np.full((128, 128), 128), cb, np.full((64, 64), 128), 5, full)
    crop = PlaneFrame(frame).cut((left, 30.0, left + 64.0, 94.0), (0, 0, 128, 128), 64, 0.0)
    taken = (crop.chroma[0][10].astype(float) - 128) / (1 if full else 255 / 224) + 128
    # A sample of the crop lies between its pixels 2j and 2j + 1; `round` above has moved 2k + 0.5 to an even number.
    moved = (cb[0] - (2 * np.arange(64) + sited)).mean()
    assert taken == pytest.approx(left + 2 * np.arange(32) + 1 + moved, abs=0.75)


def test_a_crop_has_no_color_from_beyond_its_panel():
    red = np.full((64, 64), 128)
    red[:, 32:] = 240
    frame = frame_of(np.full((128, 128), 128), np.full((64, 64), 128), red, 1, False)
    crop = PlaneFrame(frame).cut((30.0, 20.0, 80.0, 90.0), (0.0, 0.0, 64.0, 128.0), 40)
    assert crop.chroma[1].max() == 128
    assert crop.padding > 0.2
    with pytest.raises(ValueError, match="shares a pixel"):
        PlaneFrame(frame).cut((70.0, 20.0, 80.0, 90.0), (0.0, 0.0, 64.0, 128.0), 40)


def written(path, pixels, colorspace=1, rate=10):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=rate, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, pixels
        stream.codec_context.colorspace = colorspace
        for i in range(3):
            image = cv2.resize(astronaut(), (128, 96))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(image, i, 0), format="rgb24")))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("pixels", "form", "way"),
    [
        ("yuv420p", "jpeg", PlaneFrame), ("yuvj420p", "jpeg", PlaneFrame), ("yuv420p10le", "jpeg", PlaneFrame),
        ("yuv420p", "png", ColorFrame), ("yuv420p", "webp", ColorFrame), ("yuv444p", "jpeg", ColorFrame),
        ("yuv422p", "jpeg", ColorFrame),
    ],
)  # fmt: skip
def test_what_is_not_halved_twice_keeps_its_exact_way(tmp_path, pixels, form, way):
    with VideoReader(written(tmp_path / "x.mkv", pixels)) as reader:
        frame = next(iter(reader.frames()))
        assert isinstance(picture_of(frame, form), way)


def test_both_ways_show_the_same_face(tmp_path):
    with VideoReader(written(tmp_path / "x.mp4", "yuv420p")) as reader:
        frame = next(iter(reader.frames()))
        box, bounds = (40.0, 10.0, 80.0, 60.0), (0.0, 0.0, 128.0, 96.0)
        planes = decode(encoded(picture_of(frame, "jpeg").cut(box, bounds, 64, 0.31), "jpeg", 95))
        rgb = cut(frame.rgb, box, bounds, 64).image
    assert planes.shape == (64, 64, 3)
    assert psnr(planes, rgb) > 33
