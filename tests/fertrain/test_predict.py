"""Predictions of a finished run on pictures and other data sets, and explanations."""

import csv
import shutil
from dataclasses import replace

import fer_worlds
import layouts
import numpy as np
import pytest
from test_layouts import MiddleFace
from typer.testing import CliRunner

from fertrain.analysis.compare.cross_dataset import cross
from fertrain.analysis.explain.saliency import explain_run
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.datasets.align import AlignSettings, align
from fertrain.datasets.registry import open_labeled
from fertrain.errors import DatasetError
from fertrain.evaluation.faces import FaceConfig, found_in
from fertrain.evaluation.predict import faces_of, files_in, picture, predicted
from fertrain.models.weights import load, save
from fertrain.training.experiment import run
from rmset.errors import UsageError
from rmset.progress import silent
from rmset_cli.fertrain.app import app


@pytest.fixture(scope="module")
def finished(faces, tmp_path_factory):
    config = RunConfig(
        data=DataConfig(f"folder:{faces}"), model=ModelConfig("test_resnet", image_size=32), augment="none",
        optim=OptimConfig(epochs=(8,), batch_size=14, lr=3e-3), precision="fp32",
        out=str(tmp_path_factory.mktemp("runs") / "r"),
    )  # fmt: skip
    return run(config).folder


def test_every_image_of_a_folder_gets_a_row_with_probabilities(finished, faces, tmp_path):
    out = tmp_path / "x.csv"
    result = CliRunner().invoke(app, ["predict", str(finished), str(faces / "test"), "--no-detect", "-o", str(out)])
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == 21
    labels = list(rows[0])[11:-2]
    assert all(abs(sum(float(r[k]) for k in labels) - 1) < 1e-4 for r in rows)
    assert np.mean([r["label"] in r["file"] for r in rows]) > 0.5
    assert not (tmp_path / "x.csv.part").exists()


def test_faces_are_cut_and_predicted_independent_of_the_batch(finished, faces, tmp_path):
    model, _, spec = load(finished / "model.safetensors")
    files = sorted((faces / "test").rglob("*.png"))[:4]
    found = [face for f in files for face in faces_of(picture(f), spec, MiddleFace(), 40, 0.31)]
    alone = [p for face in found for p in predicted(model, spec, [face])]
    together = list(predicted(model, spec, found))
    assert [p.box for p in together] == [(12, 12, 36, 36)] * 4
    np.testing.assert_allclose([p.probabilities for p in alone], [p.probabilities for p in together], atol=1e-5)


