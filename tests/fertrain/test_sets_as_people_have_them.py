"""Labeled sets in the forms that people download: read right, or refused with a line that leads on."""

import json
from collections import Counter
from itertools import pairwise

import cv2
import fer_worlds
import layouts
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from layouts import AFFECTNET_NAMES, FER_NAMES, RNG, face, write
from typer.testing import CliRunner

from fertrain.datasets.base import Level
from fertrain.datasets.check import check
from fertrain.datasets.classes import read_classes
from fertrain.datasets.ferplus import FerPlus
from fertrain.datasets.folder import Folder
from fertrain.datasets.images import ImageFiles
from fertrain.datasets.label_table import iter_rows, read_table, split_of
from fertrain.datasets.published import recognized
from fertrain.datasets.registry import Entry, open_entry
from fertrain.datasets.sources import no_data
from fertrain.errors import DatasetError, LabelError
from fertrain.evaluation.predict import frames_of
from fertrain.labels import ORDERS
from rmset.errors import UsageError
from rmset_cli.fertrain.app import app

RAFDB = "1=surprise,2=fear,3=disgust,4=happiness,5=sadness,6=anger,7=neutral"

FORMS = [
    ("rafdb", layouts.rafdb_kaggle, {}), ("rafdb", layouts.rafdb_aligned_names, {}),
    ("affectnet", layouts.affectnet_lists, {}), ("affectnet", layouts.affectnet_kaggle, {}),
    ("affectnet", layouts.affectnet_yolo, {}), ("fer2013", layouts.fer2013_competition, {}),
    ("fer2013", layouts.fer2013_usage_folders, {}), ("fer2013", layouts.fer2013_testing_folders, {}),
    ("fer2013", layouts.fer2013_no_splits, {}), ("folder", layouts.fer2013_usage_folders, {}),
    ("folder", layouts.fer2013_no_splits, {}), ("ckplus", layouts.ckplus_zips, {}),
    ("ckplus", layouts.ckplus_unpacked, {}), ("ckplus", layouts.ckextended, {}), ("csv", layouts.windows_tsv, {}),
    ("parquet", layouts.parquet_from_one, {"classes": RAFDB}),
]  # fmt: skip


def opened(kind, path, **options):
    return open_entry(Entry(kind, kind, path, options))


def shown(split):
    """Where the bright bar of each picture is, which is the class that it was drawn as."""
    pixels = ImageFiles(split.source, split.names, 48, gray=True).read(range(len(split))).float()
    rows = (pixels[:, 0, :, 12:36].mean(dim=2) - 150).clamp_min(0)
    return ((rows * torch.arange(48)).sum(dim=1) / rows.sum(dim=1)).tolist()


@pytest.mark.parametrize(("kind", "make", "options"), FORMS)
def test_every_form_is_read_whole_and_labels_belong_to_their_images(kind, make, options, tmp_path):
    data = opened(kind, make(tmp_path), **options)
    assert not [f for f in check(data).findings if f.level is Level.ERROR]
    for name in data.splits():
        split = data.load(name, "given")
        heights: dict[int, list[float]] = {}
        for bar, k in zip(shown(split), split.classes.tolist(), strict=True):
            heights.setdefault(k, []).append(bar)
        # pictures of one class have their bars at one height, those of two classes do not
        assert all(max(h) - min(h) < 2 for h in heights.values())
        middles = sorted(sum(h) / len(h) for h in heights.values())
        assert all(b - a > 2 for a, b in pairwise(middles))


def test_rafdb_of_kaggle_counts_from_one_and_is_compared_with_its_tables(tmp_path):
    root = layouts.rafdb_kaggle(tmp_path)
    split = opened("rafdb", root).load("train", "given")
    assert [split.order.classes[k] for k in split.classes[::2]] == list(ORDERS["rafdb"].classes)
    assert split.names[0] == "train/1/train_00002_aligned.jpg"
    table = root / "train_labels.csv"
    table.write_text(table.read_text().replace("train_00002_aligned.jpg,1", "train_00002_aligned.jpg,2"))
    report = check(opened("rafdb", root))
    assert [(f.what, f.n) for f in report.findings if f.level is Level.ERROR] == [
        ("class in train_labels.csv is not that of the folder", 1)
    ]
    assert report.broken


