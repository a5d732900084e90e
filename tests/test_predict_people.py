"""People of any video followed by the tracker, predicted in batches; smoothing, overlay, tables, roots."""

import csv
import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner

import fertrain
import rmset
from fertrain.evaluation.faces import FaceConfig, found_in, predict_faces
from fertrain.evaluation.features import open_run
from fertrain.evaluation.predict import Frame, Prediction, predicted
from fertrain.evaluation.smooth import smoothed
from fertrain.evaluation.tables import check_table
from fertrain.models.factory import build
from fertrain.models.weights import save
from fertrain.transforms.input_spec import InputSpec
from rmset.errors import UsageError
from rmset.geometry import as_boxes, iou
from rmset.parts.detect.nets import Nets
from rmset.parts.frames import VideoReader
from rmset.parts.pixels import IntegralPixels, pixels_of
from rmset.parts.roam import RoamConfig, Roamer
from rmset_cli.fertrain.app import app

# the network is tiny: waiting threads cost more than they gain
torch.set_num_threads(1)
LABELS = ("calm", "glad", "sad")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """An untrained network as a run."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    folder.mkdir()
    torch.manual_seed(0)
    spec = InputSpec(32, 1, (0.5,), (0.25,), gray=True)
    save(build("deep-emotion", 3, 32), LABELS, spec, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def nets():
    return Nets()


def predict(*words):
    result = CliRunner().invoke(app, ["predict", *map(str, words)])
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def read_csv(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_everyone_in_a_video_without_a_layout_is_followed_under_one_number(mashup, nets):
    path, truth = mashup
    found = []
    with VideoReader(path) as reader:
        roamer = Roamer(nets, truth.frame_size, RoamConfig(look_every=12))
        for frame in reader.frames():
            seen = roamer.step(pixels_of(frame))
            found.append(dict(zip(seen.people.tolist(), seen.faces.boxes, strict=True)))
    numbers = {}
    for true in truth.faces:
        now = found[true.frame]
        overlaps = {p: float(iou(as_boxes([true.box]), box[None])[0, 0]) for p, box in now.items()}
        best = max(overlaps, key=overlaps.get, default=None)
        if best is not None and overlaps[best] > 0.5:
            numbers.setdefault(true.person, []).append(best)
    for person, given in numbers.items():
        assert len(given) >= 0.95 * sum(f.person == person for f in truth.faces)
        assert len(set(given)) == 1
    assert len({given[0] for given in numbers.values()}) == len(numbers) == 3


def test_nobody_is_two_people_in_a_frame_and_a_cut_gives_new_numbers(nets):
    from skimage.data import astronaut

    photo = np.ascontiguousarray(astronaut()[:300, 60:460])
    left, right = photo, np.ascontiguousarray(photo[:, ::-1][60:, 40:])
    right = np.ascontiguousarray(np.pad(right, ((0, 60), (0, 40), (0, 0)), constant_values=200))
    roamer = Roamer(nets, (400, 300), RoamConfig(look_every=8))
    people = []
    for k in range(24):
        seen = roamer.step(IntegralPixels(left if k < 12 else right))
        people.append(seen.people.tolist())
        for a, b in combinations(seen.faces.boxes, 2):
            assert iou(a[None], b[None])[0, 0] < 0.5
    assert all(now == [0] for now in people[:12])
    assert people[12] == [1]
    assert all(now == [1] for now in people[12:])
    gone = Roamer(nets, (400, 300), RoamConfig(look_every=8))
    assert len(gone.step(IntegralPixels(np.zeros((300, 400, 3), np.uint8))).people) == 0
    assert [gone.step(IntegralPixels(left)).people.tolist() for _ in range(6)][-1] == [0]


def test_a_video_gives_one_row_a_face_with_person_and_entropy_in_three_forms(run_folder, mashup, tmp_path):
    for name in ("x.csv", "x.parquet", "x.json"):
        predict(run_folder, mashup[0], "--stride", "4", "-o", tmp_path / name)
    lines, table = read_csv(tmp_path / "x.csv"), pq.read_table(tmp_path / "x.parquet").to_pylist()
    listed = json.loads((tmp_path / "x.json").read_text())
    assert len(lines) == len(table) == len(listed) > 30
    assert list(lines[0]) == list(table[0]) == list(listed[0])
    assert list(lines[0])[-2:] == ["person", "entropy"]
    for line, row, other in zip(lines, table, listed, strict=True):
        assert row == other
        p = np.array([row[name] for name in LABELS])
        assert row["entropy"] == pytest.approx(float(-(p * np.log(p)).sum()))
        assert float(line["entropy"]) == pytest.approx(row["entropy"], abs=1e-5)
        assert int(line["person"]) == row["person"]
    assert {row["person"] for row in table} >= {0, 1, 2}
    assert {row["frame"] % 4 for row in table} == {0}


@pytest.mark.slow
def test_predictions_of_a_video_do_not_depend_on_the_batch(run_folder, mashup):
    run = open_run(run_folder)
    every = list(predict_faces(run, mashup[0], FaceConfig(stride=8), tell=print))
    found = list(found_in(run.spec, mashup[0], FaceConfig(stride=8), lambda *a: None, print))
    alone = [p for face in found for p in predicted(run.model, run.spec, [face])]
    assert [(p.frame.frame, p.person, p.box) for p in every] == [(p.frame.frame, p.person, p.box) for p in alone]
    np.testing.assert_allclose(
        [p.probabilities for p in every], [p.probabilities for p in alone], atol=1e-5
    )  # fmt: skip


def made(person, time, p):
    return Prediction(
        Frame("x", int(time), float(time), np.empty((0, 0, 3), np.uint8)), 0, (0, 0, 1, 1), 1.0, (p, 1 - p), person
    )


def test_smoothing_is_the_mean_over_a_centered_window_of_the_same_person():
    every = [made(0, 0, 1.0), made(1, 0, 0.0), made(0, 100, 0.4), made(None, 100, 0.9), made(0, 250, 0.1)]
    found = smoothed(every, 0.2)
    # by hand: 0 and 100 are within 100 ms of each other, 250 is alone
    assert [round(p.probabilities[0], 6) for p in found] == [0.7, 0.0, 0.7, 0.9, 0.1]
    assert [p.smoothed_s for p in found] == [0.2, 0.2, 0.2, 0.0, 0.2]
    assert found[0].entropy == pytest.approx(-0.7 * np.log(0.7) - 0.3 * np.log(0.3))


@pytest.mark.slow
def test_smoothing_says_so_and_an_overlay_shows_every_frame(run_folder, mashup, tmp_path):
    plain, smooth = tmp_path / "plain.csv", tmp_path / "smooth.csv"
    predict(run_folder, mashup[0], "-o", plain)
    result = predict(run_folder, mashup[0], "--smooth", "0.5", "--overlay", tmp_path / "o.mp4", "-o", smooth)
    assert "averaged over 0.5 s" in result.stderr
    a, b = read_csv(plain), read_csv(smooth)
    assert "smoothed_s" not in a[0]
    assert {row["smoothed_s"] for row in b} == {"0.500"}
    assert [(r["frame"], r["person"], r["x0"]) for r in a] == [(r["frame"], r["person"], r["x0"]) for r in b]

    def jumps(rows):
        own = np.array([[float(r[n]) for n in LABELS] for r in rows if r["person"] == "0"])
        return float(np.abs(np.diff(own, axis=0)).sum())

    assert jumps(b) < 0.5 * jumps(a)
    with VideoReader(mashup[0]) as source, VideoReader(tmp_path / "o.mp4") as drawn:
        assert len(drawn.index) == len(source.index) == 48
        before, after = (next(iter(reader.frames())).rgb.astype(int) for reader in (source, drawn))
    box = as_boxes([[float(a[0][k]) for k in ("x0", "y0", "x1", "y1")]])[0].round().astype(int)
    # a colored line where there was skin or wall
    assert np.abs(before - after)[box[1] : box[1] + 2, box[0] : box[2]].mean() > 30


@pytest.mark.slow
def test_a_root_gives_its_own_people_and_boxes(run_folder, finished_root, tmp_path):
    predict(run_folder, finished_root.path, "-o", tmp_path / "x.parquet")
    found = pq.read_table(tmp_path / "x.parquet").to_pylist()
    (video_id,) = finished_root.video_ids()
    crops = rmset.open(finished_root.path).crops()
    assert len(found) == len(crops)
    by_key = {(r["person"], r["frame"]): r for r in found}
    crop = crops[5]
    row = by_key[crop.person_id, crop.frame_idx]
    assert row["file"] == video_id
    np.testing.assert_allclose([row[k] for k in ("x0", "y0", "x1", "y1")], crop.box, rtol=1e-6)
    seen = fertrain.load_run(run_folder).extract(finished_root.path)
    np.testing.assert_allclose([row[n] for n in LABELS], seen.probabilities[5], atol=1e-6)
    faces = fertrain.load_run(run_folder).predict(finished_root.path, smooth=0.2)
    assert len(faces) == len(found)
    assert {f.person for f in faces} == {r["person"] for r in found}


def test_wrong_requests_are_one_line(run_folder, mashup, tmp_path):
    def says(*words):
        error = CliRunner().invoke(app, ["predict", str(run_folder), *map(str, words)]).exception
        assert isinstance(error, UsageError), error
        assert "\n" not in str(error)
        return str(error)

    assert "ends in .csv, .parquet, .json" in says(mashup[0], "-o", tmp_path / "x.txt")
    assert "people that are followed for `smooth`" in says(
        mashup[0], "--smooth", "1", "--no-follow", "-o", tmp_path / "x.csv"
    )
    assert "one video for --overlay" in says(tmp_path, "--overlay", tmp_path / "o.mp4", "-o", tmp_path / "x.csv")
    with pytest.raises(UsageError, match="found person"):
        check_table(Path("x.json"), ("calm", "person"))
    assert list(tmp_path.iterdir()) == []
