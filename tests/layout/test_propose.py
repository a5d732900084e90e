"""Layout proposals: a generated mashup, ids over segments, checks, and files that are no mashups."""

from dataclasses import replace

import numpy as np
import pytest
from worlds import screens, turned, write_video

from rmset.errors import LayoutError
from rmset.layout_record import Layout, Person, Segment, TriggerRegion
from rmset.parts.frames import VideoReader
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.layout import ProposeConfig, check, is_manual, propose
from rmset.stages.layout.people import with_lasting_ids
from rmset.stages.layout.propose import arranged


def person(number, panel):
    x0, y0, x1, y1 = panel
    return Person(number, (x0 + 10, y0 + 10, x0 + 60, y0 + 70), (float(x0), float(y0), float(x1), float(y1)))


def test_a_panel_that_keeps_its_place_keeps_its_id():
    left, right, below = (0, 0, 100, 100), (100, 0, 200, 100), (0, 100, 100, 200)
    first = Segment(0, 10, 0, (), (person(0, left), person(1, right)))
    title = Segment(10, 20, 10)
    second = Segment(20, 30, 20, (), (person(0, below), person(1, right)))
    ids = [[p.person_id for p in s.people] for s in with_lasting_ids([first, title, second])]
    assert ids == [[0, 1], [], [2, 1]]


def test_neighbors_that_are_alike_become_one_segment():
    people = (person(0, (0, 0, 100, 100)), person(1, (0, 100, 100, 200)))
    film = (TriggerRegion((100.0, 0.0, 200.0, 200.0)),)
    parts = [Segment(0, 10, 0, film, people), Segment(10, 30, 12, film, people)]
    (joined,) = arranged(parts, (200, 200))
    assert (joined.start_frame, joined.end_frame, joined.reference_frame) == (0, 30, 12)


def test_neighbors_with_the_same_faces_are_one_segment_though_fewer_edges_are_seen_in_one():
    fine = (person(0, (0, 0, 100, 100)), person(1, (0, 100, 100, 200)))
    coarse = (fine[0], replace(fine[1], panel=(0.0, 90.0, 130.0, 200.0)))
    film = (TriggerRegion((100.0, 0.0, 200.0, 90.0)),)
    (joined,) = arranged([Segment(0, 30, 12, film, fine), Segment(30, 40, 32, film, coarse)], (200, 200))
    assert [p.panel for p in joined.people] == [p.panel for p in fine]


def test_check_finds_invalid_layouts():
    film = (TriggerRegion((100.0, 0.0, 200.0, 200.0)),)
    inside = Person(0, (120.0, 20.0, 160.0, 60.0))
    twin, other = Person(1, (10.0, 10.0, 50.0, 50.0)), Person(2, (12.0, 12.0, 52.0, 52.0))
    layout = Layout("v", (200, 200), (Segment(0, 10, 0, film, (inside, twin, other)), Segment(12, 20, 12, film)))
    problems = [f.problem for f in check(layout, 25) if f.is_error]
    assert problems == [
        "person 0 is inside a trigger region",
        "people 1 and 2 overlap",
        "belongs to no segment",
        "belongs to no segment",
    ]


