"""Pictures and times are as in a player: rotations, pixel shapes, colors, and times that never decrease."""

from fractions import Fraction
from itertools import product

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmset.errors import VideoError
from rmset.parts.display import Turn, squared
from rmset.parts.frames import VideoReader
from rmset.parts.pixels import pixels_of
from rmset.parts.times import shown_at

ONE = 1 << 16
EIGHT = [(a * ONE, 0, 0, d * ONE) for a, d in product((1, -1), repeat=2)] + [
    (0, b * ONE, c * ONE, 0) for b, c in product((1, -1), repeat=2)
]


@pytest.mark.parametrize("matrix", EIGHT)
def test_every_pixel_goes_where_the_display_matrix_sends_it(matrix):
    image = np.random.default_rng(0).integers(0, 255, (3, 5, 3)).astype(np.uint8)
    a, b, c, d = (v // ONE for v in matrix)
    places = {(x, y): (a * x + c * y, b * x + d * y) for x in range(5) for y in range(3)}
    left, top = min(x for x, _ in places.values()), min(y for _, y in places.values())
    turn = Turn.of(matrix)
    shown = turn.apply(image)
    assert (shown.shape[1], shown.shape[0]) == turn.size((5, 3))
    for (x, y), (to_x, to_y) in places.items():
        assert (shown[to_y - top, to_x - left] == image[y, x]).all()
    assert turn.is_mirror == (a * d - b * c < 0)


@pytest.mark.parametrize("matrix", [(ONE, ONE // 3, -ONE // 3, ONE), (0, 0, 0, 0), (ONE, 0, 0, 0)])
def test_a_picture_that_would_lie_askew_is_refused_with_the_remedy(matrix):
    with pytest.raises(VideoError, match=r"askew; `ffmpeg -i"):
        Turn.of(matrix)


def test_pixels_are_made_square_by_stretching_one_side():
    assert squared((720, 576), Fraction(16, 11)) == (1047, 576)
    assert squared((1440, 1080), Fraction(4, 3)) == (1920, 1080)
    assert squared((320, 120), Fraction(1, 2)) == (320, 240)
    assert squared((320, 240), None) == squared((320, 240), Fraction(1, 50)) == (320, 240)


stamps = st.lists(st.one_of(st.none(), st.integers(-(10**9), 10**9)), min_size=1, max_size=40)


@given(pts=stamps, dts=stamps, order=st.randoms(use_true_random=False), restarts=st.booleans())
def test_times_begin_at_zero_and_never_run_backwards_whatever_a_container_says(pts, dts, order, restarts):
    count = min(len(pts), len(dts))
    packets = list(range(count))
    order.shuffle(packets)
    times = shown_at(packets, pts[:count], dts[:count], 1 / 90000, 30, restarts=restarts)
    assert len(times.ms) == count
    assert times.ms[0] == 0
    assert np.isfinite(times.ms).all()
    assert (np.diff(times.ms) >= 0).all()


def test_times_that_are_missing_come_from_when_frames_are_decoded():
    times = shown_at([0, 3, 1, 2], [None] * 4, [0, 40, 80, 160], 0.001, 25)
    assert times.ms.tolist() == [0, 40, 80, 160]
    assert times.source == "dts"


def test_a_second_recording_goes_on_where_the_first_ends():
    stamps = [1000, 1040, 1080, 500, 540]
    times = shown_at(range(5), stamps, stamps, 0.001, 25)
    assert times.ms.tolist() == [0, 40, 80, 120, 160]
    assert times.continued == (3,)


def test_a_pause_is_kept_unless_the_container_may_start_its_time_anew():
    stamps = [0, 40, 80, 60_000, 60_040]
    assert shown_at(range(5), stamps, stamps, 0.001, 25).ms.tolist() == stamps
    assert shown_at(range(5), stamps, stamps, 0.001, 25, restarts=True).ms.tolist() == [0, 40, 80, 120, 160]


LUMA = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
RED = (200, 30, 40)


def solid(path, size, coded_as, tag):
    """A video of one color, encoded by the matrix `coded_as`, and tagged with `tag`; 2 is no tag."""
    kr, kb = LUMA[coded_as]
    r, g, b = (v / 255 for v in RED)
    luma = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - luma) / (2 - 2 * kb), (r - luma) / (2 - 2 * kr)
    planes = [round(16 + 219 * luma), round(128 + 224 * cb), round(128 + 224 * cr)]
    width, height = size
    flat = [np.full((height // part) * (width // part), v, np.uint8) for part, v in zip((1, 2, 2), planes, strict=True)]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"crf": "1", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.colorspace = tag
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(np.concatenate(flat).reshape(-1, width), format="yuv420p")
            frame.colorspace = tag
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("size", "coded_as", "tag"),
    [
        ((1280, 720), 1, 2), ((1920, 1080), 1, 2), ((640, 480), 6, 2), ((720, 576), 6, 2),
        ((1280, 720), 6, 6), ((640, 480), 1, 1), ((640, 480), 9, 9),
    ],
    ids=["untagged-720p", "untagged-1080p", "untagged-480p", "untagged-576p", "hd-tagged-601", "sd-tagged-709", "2020"],
)  # fmt: skip
def test_color_is_what_its_tag_says_and_goes_by_size_without_one(tmp_path, size, coded_as, tag):
    with VideoReader(solid(tmp_path / "red.mp4", size, coded_as, tag)) as reader:
        frame = next(reader.frames())
        assert ("color" in reader.index.notes) == (tag == 2 and size[0] > 720)
        patch = pixels_of(frame).patch((0, 0, 64, 64), (8, 8))
    np.testing.assert_allclose(frame.rgb.mean(axis=(0, 1)), RED, atol=3)
    np.testing.assert_allclose(patch.mean(axis=(0, 1)), RED, atol=3)


def test_a_picture_of_another_shape_is_shown_whole_between_black_bars(tmp_path):
    parts = [solid(tmp_path / f"{n}.ts", size, 1, 1) for n, size in enumerate([(320, 240), (120, 240)])]
    (tmp_path / "joined.ts").write_bytes(b"".join(p.read_bytes() for p in parts))
    with VideoReader(tmp_path / "joined.ts") as reader:
        *_, last = reader.frames()
        assert last.rgb.shape == (240, 320, 3)
        patch = pixels_of(last).patch((110, 0, 210, 240), (8, 8))
    np.testing.assert_allclose(last.rgb[:, 104:216].mean(axis=(0, 1)), RED, atol=3)
    np.testing.assert_allclose(patch.mean(axis=(0, 1)), RED, atol=3)
    assert last.rgb[:, :96].max() < 8
    assert last.rgb[:, 224:].max() < 8
