"""Composed mashups: the truth matches the video, and a detector finds their people."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmset.errors import RmsetError, UsageError, VideoError
from rmset.synth.clips import ClipSource, find_clips, ping_pong
from rmset.synth.compose import compose, compose_clips, compose_demo
from rmset.synth.layouts import LAYOUTS, PanelLayout, capacity, make_layout
from rmset.synth.panels import PanelFrame
from rmset.truth import Truth

SMALL = (320, 180)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


class Flat:
    """A panel of one color whose brightness encodes the frame."""

    def __init__(self, color: tuple[int, int, int]) -> None:
        self.color = color

    def frame(self, index: int, size: tuple[int, int]) -> PanelFrame:
        image = np.full((size[1], size[0], 3), self.color, np.uint8)
        return PanelFrame(image, (1.0, 2.0, 21.0, 32.0), "neutral")

    def loop_points(self, frames: int) -> tuple[int, ...]:
        return ()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames at 10 frames/s, each brighter than the one before."""
    path = tmp_path_factory.mktemp("clips") / "person_a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for i in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 20 + 20 * i, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    path = tmp_path_factory.mktemp("demo") / "demo.mp4"
    return path, compose_demo(path, seconds=2.5, size=(480, 270), people=3, layout="2x2", seed=5)


def test_the_truth_beside_a_mashup_is_the_one_returned(demo: tuple[Path, Truth]) -> None:
    path, truth = demo
    read = Truth.read(path.with_name("demo.truth.json"))
    assert read.segments == truth.segments
    assert len(read.faces) == len(truth.faces) == 75 * 3
    assert len(frames_of(path)) == 75


def test_every_face_of_the_truth_lies_in_its_panel(demo: tuple[Path, Truth]) -> None:
    _, truth = demo
    panels = truth.segments[0].panels
    for face in truth.faces:
        x0, y0, x1, y1 = panels[face.person]
        assert face.visible > 0.95
        assert x0 <= (face.box[0] + face.box[2]) / 2 <= x1
        assert y0 <= (face.box[1] + face.box[3]) / 2 <= y1


def test_people_of_a_mashup_show_more_than_one_expression(demo: tuple[Path, Truth]) -> None:
    assert len({face.expression for face in demo[1].faces}) > 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(demo: tuple[Path, Truth], tmp_path: Path) -> None:
    again = tmp_path / "demo.mp4"
    compose_demo(again, seconds=2.5, size=(480, 270), people=3, layout="2x2", seed=5)
    assert sha256(again) == sha256(demo[0])
    assert sha256(again.with_name("demo.truth.json")) == sha256(demo[0].with_name("demo.truth.json"))
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["demo.mp4", "demo.truth.json"]