def test_a_generated_mashup_is_proposed_right_and_what_is_reviewed_is_kept(tmp_path):
    pytest.importorskip("skimage", reason="generated people need `pip install 'rmset[demo]'`")
    from rmset.synth.compose import compose_demo

    truth = compose_demo(tmp_path / "m.mp4", seconds=6, size=(640, 360), layout="2x2", fps=15, seed=4)
    root = Root(tmp_path / "root")
    video_id = fetch.add(root, tmp_path / "m.mp4").video_id
    counts = propose(root, video_id, ProposeConfig(samples=6))
    (segment,) = root.layout(video_id).segments
    assert counts["people"] == 3
    assert [r.box for r in segment.trigger_regions] == [truth.segments[0].trigger_regions[0]]
    assert not is_manual(root, video_id)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Frames (H, W, 3) of an ordinary mashup of three people, and its truth."""
    pytest.importorskip("skimage", reason="generated people need `pip install 'rmset[demo]'`")
    from rmset.synth.compose import compose_demo

    path = tmp_path_factory.mktemp("shown") / "m.mp4"
    truth = compose_demo(path, seconds=5, size=(640, 360), layout="2x2", fps=12, seed=4)
    with VideoReader(path) as reader:
        return [f.rgb for f in reader.frames()], truth.segments[0].trigger_regions[0]


def proposed(folder, path):
    root = Root(folder / "root")
    video_id = fetch.add(root, path).video_id
    propose(root, video_id, ProposeConfig(samples=5))
    return root.layout(video_id)


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_video_that_is_to_be_shown_turned_is_proposed_as_shown(tmp_path, shown, degrees):
    frames, film = shown
    stored = [np.rot90(f, degrees // 90) for f in frames]
    layout = proposed(tmp_path, turned(write_video(tmp_path / "t.mp4", stored, rate=12), degrees))
    assert layout.frame_size == (640, 360)
    (segment,) = layout.segments
    assert segment.trigger_regions[0].box == pytest.approx(film, abs=2)
    assert len(segment.people) == 3


@pytest.mark.slow
@pytest.mark.parametrize("by", [1, 3])
def test_a_portrait_mashup_of_odd_size_is_proposed(tmp_path, shown, by):
    frames, film = shown
    # Two halves of the screen above one another, a few pixels cut off.
    stacked = [np.concatenate([f[:, :320], f[:, 320:]])[: 720 - by, : 320 - by] for f in frames]
    layout = proposed(tmp_path, write_video(tmp_path / "p.mp4", stacked, rate=12))
    assert layout.frame_size == (320 - by, 720 - by)
    (segment,) = layout.segments
    assert segment.trigger_regions[0].box == pytest.approx((*film[:2], min(film[2], 320 - by), film[3]), abs=2)
    assert len(segment.people) == 3


@pytest.mark.slow
def test_uneven_times_change_nothing(tmp_path, shown):
    frames, film = shown
    times = np.cumsum(np.random.default_rng(0).integers(20, 200, len(frames))).tolist()
    (segment,) = proposed(tmp_path, write_video(tmp_path / "v.mkv", frames, times=times)).segments
    assert segment.trigger_regions[0].box == pytest.approx(film, abs=2)
    assert len(segment.people) == 3


def test_one_frame_of_a_mashup_gives_its_people(tmp_path, shown):
    frames, _ = shown
    (segment,) = proposed(tmp_path, write_video(tmp_path / "one.mp4", frames[:1])).segments
    assert (segment.start_frame, segment.end_frame) == (0, 1)
    assert segment.people


@pytest.mark.slow
def test_damage_in_the_middle_is_survived(tmp_path, shown):
    frames, _ = shown
    content = bytearray(write_video(tmp_path / "d.mp4", frames, rate=12, options={"g": "12"}).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 6000] = np.random.default_rng(0).integers(0, 256, 6000, np.uint8).tobytes()
    (tmp_path / "d.mp4").write_bytes(bytes(content))
    layout = proposed(tmp_path, tmp_path / "d.mp4")
    with VideoReader(tmp_path / "d.mp4") as reader:
        assert layout.segments[-1].end_frame == len(reader.index) > len(frames) * 3 // 4


def gray(value, size):
    return np.full((size[1], size[0]), value, np.uint8)


BAD = {
    "constant color": lambda p: write_video(p, [gray(90, (320, 180))] * 30),
    "one frame": lambda p: write_video(p, screens([(0, 0, 320, 180)], (320, 180), 1)),
    "odd size": lambda p: write_video(p, screens([(0, 0, 160, 181), (160, 0, 321, 181)], (321, 181), 20)),
    "portrait": lambda p: write_video(p, screens([(0, 0, 180, 160), (0, 160, 180, 320)], (180, 320), 20)),
    "tiny": lambda p: write_video(p, [gray(30 + i, (16, 16)) for i in range(10)]),
    "variable frame rate": lambda p: write_video(
        p, screens([(0, 0, 160, 180), (160, 0, 320, 180)], (320, 180), 20), times=[i * i * 7 for i in range(20)]
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_file_that_is_no_mashup_gives_a_clear_reason(tmp_path, kind):
    root = Root(tmp_path / "root")
    video_id = fetch.add(root, BAD[kind](tmp_path / "bad.mp4")).video_id
    with pytest.raises(LayoutError, match="expected faces, found none"):
        propose(root, video_id, ProposeConfig(samples=3))
