"""Files of labeled sets: data, ignored files, and damaged files."""

import json

import cv2
import fer_worlds
import layouts
import numpy as np
import pytest
from forms import FORMS, opened
from layouts import RNG, face, write
from typer.testing import CliRunner

from fertrain.datasets.base import Level
from fertrain.datasets.check import check
from fertrain.datasets.folder import Folder
from fertrain.datasets.images import ImageFiles
from fertrain.datasets.sources import no_data
from fertrain.errors import DatasetError
from fertrain.evaluation.predict import files_in
from rmset_cli.fertrain.app import app


def test_names_that_begin_with_a_dot_are_no_data_in_any_layout(tmp_path):
    """Files of macOS and Jupyter would be damaged images, a class of checkpoints, and annotations counted as happy."""
    for kind, make, options in [
        *FORMS, ("folder", fer_worlds.class_folders, {}), ("affectnet", layouts.affectnet_annotations, {}),
        ("ckplus", layouts.ckplus, {}), ("ckplus", layouts.ck48, {}), ("jaffe", layouts.jaffe, {}),
        ("ferg", layouts.ferg, {}), ("parquet", layouts.parquet, {}),
    ]:  # fmt: skip
        (root := tmp_path / f"{kind}-{make.__name__}").mkdir()
        make(root)
        before = {
            s: opened(kind, root, **options).load(s, "given").sha256() for s in opened(kind, root, **options).splits()
        }
        for folder in [root, *(p for p in root.rglob("*") if p.is_dir())]:
            (folder / "._0.jpg").write_bytes(b"\x00\x05\x16\x07")
            (folder / "._0_exp.npy").write_bytes(b"\x00\x05\x16\x07")
            (folder / "._x.parquet").write_bytes(b"\x00\x05\x16\x07")
            write(folder / ".ipynb_checkpoints" / "a-checkpoint.png", face(1, RNG))
            write(folder / "__MACOSX" / "a.png", face(1, RNG))
        data = opened(kind, root, **options)
        assert {s: data.load(s, "given").sha256() for s in data.splits()} == before, (kind, make)
        assert not check(data).broken


def test_predict_passes_over_them_too(tmp_path):
    write(tmp_path / "a.png", face(1, RNG))
    (tmp_path / "._a.png").write_bytes(b"\x00\x05\x16\x07")
    write(tmp_path / ".thumbnails" / "b.png", face(1, RNG))
    assert files_in(tmp_path) == [tmp_path / "a.png"]
    assert not no_data("../a/b.png")


def test_images_of_any_ending_and_of_none_are_learned_from(tmp_path):
    root = fer_worlds.class_folders(tmp_path, per_class=1, test=1)
    for name in ("a.pgm", "b.gif", "c.jfif", "d"):
        image = face(2, RNG)[:, :, : 1 if name == "a.pgm" else 3]
        ending = {".jfif": ".jpg", "": ".png"}.get(name[1:], name[1:])
        (root / "train" / "fear" / name).write_bytes(bytes(cv2.imencode(ending, image)[1]))
    (root / "train" / "fear" / "notes.txt").write_text("none")
    data = Folder("x", root)
    split = data.load("train")
    assert split.counts()["fear"] == 5
    assert ImageFiles(split.source, split.names, 16, gray=False).read(range(len(split))).shape == (11, 3, 16, 16)
    report = check(data)
    assert not report.broken
    assert [(f.n, f.example) for f in report.findings if "not an image" in f.what] == [(1, "train/fear/notes.txt")]


def test_two_folders_for_one_split_are_refused(tmp_path):
    root = fer_worlds.class_folders(tmp_path, per_class=1, test=1)
    (root / "val").mkdir()
    (root / "valid").mkdir()
    with pytest.raises(DatasetError, match=r"one folder for the split valid in .*, found val and valid"):
        Folder("x", root)


def test_a_link_to_a_folder_above_ends(tmp_path):
    root = fer_worlds.class_folders(tmp_path, per_class=1, test=1)
    (root / "train" / "fear" / "up").symlink_to(root)
    assert len(Folder("x", root).load("train")) == 7


def test_a_damaged_jpeg_with_an_intact_end_is_named(tmp_path, capfd):
    root = fer_worlds.class_folders(tmp_path, per_class=1, test=1)
    picture = cv2.resize(RNG.integers(0, 255, (30, 30, 3), dtype=np.uint8), (240, 240))
    content = bytes(cv2.imencode(".jpg", picture)[1])
    (root / "train" / "fear" / "hurt.jpg").write_bytes(content[: len(content) // 2] + b"\xff\xd9")
    (root / "train" / "fear" / "cut.jpg").write_bytes(content[: len(content) // 2])
    report = check(Folder("x", root))
    assert {(f.what, f.example) for f in report.findings if f.level is Level.ERROR} == {
        ("damaged image: decoders invent the missing part", "train/fear/hurt.jpg"),
        ("unreadable", "train/fear/cut.jpg"),
    }
    assert report.broken
    assert "Corrupt JPEG" not in capfd.readouterr().err


@pytest.mark.parametrize("fmt", ["json", "csv", "table"])
def test_findings_stand_in_every_format_and_decide_the_exit_code(tmp_path, fmt):
    root = fer_worlds.class_folders(tmp_path, per_class=1, test=1)
    run = CliRunner()
    fine = run.invoke(app, ["-q", "datasets", "check", f"folder:{root}", "--format", fmt])
    assert fine.exit_code == 0, fine.output
    (root / "train" / "fear" / "000.png").write_bytes(b"no picture")
    result = run.invoke(app, ["-q", "datasets", "check", f"folder:{root}", "--format", fmt])
    assert result.exit_code == 1
    assert "unreadable" in result.stdout
    assert "train/fear/000.png" in result.stdout
    if fmt == "json":
        rows = json.loads(result.stdout)
        assert {"split": "train", "images": 7}.items() <= rows[0].items()
        found = next(r for r in rows if r["finding"] == "unreadable")
        assert (found["split"], found["level"], found["n"], found["example"]) == (
            "train",
            "error",
            1,
            "train/fear/000.png",
        )
