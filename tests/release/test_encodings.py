"""Rebuilding from many encodings: frames exact, boxes within 2 px, crops alike, what is rotted counted right."""

import shutil

import numpy as np
import pytest

from rmset.engine import build
from rmset.inspect.verify import verify
from rmset.read.video import reader_of
from rmset.release import publish, rebuild, summary
from rmset.root import Root
from rmset.stages import fetch
from rmset.stages.export import ExportConfig
from rmset.stages.track import TrackConfig
from rmset.synth.compose import compose_demo
from tests.conftest import true_layout

from .encode import encode
from .measure import numbered, numbers_in, of_boxes, of_crops, wrong_frames

ENCODINGS = {
    # name -> (options, true region in which the frame lies, rate of the original)
    "smaller, 30 to 25 a second, intro cut": (
        ("-vf", "trim=start_frame=37,setpts=PTS-STARTPTS,fps=25,scale=854:480", "-crf", "28"), (0, 0, 854, 480), 30),
    "60 to 30 a second": (("-vf", "fps=30,scale=854:480", "-crf", "26"), (0, 0, 854, 480), 60),
    "letterboxed": (("-vf", "scale=960:540,pad=960:720:0:90", "-crf", "23"), (0, 90, 960, 630), 30),
    "low rate, intro added": (("-vf", "tpad=start=45:color=blue,scale=640:360", "-crf", "30"), (0, 0, 640, 360), 30),
    "same size": (("-crf", "33"), (0, 0, 1280, 720), 30),
}  # fmt: skip
SIZE = (1280, 720)
LEAST_DB = 30


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A root of two mashups, of 30 and 60 frames a second."""
    folder = tmp_path_factory.mktemp("original")
    root = Root(folder / "root")
    for rate, layout in ((30, "2x2"), (60, "side")):
        path = folder / f"videos/at{rate}.mp4"
        truth = compose_demo(path, seconds=8, size=SIZE, layout=layout, fps=rate, seed=rate)
        record = fetch.add(root, path)
        root.write_layout(true_layout(record.video_id, truth))
    steps = [("track", TrackConfig()), ("export", ExportConfig())]
    assert all(o.error is None for o in build(root, root.video_ids(), steps))
    publish(root, folder / "release")
    return folder, root


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ENCODINGS))
def test_another_encoding_gives_the_same_faces(original, tmp_path, name):
    folder, root = original
    how, region, rate = ENCODINGS[name]
    own = next(v for v in root.video_ids() if v.startswith(f"at{rate}"))
    encode(folder / f"videos/at{rate}.mp4", tmp_path / "videos/other.mp4", *how)
    rebuilt = Root(tmp_path / "root")
    found = {o.video_id: o for o in rebuild(rebuilt, folder / "release", folder=tmp_path / "videos")}
    outcome = found[f"video-{own[-8:]}"]
    assert outcome.state == "equivalent", outcome
    assert summary(list(found.values())).causes == {"missing": 1}
    x0, y0, x1, y1 = region
    sx, sy = (x1 - x0) / SIZE[0], (y1 - y0) / SIZE[1]
    numbered(tmp_path / "numbered.mp4", root.record(own).frame_count, rate, SIZE)
    encode(tmp_path / "numbered.mp4", tmp_path / "other.mp4", *how)
    compared, wrong = wrong_frames(rebuilt, outcome.video_id, numbers_in(tmp_path / "other.mp4", region))
    worst = of_boxes(
        rebuilt, outcome.video_id, lambda b: (x0 + b[0] * sx, y0 + b[1] * sy, x0 + b[2] * sx, y0 + b[3] * sy)
    )
    crops = of_crops(root, own, rebuilt, outcome.video_id, every=5)
    print(
        f"{name}: frames {outcome.frames:.3f}, wrong {len(wrong)} of {compared}, boxes within {worst:.2f} px, crops "
        f"{np.mean(crops):.1f} dB (least {crops.min():.1f}, below 30: {np.mean(crops < 30):.1%}), bits {outcome.bits}, "
        f"margin {outcome.margin}"
    )
    assert wrong == []
    assert worst < 2
    assert np.mean(crops) >= LEAST_DB
    assert [f.problem for f in verify(rebuilt, frames=3)] == []
    with reader_of(rebuilt, outcome.video_id) as reader:
        assert outcome.crops <= len(reader.index) * len(root.layout(own).segments[0].people)


@pytest.mark.slow
def test_what_is_rotted_is_counted(original, tmp_path):
    folder, root = original
    (tmp_path / "videos").mkdir()
    shutil.copy(folder / "videos/at30.mp4", tmp_path / "videos/at30.mp4")
    at60 = next(v for v in root.video_ids() if v.startswith("at60"))
    # Of the same name, and hardly any of it left.
    encode(folder / "videos/at60.mp4", tmp_path / f"videos/video-{at60[-8:]}.mp4", "-frames:v", "20")
    outcomes = list(rebuild(Root(tmp_path / "root"), folder / "release", folder=tmp_path / "videos"))
    found = summary(outcomes)
    assert found.videos == {"identical": 1, "rotted": 1}
    assert found.causes == {"changed": 1}
    assert found.whole == pytest.approx(outcomes[0].faces / found.released) or found.whole < 1