def test_affectnet_of_kaggle_has_no_splits_and_says_so(tmp_path):
    data = opened("affectnet", layouts.affectnet_kaggle(tmp_path), expressions=7)
    assert data.splits() == ["train"]
    assert data.load("train", "given").counts() == dict.fromkeys(ORDERS["affectnet7"].classes, 2)
    assert any("no split column" in f.what and f.level is Level.WARNING for f in data.findings())


def test_yolo_layout_takes_its_numbers_from_data_yaml(tmp_path):
    root = layouts.affectnet_yolo(tmp_path)
    split = opened("affectnet", root).load("valid", "given")
    assert [split.order.classes[k] for k in split.classes] == [
        {"happy": "happiness", "sad": "sadness"}.get(name, name) for name in AFFECTNET_NAMES
    ]
    labels = root / "YOLO_format" / "train" / "labels"
    (labels / "ffhq_3.txt").write_text("3 0.5 0.5 1 1\n4 0.2 0.2 1 1\n")
    (labels / "ffhq_4.txt").unlink()
    said = {f.what: f.example for f in opened("affectnet", root).findings()}
    assert said["faces of several classes (skipped)"] == "train/images/ffhq_3.png"
    assert said["image without a label (skipped)"] == "train/images/ffhq_4.png"
    (root / "YOLO_format" / "data.yaml").write_text("names: [cat, dog]\n")
    with pytest.raises(DatasetError, match=r"AffectNet's classes as names in .*data\.yaml, found \['cat', 'dog'\]"):
        opened("affectnet", root)


def test_a_table_of_affectnet_without_its_header_is_read(tmp_path):
    root = layouts.affectnet_tables(tmp_path)
    before = opened("affectnet", root).load("valid", "given")
    table = root / "validation.csv"
    table.write_text("\n".join(table.read_text().splitlines()[1:]) + "\n")
    assert opened("affectnet", root).load("valid", "given").sha256() == before.sha256()


def test_the_competitions_test_csv_has_no_labels_and_that_is_said(tmp_path):
    data = opened("fer2013", layouts.fer2013_competition(tmp_path))
    assert (data.splits(), len(data.load("train", "given"))) == (["train"], 14)
    assert any("test.csv has no emotions" in f.what and f.level is Level.WARNING for f in data.findings())


def test_a_set_without_splits_is_split_by_what_its_pictures_show(tmp_path):
    root = layouts.fer2013_no_splits(tmp_path)
    copy = root / "sad" / "copy.png"
    copy.write_bytes((root / "sad" / "0.png").read_bytes())
    data = opened("folder", root)
    assert data.splits() == ["train", "valid", "test"]
    sides = {name: split for split in data.splits() for name in data.load(split, "given").names}
    assert len(sides) == 57
    assert sides["sad/copy.png"] == sides["sad/0.png"]
    assert any("no split folders" in f.what and f.level is Level.WARNING for f in data.findings())
    # a picture's side is its own: others may come and go
    (root / "sad" / "1.png").unlink()
    again = opened("folder", root)
    assert all(sides[n] == split for split in again.splits() for n in again.load(split, "given").names)