def test_colors_come_back_from_the_video_as_they_went_in(tmp_path: Path) -> None:
    color = (200, 60, 40)
    layout = PanelLayout("one", (256, 128), (0, 0, 128, 128), {0: (128, 0, 256, 128)})
    compose(tmp_path / "flat.mp4", layout, {0: Flat(color)}, Flat((30, 90, 200)), 2, 30.0)
    with av.open(str(tmp_path / "flat.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.colorspace == 1  # BT.709
        frame = next(container.decode(stream))
        seen = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
    assert np.abs(seen[64, 192].astype(int) - color).max() <= 6


def test_a_failure_leaves_no_file_behind(tmp_path: Path) -> None:
    class Broken(Flat):
        def frame(self, index: int, size: tuple[int, int]) -> PanelFrame:
            raise VideoError("broken")

    layout = make_layout("2x2", 1, SMALL)
    with pytest.raises(VideoError):
        compose(tmp_path / "x.mp4", layout, {0: Broken((0, 0, 0))}, Flat((0, 0, 0)), 3, 30.0)
    assert list(tmp_path.iterdir()) == []


def test_visible_is_the_share_that_the_panel_shows_and_the_film_does_not_cover(tmp_path: Path) -> None:
    class Face(Flat):
        def __init__(self, box: tuple[float, float, float, float]) -> None:
            super().__init__((9, 9, 9))
            self.box = box

        def frame(self, index: int, size: tuple[int, int]) -> PanelFrame:
            return PanelFrame(super().frame(index, size).image, self.box)

    layout = PanelLayout("x", (200, 100), (150, 50, 200, 100), {0: (0, 0, 100, 100), 1: (100, 0, 200, 100)})
    people = {0: Face((90, 0, 110, 10)), 1: Face((40, 40, 60, 60))}
    truth = compose(tmp_path / "x.mp4", layout, people, Flat((0, 0, 0)), 1, 30.0)
    assert [face.visible for face in truth.faces] == [0.5, 0.75]
    assert truth.faces[1].box == (140, 40, 160, 60)


@given(length=st.integers(1, 50), index=st.integers(0, 500))
def test_ping_pong_moves_by_one_and_turns_only_at_the_ends(length: int, index: int) -> None:
    here, there = ping_pong(index, length), ping_pong(index + 1, length)
    assert 0 <= here < length
    assert abs(there - here) == (1 if length > 1 else 0)
    if index and length > 2 and ping_pong(index - 1, length) == there:
        assert here in (0, length - 1)


def test_a_clip_goes_to_its_end_and_back(clip: Path) -> None:
    source = ClipSource(clip, (48, 32), frames=75, fps=30.0)
    shown = [round((float(source.frame(i, (48, 32)).image.mean()) - 20) / 20) for i in range(0, 75, 3)]
    assert shown == [ping_pong(i, 10) for i in range(25)]
    # step 9 is the last frame; the first step back is frame 30, the first one forth again is frame 57
    assert source.loop_points(75) == (30, 57)


def test_the_largest_detected_face_is_mapped_into_the_panel_and_remembered(clip: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, ...]] = []

    def detect(rgb: np.ndarray) -> np.ndarray:
        calls.append(rgb.shape)
        return np.float32([[0, 0, 4, 4], [32, 16, 64, 48]])

    for _ in range(2):
        source = ClipSource(clip, (64, 64), frames=4, fps=10.0, detect=detect, cache=tmp_path)
        # 96x64 covers 64x64 at scale 1, 16 pixels lost at either side
        assert source.frame(0, (64, 64)).box == (16.0, 16.0, 48.0, 48.0)
    assert calls == [(64, 96, 3)] * 4


def test_clips_are_composed_with_loop_points_in_the_truth(clip: Path, tmp_path: Path) -> None:
    truth = compose_clips(tmp_path / "m.mp4", clip.parent, clip, seconds=2.0, size=SMALL, layout="2x2", fps=10.0)
    assert list(truth.segments[0].panels) == [0]
    assert truth.loop_points == {0: (10, 19)}


def test_only_clips_of_people_are_taken_where_some_are_called_so(tmp_path: Path) -> None:
    for name in ("film.mp4", "person_b.mov", "person_a.mp4", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in find_clips(tmp_path)] == ["person_a.mp4", "person_b.mov"]


def test_bad_input_is_one_line_and_writes_nothing(clip: Path, tmp_path: Path) -> None:
    empty = tmp_path / "in"
    empty.mkdir()
    out = tmp_path / "x.mp4"
    with pytest.raises(UsageError, match="expected videos"):
        compose_clips(out, empty, None, size=SMALL)
    (empty / "person_x.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match="person_x"):
        compose_clips(out, empty, None, size=SMALL, layout="2x2")
    with pytest.raises(UsageError, match="expected 3 clips"):
        compose_clips(out, clip.parent, None, size=SMALL, people=3, layout="2x2")
    for bad in ({"size": (321, 180)}, {"people": 9}, {"layout": "4x4"}, {"seconds": 0.0}):
        with pytest.raises(RmsetError) as caught:
            compose_demo(out, **bad)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@settings(max_examples=200)
@given(
    name=st.sampled_from(sorted(LAYOUTS)),
    people=st.integers(1, 24),
    width=st.integers(160, 1920).map(lambda v: v * 2),
    height=st.integers(120, 1080).map(lambda v: v * 2),
)
def test_panels_share_no_pixel_with_each_other_nor_with_the_film(
    name: str, people: int, width: int, height: int
) -> None:
    people = min(people, capacity(name))
    with suppress(UsageError):
        layout = make_layout(name, people, (width, height))
        check_disjoint(layout, people)


def check_disjoint(layout: PanelLayout, people: int) -> None:
    width, height = layout.frame_size
    assert sorted(layout.panels) == list(range(people))
    boxes = list(layout.panels.values())
    # an inset film lies over the last panel and over no other; a film in the center lies over where panels meet
    if layout.name == "inset":
        boxes = [*boxes[:-1], layout.trigger]
    elif layout.name != "center":
        boxes = [*boxes, layout.trigger]
    owner = np.zeros((height, width), np.int8)
    for x0, y0, x1, y1 in boxes:
        assert all(v % 2 == 0 for v in (x0, y0, x1, y1))
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        owner[y0:y1, x0:x1] += 1
    assert owner.max() == 1


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_layout_composes_at_full_hd(name: str) -> None:
    layout = make_layout(name, None, (1920, 1080))
    smallest = min((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in layout.panels.values())
    assert smallest > 200 * 150