def test_a_film_is_judged_frame_by_frame(finished, tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "x.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        for k in range(6):
            image = fer_worlds.face(k % 7, np.random.default_rng(k), size=64)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    _, _, spec = load(finished / "model.safetensors")
    found = list(found_in(spec, tmp_path / "x.mp4", FaceConfig(detect=False, stride=2), silent, pytest.fail))
    assert [p.frame.frame for p in found] == [0, 2, 4]
    assert found[1].frame.time_ms == pytest.approx(80)


def test_nothing_to_judge_is_one_line(finished, tmp_path):
    with pytest.raises(UsageError, match="found none at"):
        files_in(tmp_path / "no.png")
    with pytest.raises(UsageError, match="found none"):
        files_in(tmp_path)


def test_the_report_counts_how_often_its_own_images_were_counted(finished, faces, tmp_path):
    folder = tmp_path / "r"
    shutil.copytree(finished, folder)
    before = (folder / "report.html").read_text()
    assert "images were counted once" in before
    cross([folder], [f"folder:{faces}:train"])
    other = (folder / "report.html").read_text()
    assert "images were counted once" in other
    assert "fertrain cross" in other
    cross([folder], [f"folder:{faces}:test"])
    assert CliRunner().invoke(app, ["evaluate", str(folder), "--on", f"folder:{faces}"]).exit_code == 0
    after = (folder / "report.html").read_text()
    assert "images were counted 3 times" in after
    assert after.count("How often it was counted") == 1
    head, tail = "<h2>How often it was counted</h2>", "<h2>Data</h2>"
    assert after.partition(head)[0] == before.partition(head)[0]
    assert after.partition(tail)[2] == before.partition(tail)[2]


def test_the_report_of_a_run_without_a_test_split_says_what_was_counted_later(faces, tmp_path):
    root = fer_worlds.class_folders(tmp_path / "own", per_class=4, test=0)
    config = RunConfig(
        data=DataConfig(f"folder:{root}"), model=ModelConfig("test_resnet", image_size=32), precision="fp32",
        optim=OptimConfig(epochs=(1,), batch_size=14), out=str(tmp_path / "r"),
    )  # fmt: skip
    folder = run(config).folder
    assert "How often" not in (folder / "report.html").read_text()
    cross([folder], [f"folder:{faces}:test"])
    page = (folder / "report.html").read_text()
    assert page.index("other images than the reported ones") < page.index("<h2>Data</h2>")


def test_weights_say_how_the_faces_were_cut_that_they_learned_from(finished, faces, tmp_path):
    assert load(finished / "model.safetensors")[2].crop == "as labelled"
    root = fer_worlds.class_folders(tmp_path / "whole", per_class=4, test=1)
    align(open_labeled(f"folder:{root}"), tmp_path / "cut", MiddleFace(), AlignSettings(size=32, widen=0.5))
    config = RunConfig(
        data=DataConfig(f"folder:{tmp_path}/cut"), model=ModelConfig("test_resnet", image_size=32), precision="fp32",
        optim=OptimConfig(epochs=(0,), batch_size=14), out=str(tmp_path / "r"),
    )  # fmt: skip
    spec = load(run(config).folder / "model.safetensors")[2]
    assert (spec.crop, spec.widen) == ("widened 0.5", 0.5)
    (tmp_path / "cut" / "crop.toml").write_text('widen = "much"')
    with pytest.raises(DatasetError, match=r"a number for widen in .*crop\.toml"):
        run(replace(config, out=str(tmp_path / "again")))


def test_faces_are_cut_as_the_run_learned_them(finished, faces, tmp_path):
    folder = tmp_path / "wide"
    shutil.copytree(finished, folder)
    model, labels, spec = load(folder / "model.safetensors")
    save(model, labels, replace(spec, crop="widened 0.5"), folder / "model.safetensors")
    command = ["predict", str(folder), str(faces / "test" / "fear"), "-o", str(tmp_path / "x.csv")]
    assert "wider" not in CliRunner().invoke(app, command).stderr
    assert "cut 0.5 wider than their boxes, these are cut 0.31 wider" in (
        CliRunner().invoke(app, [*command, "--widen", "0.31"]).stderr
    )


def judged(*args):
    return CliRunner().invoke(app, ["predict", *map(str, args), "--no-detect"])


def test_a_file_that_is_no_image_costs_a_folder_that_file_only(finished, faces, tmp_path):
    folder = tmp_path / "pictures"
    shutil.copytree(faces / "test" / "fear", folder)
    (folder / "001.png").write_bytes(b"no picture")
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "cut.mp4").write_bytes(b"")
    (folder / "album.png").mkdir()
    result = judged(finished, folder, "-o", tmp_path / "x.csv")
    assert result.exit_code == 1
    rows = list(csv.DictReader((tmp_path / "x.csv").open()))
    assert [r["file"] for r in rows] == [str(folder / "000.png"), str(folder / "002.png")]
    told = [line for line in result.stderr.splitlines() if line.startswith("fertrain: ")]
    assert [name for name in ("001.png", "cut.mp4", "gone.png") if any(name in line for line in told)] == [
        "001.png", "cut.mp4", "gone.png"
    ]  # fmt: skip
    assert len(told) == 3
    assert "datasets check" not in result.stderr


def test_one_file_that_is_no_image_leaves_nothing_behind(finished, tmp_path):
    (tmp_path / "x.png").write_bytes(b"no picture")
    result = judged(finished, tmp_path / "x.png", "-o", tmp_path / "out" / "x.csv")
    assert isinstance(result.exception, DatasetError)
    assert "datasets check" not in str(result.exception)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_film_that_ends_early_is_judged_as_far_as_it_goes_and_said_so(finished, tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "x.mp4"), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        for k in range(40):
            noise = np.random.default_rng(k).integers(0, 255, (64, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())
    data = (tmp_path / "x.mp4").read_bytes()
    (tmp_path / "x.mp4").write_bytes(data[: len(data) // 2])
    result = judged(finished, tmp_path / "x.mp4", "-o", tmp_path / "x.csv")
    rows = list(csv.DictReader((tmp_path / "x.csv").open()))
    assert result.exit_code == 1
    assert f"x.mp4: cut short: {len(rows)} of 40 frames are in the file" in result.stderr
    assert [int(r["frame"]) for r in rows] == list(range(len(rows)))


def test_a_place_where_nothing_can_be_written_is_one_line(finished, faces, tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path, tmp_path / "file" / "x.csv"):
        result = judged(finished, faces / "test", "-o", out)
        assert isinstance(result.exception, UsageError)
        assert "expected a table to write" in str(result.exception)


def test_train_on_one_test_on_another_over_what_both_have(finished, ferplus, tmp_path):
    rows = cross([finished], [f"ferplus:{ferplus}", f"rafdb:{layouts.rafdb(tmp_path)}"])
    assert [(r["classes"], r["left_out"]) for r in rows] == [(7, "contempt"), (7, "")]
    assert rows[1]["n"] == 7
    assert rows[0]["rule"] == "majority"


def test_a_run_is_explained_class_by_class(finished, faces, tmp_path):
    found = explain_run(finished, f"folder:{faces}", tmp_path, occlusion=True, attribution=True, per_class=2)
    assert [p.name for p in found.files] == ["occlusion.png", "occlusion.npz", "integrated.png", "integrated.npz"]
    assert {row["kind"].split()[0] for row in found.rows} == {"occlusion", "integrated"}
    assert all(0 <= row["largest"] <= 1 for row in found.rows)


def test_explain_needs_a_kind_of_explanation(finished):
    result = CliRunner().invoke(app, ["explain", str(finished)])
    assert "found none" in str(result.exception)