def test_both_official_zips_of_ckplus_are_read_where_they_lie(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    zipped, plain = opened("ckplus", layouts.ckplus_zips(tmp_path / "a")), layouts.ckplus(tmp_path / "b")
    beside = opened("ckplus", plain)
    for split in beside.splits():
        a, b = zipped.load(split, "given"), beside.load(split, "given")
        assert [n.removeprefix("extended-cohn-kanade-images.zip/") for n in a.names] == list(b.names)
        assert a.groups["subject"] == b.groups["subject"]
    (tmp_path / "a" / "Emotion_labels.zip").unlink()
    with pytest.raises(DatasetError, match=r"Emotion_labels\.zip\) beside cohn-kanade-images/"):
        opened("ckplus", tmp_path / "a")


def test_ckextended_has_its_own_numbers_and_no_subjects(tmp_path):
    data = opened("ckplus", layouts.ckextended(tmp_path))
    assert data.order.classes == ORDERS["ckextended"].classes
    assert {s: len(data.load(s, "given")) for s in data.splits()} == {"train": 16, "valid": 8, "test": 8}
    assert any("names no subjects" in f.what for f in data.findings())
    for options, says in (({"frames": 3}, "no option frames"), ({"split": "subject"}, "does not name the subjects")):
        with pytest.raises(UsageError, match=says):
            opened("ckplus", tmp_path, **options)


@pytest.mark.parametrize("make", [layouts.ferplus_images, layouts.ferplus_label_csv])
def test_ferplus_is_read_from_images_and_from_the_tools_own_tables(make, tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "other").mkdir()
    plain = FerPlus("a", fer_worlds.ferplus(tmp_path / "plain", train=16, valid=8, test=8))
    other = FerPlus("b", make(tmp_path / "other"))
    assert not check(other).broken
    for split in plain.splits():
        for rule in plain.rules():
            assert plain.load(split, rule).sha256() == other.load(split, rule).sha256()


# --- classes


def test_numbered_folders_are_asked_for_with_an_advice_that_works(tmp_path):
    root = layouts.numbered_folders(tmp_path, range(1, 8))
    with pytest.raises(LabelError) as caught:
        opened("folder", root)
    text = str(caught.value)
    assert f"rafdb: `classes='{RAFDB}'`" in text
    assert "\n" not in text
    split = opened("folder", root, classes=RAFDB).load("train", "given")
    assert split.order.name == "rafdb"
    assert {n.split("/")[1]: split.order.classes[k] for n, k in zip(split.names, split.classes, strict=True)}["4"] == (
        "happiness"
    )
    with pytest.raises(DatasetError, match=r"found no 7 there; give it too, as 7=NAME"):
        opened("folder", root, classes=RAFDB.rpartition(",")[0])


def test_misspelled_folders_are_asked_for_with_an_advice_that_works(tmp_path):
    names = ("anger", "disgust", "fear", "happy", "natural", "sad", "suprise")
    root = fer_worlds.class_folders(tmp_path, per_class=1, test=1, classes=names)
    with pytest.raises(LabelError, match="give `classes='natural=neutral,suprise=surprise'`"):
        opened("folder", root)
    data = opened("folder", root, classes="natural=neutral,suprise=surprise")
    assert data.order == ORDERS["fer2013"]
    split = data.load("test", "given")
    assert [split.order.classes[k] for n, k in zip(split.names, split.classes, strict=True) if "suprise" in n] == [
        "surprise"
    ]


def test_a_numbering_is_recognized_by_its_published_counts_and_by_nothing_else():
    rafdb = dict(zip(range(1, 8), (1290, 281, 717, 4772, 1982, 705, 2524), strict=True))
    fer = dict(zip(range(7), (3995, 436, 4097, 7215, 4830, 3171, 4965), strict=True))
    affectnet = dict(zip(range(8), (74800, 134400, 25459, 14090, 6378, 3803, 24882, 3750), strict=True))
    assert recognized({"train": rafdb}).order.name == "rafdb"
    assert recognized({"train": fer}).order.name == "fer2013"
    assert recognized({"train": affectnet}).order.name == "affectnet8"
    shuffled = dict(zip(range(1, 8), reversed(rafdb.values()), strict=True))
    even = {"valid": dict.fromkeys(range(8), 500)}
    assert recognized({"train": shuffled}) is None
    assert recognized(even) is None, "equal counts fit any numbering"
    labels = {"train": {str(k): n for k, n in rafdb.items()}}
    assert read_classes(labels, None, "here").why.startswith("label order rafdb")


def test_labels_that_count_from_one_get_the_mapping_that_reads_them(tmp_path):
    root = layouts.parquet_from_one(tmp_path)
    with pytest.raises(DatasetError, match="if they count from 1, give `classes='1=surprise,2=fear"):
        opened("parquet", root, classes=list(ORDERS["rafdb"].classes))
    assert opened("parquet", root, classes=RAFDB).load("test", "given").classes.tolist() == list(range(7))


@pytest.mark.parametrize("bad", ["1=", "=fear", "1=fear,2", "1=fear,1=anger"])
def test_a_mapping_is_pairs(tmp_path, bad):
    with pytest.raises(UsageError, match="pairs like a=b,c=d"):
        opened("csv", layouts.labels_csv(tmp_path), classes=bad)


# --- tables


def labels(root, text, name="labels.csv", n=6):
    for k in range(n):
        write(root / f"{k}.png", face(k, RNG))
    (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    "head", ["name,label,Usage", "Image Name;LABEL;Split", "img_path\temotion\tSet", "file|class|PARTITION"]
)
def test_columns_are_known_in_any_case_and_between_any_delimiters(tmp_path, head):
    d = next(c for c in ",;\t|" if c in head)
    rows = [("0.png", "fear", "Training"), ("1.png", "anger", "PrivateTest"), ("2.png", "happy", "val"),
            ("3.png", "sad", "TRAIN"), ("4.png", "surprise", "test"), ("5.png", "disgust", "dev")]  # fmt: skip
    classes = "fear,anger,happy,sad,surprise,disgust"
    root = labels(tmp_path, "\n".join([head, *(d.join(row) for row in rows)]))
    data = opened("csv", root, classes=classes)
    assert {s: len(data.load(s, "given")) for s in data.splits()} == {"train": 2, "valid": 2, "test": 2}


def test_columns_that_are_not_read_are_named_and_so_is_a_missing_split(tmp_path):
    root = labels(tmp_path, "name,label,role,age\n0.png,0,a,1\n1.png,1,b,2\n")
    data = opened("csv", root, classes="fear,anger")
    said = [f for f in data.findings() if f.level is Level.WARNING]
    assert "no split column in labels.csv" in said[0].what
    assert "not read: role, age" in said[0].what
    assert any("columns that are not read" in f.what and f.example == "role, age" for f in data.findings())


def test_columns_can_be_named(tmp_path):
    root = labels(tmp_path, "pic_of,what,part\n0.png,0,train\n1.png,1,test\n")
    with pytest.raises(DatasetError, match="`columns='image=COLUMN'`"):
        opened("csv", root, classes="fear,anger")
    data = opened("csv", root, classes="fear,anger", columns="image=pic_of,label=what,split=part")
    assert data.splits() == ["train", "test"]
    with pytest.raises(UsageError, match=r"the column whom \(`columns='label=whom'`\) in .*, found pic_of, what, part"):
        opened("csv", root, classes="fear,anger", columns="image=pic_of,label=whom")
    with pytest.raises(UsageError, match=r"not picture"):
        opened("csv", root, columns="picture=pic_of")


def test_one_table_a_split_will_do(tmp_path):
    labels(tmp_path, "image label\n0.png 0\n1.png 1\n", "train_labels.txt")
    labels(tmp_path, "image label\n2.png 1\n", "test_labels.txt")
    data = opened("csv", tmp_path, classes="fear,anger")
    assert {s: data.load(s, "given").names for s in data.splits()} == {"train": ("0.png", "1.png"), "test": ("2.png",)}


def test_float_labels_blank_lines_and_spaces_are_read_and_lines_are_counted_right(tmp_path):
    text = 'name, label, split\n\n0.png, 3.0, train\n"1.png",1 ,train\n\n \n2.png,  0.0, test\n\n'
    data = opened("csv", labels(tmp_path, text), classes="fear,anger,sad,happy")
    assert data.load("train", "given").classes.tolist() == [3, 1]
    assert data.load("test", "given").classes.tolist() == [0]
    (tmp_path / "labels.csv").write_text(text + "3.png,9.0,test\n")
    with pytest.raises(DatasetError, match=r"found '9.0' for .*labels\.csv, line 9: 3\.png"):
        opened("csv", tmp_path, classes="fear,anger,sad,happy")
    (tmp_path / "labels.csv").write_text('name,label\n"0\n.png",1\n1.png,7\n')
    with pytest.raises(DatasetError, match=r"line 4"):
        opened("csv", tmp_path, classes="fear,anger")
    (tmp_path / "labels.csv").write_text("name,label\na,b.png,1\n")
    with pytest.raises(DatasetError, match=r"expected 2 cells \(name, label\) in .*, line 2; found 3"):
        opened("csv", tmp_path, classes="fear,anger")


def test_lines_of_other_tables_are_counted_right_too(tmp_path):
    root = layouts.affectnet_tables(tmp_path)
    table = root / "training.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], "", *lines[1:3], "", lines[3].replace(",2,0.1", ",12,0.1")]) + "\n")
    with pytest.raises(DatasetError, match="line 6"):
        opened("affectnet", root)


def test_a_table_is_read_row_by_row(tmp_path):
    (tmp_path / "t.csv").write_text("a, b\n1, 2\n\n3\n")
    assert [(r.line, dict(r.cells)) for r in iter_rows(tmp_path / "t.csv")] == [
        (2, {"a": "1", "b": "2"}), (4, {"a": "3", "b": ""}),
    ]  # fmt: skip
    assert read_table(tmp_path / "t.csv").columns == ("a", "b")
    assert [split_of(n) for n in ("Private_Test", "VAL", "train set", "other")] == ["test", "valid", "train", None]


def test_names_of_any_kind_mean_the_same_to_training_and_to_check(tmp_path):
    """Absolute, `./`, `../`: what training reads, `check` finds; what it does not, `check` names."""
    root = tmp_path / "set"
    outside = tmp_path / "outside.png"
    for path in (root / "a" / "0.png", root / "1.png", root / "2.png", outside):
        write(path, face(2, RNG))
    names = [f"{root}/a/0.png", "./1.png", "a/../2.png", str(outside), "../outside.png"]
    (root / "labels.csv").write_text("\n".join(["name,label", *(f"{n},fear" for n in names), "gone.png,anger"]) + "\n")
    data = opened("csv", root, classes="fear,anger")
    split = data.load("train", "given")
    assert split.names[:3] == ("a/0.png", "1.png", "2.png")
    assert ImageFiles(split.source, split.names[:5], 16, gray=True).read(range(5)).shape[0] == 5
    report = check(data)
    assert [(f.what, f.n, f.example) for f in report.findings if f.level is Level.ERROR] == [
        ("missing file", 1, "gone.png")
    ]


# --- files


def test_names_that_begin_with_a_dot_are_no_data_in_any_layout(tmp_path):
    """What macOS and Jupyter leave behind: damaged images, a class of checkpoints, annotations counted as happy."""
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
    assert [f.file for f in frames_of(tmp_path)] == [str(tmp_path / "a.png")]
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


def test_split_columns_of_parquet_are_known_in_any_case(tmp_path):
    images = [bytes(cv2.imencode(".png", face(k, RNG))[1]) for k in range(2)]
    table = pa.table({"image": images, "label": ["fear", "anger"], "Usage": ["Training", "PrivateTest"], "age": [1, 2]})
    pq.write_table(table, tmp_path / "all.parquet")
    data = opened("parquet", tmp_path, classes="fear,anger")
    assert data.splits() == ["train", "test"]
    assert any(f.example == "age" for f in data.findings())


def test_subjects_of_a_table_are_kept(tmp_path):
    root = labels(tmp_path, "name,label,Subject,video\n0.png,0,anna,v1\n1.png,1,ben,\n")
    split = opened("csv", root, classes="fear,anger").load("train", "given")
    assert split.groups == {"subject": ("anna", "ben"), "video": ("v1", "1.png")}
    assert split.take([1]).groups["subject"] == ("ben",)


def test_class_folders_of_the_names_of_fer2013_make_its_order(tmp_path):
    data = opened("fer2013", layouts.fer2013_usage_folders(tmp_path))
    assert data.splits() == ["train", "valid", "test"]
    assert Counter(data.load("valid", "given").counts()) == Counter(dict.fromkeys(ORDERS["fer2013"].classes, 1))
    assert len(FER_NAMES) == len(data.order)
