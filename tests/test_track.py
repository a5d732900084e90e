"""Tracking: every face of every frame, with the right id."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from rmset.engine import build
from rmset.inspect import evaluate, stats
from rmset.parts.shards import read_faces
from rmset.pipeline import check_tracks, run_stage
from rmset.root import Root
from rmset.stages.track import TrackConfig
from rmset.synth.encode import Encoder
from rmset_cli.rmset.app import app


@pytest.fixture
def root(laid_out_root, tmp_path):
    shutil.copytree(laid_out_root.path, tmp_path / "root")
    return Root(tmp_path / "root")


def tracked(root, **config):
    (video_id,) = root.video_ids()
    outcome = run_stage(root, video_id, "track", TrackConfig(**config))
    assert outcome.status == "done", outcome.error
    return video_id, outcome.counts


@pytest.mark.parametrize(
    "config",
    [{}, {"assign": "reference"}, {"search": "panel"}, {"search": "frame", "assign": "reference"}],
    ids=["follow", "follow-reference", "panel", "paper"],
)
def test_every_face_is_found_with_its_name_and_none_in_the_film(root, mashup, config):
    video_id, _ = tracked(root, **config)
    scores = evaluate.video(root, video_id, mashup[1]).row
    assert scores["recall"] >= 0.99
    assert scores["idf1"] >= 0.99
    assert scores["id_switches"] == 0
    assert scores["boxes_in_trigger"] == 0


def test_following_gives_nearly_the_boxes_of_searching_every_frame(root, mashup):
    video_id, _ = tracked(root, search="panel")
    exact = evaluate.video(root, video_id, mashup[1]).row
    tracked(root, search="follow")
    followed = evaluate.video(root, video_id, mashup[1]).row
    assert followed["hota"] >= exact["hota"] - 0.03


def test_a_row_says_how_its_box_came_about(root):
    video_id, _ = tracked(root, check_every=10)
    table = read_faces(root.files.local(root.tracks_key(video_id)))
    sources = set(table["source"].to_pylist())
    assert {"detected", "refined"} <= sources
    assert (np.diff(table["person_id"].to_numpy().astype(int)) >= 0).all(), "rows are by person, then frame"


def test_a_stride_looks_at_every_third_frame(root):
    video_id, counts = tracked(root, stride=3)
    frames = read_faces(root.files.local(root.tracks_key(video_id)))["frame_idx"].to_numpy()
    assert counts["frames"] == 16
    assert set(frames % 3) == {0}


def test_times_are_those_of_the_stream(root):
    video_id, _ = tracked(root)
    table = read_faces(root.files.local(root.tracks_key(video_id)))
    np.testing.assert_allclose(table["time_ms"].to_numpy(), table["frame_idx"].to_numpy() * 1000 / 30, atol=1)


def test_tracking_twice_gives_the_same_bytes(root):
    video_id, _ = tracked(root)
    first = root.files.local(root.tracks_key(video_id)).read_bytes()
    run_stage(root, video_id, "track", TrackConfig(), force=True)
    assert root.files.local(root.tracks_key(video_id)).read_bytes() == first


def test_a_check_accepts_good_tracks_and_records_the_result(root):
    video_id, _ = tracked(root)
    (video, check) = build(root, [video_id], [("track", TrackConfig())], check=6)
    assert (video.status, check.status) == ("already done", "done")
    found = root.stage_record("track", video_id).counts["check"]
    assert (found["frames"], found["recall"], found["unseen"]) == (6, 1.0, 0)
    assert found["faces"] == 18  # three people
    assert found["mean_iou"] > 0.85
    assert [o.stage for o in build(root, [video_id], [("track", TrackConfig())], check=6)] == ["track"], "done once"


def test_a_check_reports_missing_people_and_status_warns(root):
    (video_id,) = root.video_ids()
    layout = root.layout(video_id)
    (segment,) = layout.segments
    # In a corner without a face no person is found, and the film's people are not tracked.
    lost = replace(segment.people[0], box=(0.0, 0.0, 30.0, 36.0))
    root.write_layout(replace(layout, segments=(replace(segment, people=(lost, *segment.people[1:])),)))
    tracked(root, assign="reference")
    check_tracks(root, video_id, 6)
    found = root.stage_record("track", video_id).counts["check"]
    assert found["recall"] == pytest.approx(2 / 3, abs=1e-3)
    told = CliRunner().invoke(app, ["status", "--root", str(root.path), "--format", "json"])
    assert "tracks miss 33%" in json.loads(told.stdout)[0]["why"]


def _clip(path, pictures, fps=30):
    """Encode pictures uint8 (H, W, 3) RGB."""
    with Encoder(path, (pictures[0].shape[1], pictures[0].shape[0]), fps) as encoder:
        for picture in pictures:
            encoder.write(picture)


def test_a_face_that_goes_ends_its_track_and_begins_a_new_one_when_it_returns(tmp_path):
    from rmset.layout_record import Layout, Person, Segment
    from rmset.stages import fetch
    from rmset.synth.faces import Person as Face
    from rmset.synth.faces import Pose
    from rmset.synth.identity import cast

    face = Face(cast("test", 1, 0)[0])
    there = face.render("neutral", 0.0, Pose(), (320, 240))
    gone = np.full((240, 320, 3), 90, np.uint8)
    _clip(tmp_path / "clip.mp4", [there.image] * 40 + [gone] * 80 + [there.image] * 40)
    root = Root(tmp_path / "root")
    record = fetch.add(root, tmp_path / "clip.mp4")
    box = tuple(float(np.clip(v, 0, hi)) for v, hi in zip(there.box, (320, 240, 320, 240), strict=True))
    people = (Person(0, box, (0, 0, 320, 240)),)
    root.write_layout(Layout(record.video_id, (320, 240), (Segment(0, 160, 0, (), people),)))
    tracked(root)
    table = read_faces(root.files.local(root.tracks_key(record.video_id)), ["part", "frame_idx"]).to_pylist()
    frames = [[r["frame_idx"] for r in table if r["part"] == part] for part in sorted({r["part"] for r in table})]
    parts = [(min(f), max(f)) for f in frames]
    assert len(parts) == 2
    assert stats.per_video(root)[0]["gaps"] == 1
    assert abs(parts[0][1] - 39) <= 10
    assert abs(parts[1][0] - 120) <= 10


def test_a_face_as_large_as_its_panel_is_held_where_it_is(tmp_path):
    from rmset.geometry import as_boxes, paired_iou
    from rmset.layout_record import Layout, Person, Segment
    from rmset.stages import fetch
    from rmset.synth.faces import Person as Face
    from rmset.synth.faces import Pose
    from rmset.synth.identity import cast

    faces = [Face(person) for person in cast("close", 2, 3)]
    # Two wide panels, one over the other, that show little but a face; its chin or its brow is cut a little.
    shows = [face.render("neutral", 0.0, Pose(), (480, 480)) for face in faces]
    tops = [int(p.box[1]) for p in shows]
    tall = [round(0.97 * (p.box[3] - p.box[1])) // 2 * 2 for p in shows]
    steps = [round(0.03 * tall[0] * np.sin(k / 5)) for k in range(90)]
    pictures = [
        np.vstack([p.image[t + k : t + k + h] for p, t, h in zip(shows, tops, tall, strict=True)]) for k in steps
    ]
    _clip(tmp_path / "close.mp4", pictures)
    root = Root(tmp_path / "root")
    record = fetch.add(root, tmp_path / "close.mp4")
    panels = [(0.0, 0.0, 480.0, float(tall[0])), (0.0, float(tall[0]), 480.0, float(sum(tall)))]
    size = record.frame_size
    at = [as_boxes([np.add(p.box, (0, y - t - k, 0, y - t - k)) for k in steps])
          for p, t, (_, y, _, _) in zip(shows, tops, panels, strict=True)]  # fmt: skip
    people = tuple(
        Person(i, (float(b[0][0]), panels[i][1], float(b[0][2]), panels[i][3]), panels[i]) for i, b in enumerate(at)
    )
    root.write_layout(Layout(record.video_id, size, (Segment(0, len(steps), 0, (), people),)))
    tracked(root)
    rows = read_faces(root.files.local(root.tracks_key(record.video_id))).to_pylist()
    for person, boxes in enumerate(at):
        mine = sorted((r for r in rows if r["person_id"] == person), key=lambda r: r["frame_idx"])
        assert [r["frame_idx"] for r in mine] == list(range(len(steps)))
        found = as_boxes([[r[n] for n in ("x0", "y0", "x1", "y1")] for r in mine])
        assert paired_iou(found, boxes).min() > 0.6


def test_a_person_without_a_panel_is_followed_anywhere_and_keeps_the_id(tmp_path):
    from rmset.layout_record import Layout, Person, Segment
    from rmset.stages import fetch
    from rmset.synth.faces import Person as Face
    from rmset.synth.faces import Pose
    from rmset.synth.identity import cast

    faces = [Face(person) for person in cast("street", 2, 0)]

    def at(x):
        """Boxes at a time: the first person walks from left to right, the second stands in the middle."""
        pictures = [face.render("neutral", 0.0, Pose(), (160, 240)) for face in faces]
        whole = np.full((240, 800, 3), 90, np.uint8)
        whole[:, 320:480] = pictures[1].image
        whole[:, x : x + 160] = pictures[0].image
        return whole, [np.add(p.box, (dx, 0, dx, 0)) for p, dx in zip(pictures, (x, 320), strict=True)]

    steps = [0] * 10 + list(range(0, 641, 8)) + [640] * 10
    _clip(tmp_path / "walk.mp4", [at(x)[0] for x in steps])
    root = Root(tmp_path / "root")
    record = fetch.add(root, tmp_path / "walk.mp4")
    people = tuple(Person(i, tuple(map(float, box))) for i, box in enumerate(at(0)[1]))
    root.write_layout(Layout(record.video_id, (800, 240), (Segment(0, len(steps), 0, (), people),)))
    tracked(root)
    rows = read_faces(root.files.local(root.tracks_key(record.video_id))).to_pylist()
    where = {p: {r["frame_idx"]: (r["x0"] + r["x1"]) / 2 for r in rows if r["person_id"] == p} for p in (0, 1)}
    assert where[0][5] < 160 < 640 < where[0][len(steps) - 5], "the first has crossed the picture"
    assert all(320 < x < 480 for x in where[1].values()), "the second keeps their id, even while hidden"


@pytest.mark.parametrize(
    ("clip", "man_comes_first"),
    [("face_noface.mov", True), pytest.param("noface_face.mov", False, marks=pytest.mark.slow)],
)
def test_a_cut_between_a_man_and_a_cartoon_ends_or_starts_the_track(real_data, tmp_path, clip, man_comes_first):
    from rmset.layout_record import Layout, Person, Segment
    from rmset.stages import fetch

    root = Root(tmp_path / "root")
    record = fetch.add(root, real_data / "clips" / clip)
    cut = _cut(root.video_path(record.video_id))
    people = (Person(0, (320.0, 109.0, 545.0, 434.0), (0, 0, *map(float, record.frame_size))),)
    reference = 0 if man_comes_first else record.frame_count - 1
    segment = Segment(0, record.frame_count, reference, (), people)
    root.write_layout(Layout(record.video_id, record.frame_size, (segment,)))
    tracked(root)
    frames = read_faces(root.files.local(root.tracks_key(record.video_id)))["frame_idx"].to_numpy()
    begins, ends = (0, cut) if man_comes_first else (cut, record.frame_count)
    assert abs(int(frames.min()) - begins) <= 10
    assert abs(int(frames.max()) + 1 - ends) <= 10


def _cut(path):
    """First frame after the largest change of the picture, without the ends, where one clip has another cut."""
    from rmset.parts.frames import VideoReader

    with VideoReader(path) as reader:
        small = np.stack([f.rgb[::16, ::16].astype(int) for f in reader.frames()])
    change = np.abs(np.diff(small, axis=0)).mean(axis=(1, 2, 3))
    return int(change[:-10].argmax()) + 1
