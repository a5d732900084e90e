"""Every data set in its official layout, and errors for other layouts."""

from collections import Counter
from pathlib import Path

import fer_worlds
import layouts
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fertrain.datasets.align import AlignSettings, align, main_face
from fertrain.datasets.base import SPLITS
from fertrain.datasets.check import check, evidence, twins
from fertrain.datasets.ferplus import FerPlus
from fertrain.datasets.images import ImageFiles
from fertrain.datasets.options import OPTIONS
from fertrain.datasets.posed import by_class, by_subject
from fertrain.datasets.registry import KINDS, UNLABELED, Entry, open_entry
from fertrain.datasets.subsets import Narrowed
from fertrain.errors import DatasetError, LabelError
from fertrain.labels import ORDERS
from rmset.errors import UsageError
from rmset.parts.detect import Detections

LAYOUTS = {
    "fer2013": layouts.fer2013_csv, "affectnet": layouts.affectnet_tables, "rafdb": layouts.rafdb,
    "ckplus": layouts.ckplus, "jaffe": layouts.jaffe, "ferg": layouts.ferg, "parquet": layouts.parquet,
    "csv": layouts.labels_csv,
}  # fmt: skip
OTHERS = {
    "fer2013": layouts.fer2013_names, "affectnet": layouts.affectnet_annotations, "ckplus": layouts.ck48,
}  # fmt: skip


def opened(kind, path, **options):
    return open_entry(Entry(kind, kind, path, options))


@pytest.mark.parametrize(("kind", "make"), [*LAYOUTS.items(), *OTHERS.items()])
def test_every_layout_gives_readable_images_and_passes_its_check(kind, make, tmp_path):
    data = opened(kind, make(tmp_path))
    report = check(data)
    assert not report.broken
    assert data.splits()[0] == "train"
    split = data.load("train", "given")
    pixels = ImageFiles(split.source, split.names, 32, gray=split.gray).read(range(len(split)))
    assert pixels.shape == (len(split), 1 if split.gray else 3, 32, 32)
    # the bright bar of these faces is lower the higher their class: so labels match their images
    assert len(set(split.classes.tolist())) > 1


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_wrong_folder_is_one_line(kind, tmp_path):
    (tmp_path / "stuff").mkdir()
    with pytest.raises(DatasetError) as caught:
        opened(kind, tmp_path)
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_both_forms_of_fer2013s_table_are_read(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a = opened("fer2013", layouts.fer2013_csv(tmp_path / "a"))
    b = opened("fer2013", layouts.fer2013_csv(tmp_path / "b", icml=True))
    assert a.splits() == b.splits() == ["train", "valid", "test"]
    assert a.load("train", "given").classes.tolist() == b.load("train", "given").classes.tolist()
    assert a.order.classes[0] == "anger"


def test_a_cell_that_is_no_image_is_named_by_its_line(tmp_path):
    path = layouts.fer2013_csv(tmp_path) / "fer2013.csv"
    lines = path.read_text().splitlines()
    lines[3] = "0,1 2 3,Training"
    path.write_text("\n".join(lines))
    with pytest.raises(DatasetError, match=r"2304 pixels .* line 4; found 3 values"):
        opened("fer2013", tmp_path).load("train", "given")


def test_ambiguous_labels_are_reported_and_can_be_left_out(tmp_path):
    root = layouts.fer2013_names(tmp_path)
    assert any("near-duplicates" in f.what for f in opened("fer2013", root).findings())
    assert len(opened("fer2013", root, skip_ambiguous=True).load("train", "given")) == 5
    (table := tmp_path / "table").mkdir()
    with pytest.raises(UsageError, match="skip_ambiguous"):
        opened("fer2013", layouts.fer2013_csv(table), skip_ambiguous=True).splits()


def test_ferplus_maps_fer2013s_pixels_by_row(tmp_path):
    """The number in a name is not the row: here row 2 is image 3, and row 1 has no image."""
    layouts.fer2013_csv(tmp_path, n=8)
    head = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    votes = ["9,0,0,0,0,0,0,0,0,0", "0,0,0,0,0,0,0,0,0,10", "0,9,0,0,0,0,0,0,0,0"]
    names = ["fer0000000.png", "", "fer0000003.png"]
    lines = [f"Training,{n},{v}" for n, v in zip(names, votes, strict=True)]
    (tmp_path / "fer2013new.csv").write_text("\n".join([head, *lines]) + "\n")
    split = FerPlus("ferplus", tmp_path).load("train", "majority")
    assert split.names == ("00000", "00002")
    assert split.classes.tolist() == [0, 1]


def test_affectnet_has_seven_or_eight_and_skips_what_is_no_emotion(tmp_path):
    root = layouts.affectnet_tables(tmp_path)
    eight, seven = opened("affectnet", root), opened("affectnet", root, expressions=7)
    assert (len(eight.load("train", "given")), len(seven.load("train", "given"))) == (8, 7)
    assert [f.n for f in eight.findings() if "no face" in f.what] == [3]
    assert eight.order.classes[:7] == seven.order.classes
    with pytest.raises(UsageError, match="7 or 8"):
        opened("affectnet", root, expressions=6)


def test_affectnets_numbers_out_of_range_say_where(tmp_path):
    root = layouts.affectnet_annotations(tmp_path)
    np.save(root / "train_set" / "annotations" / "3_exp.npy", np.array("11"))
    with pytest.raises(DatasetError, match=r"0 to 10 .*3_exp\.npy.*'11'"):
        opened("affectnet", root)


AFFECTNET = "subDirectory_filePath,expression\n"
SEVEN = list(ORDERS["fer2013"].classes)


@pytest.mark.parametrize(
    ("kind", "file", "content", "says"),
    [
        ("fer2013", "fer2013_labels.csv", b"row,usage,emotion\n0,Training,3\n", "line 2"),
        ("fer2013", "fer2013_labels.csv", b"row,usage,image_name,emotion\n0,Training\n", "line 2"),
        ("fer2013", "fer2013_labels.csv", b"usage,emotion,image_name\nTraining,0\n", "line 2"),
        ("affectnet", "training.csv", b"expression,subDirectory_filePath\n0,1/1.jpg\n0\n", "line 3, found none"),
        ("affectnet", "training.csv", f"{AFFECTNET}1/1.jpg,0\n1/2.jpg\n".encode(), "line 3, found ''"),
        ("csv", "labels.csv", b"name,label\na.png,0\nb.png,-1\n", r"0 to 6, found '-1' for .*: b\.png"),
        ("csv", "labels.csv", b"name,label\na.png,0\nb.png,1\nc.png,two\n", r"0 to 6, found 'two' for .*: c\.png"),
        ("csv", "labels.csv", b"name,label\na.png,fear\nb.png,sad\nc.png,2\n", r"sadness.*, found '2' for .*: c\.png"),
        ("csv", "labels.csv", b"name,label\na.png,0\n,1\n", "name of an image in .*, line 3; found none"),
        ("csv", "labels.csv", "name,label\né.png,0\n".encode("latin-1"), "UTF-8 .*labels.csv, found the byte 0xe9"),
        ("ferplus", "fer2013new.csv", b"Usage,Image n\xe4me\n", "UTF-8 .*fer2013new.csv, found the byte 0xe4"),
        ("rafdb", "EmoLabel/list_patition_label.txt", b"train_\xe4.jpg 5\n", "UTF-8 .*found the byte 0xe4"),
    ],
)
def test_an_odd_row_of_a_table_is_one_line_that_names_it(tmp_path, kind, file, content, says):
    (tmp_path / "FER2013Train").mkdir()
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DatasetError, match=says) as caught:
        opened(kind, tmp_path, **({"classes": SEVEN} if kind == "csv" else {})).findings()
    assert "\n" not in str(caught.value)


def test_affectnets_images_are_found_although_the_first_of_the_table_is_missing(tmp_path):
    root = layouts.affectnet_tables(tmp_path)
    (root / "Manually_Annotated_Images" / "0" / "training0.jpg").unlink()
    missing = [(f.split, f.n) for f in check(opened("affectnet", root)).findings if f.what == "missing file"]
    assert missing == [("train", 1)]


def test_images_outside_of_a_class_folder_are_reported_and_left_out(tmp_path):
    root = fer_worlds.class_folders(tmp_path, per_class=1, test=1)
    (root / "train" / "stray.png").write_bytes((root / "train" / "fear" / "000.png").read_bytes())
    report = check(opened("folder", root))
    strays = [(f.split, f.n, f.example) for f in report.findings if "outside" in f.what]
    assert strays == [("train", 1, "train/stray.png")]
    assert [row["images"] for row in report.counts] == [7, 7]


def test_parquet_whose_images_are_no_bytes_is_refused_by_its_column(tmp_path):
    for images, says in ((["0.png"], "found string"), ([{"path": "0.png"}], "found struct<path: string>")):
        pq.write_table(pa.table({"image": images, "label": [0]}), tmp_path / "train.parquet")
        with pytest.raises(DatasetError, match=f"bytes of images in the column image of .*, {says}"):
            opened("parquet", tmp_path, classes=SEVEN)


def test_a_damaged_page_of_parquet_is_an_unreadable_image(tmp_path):
    file = layouts.parquet(tmp_path) / "train-00000-of-00001.parquet"
    data = bytearray(file.read_bytes())
    data[4:2000] = bytes(1996)  # the images come first; the labels stand behind them
    file.write_bytes(data)
    found = [(f.split, f.n) for f in check(opened("parquet", tmp_path)).findings if f.what == "unreadable"]
    assert found == [("train", 7)]


def test_rafdb_counts_from_one(tmp_path):
    data = opened("rafdb", layouts.rafdb(tmp_path))
    split = data.load("test", "given")
    assert [data.order.classes[k] for k in split.classes] == list(ORDERS["rafdb"].classes)
    assert split.names[0] == "Image/aligned/test_00001_aligned.jpg"
    label = tmp_path / "EmoLabel" / "list_patition_label.txt"
    label.write_text(label.read_text().replace("test_00003.jpg 3", "test_00003.jpg 8"))
    with pytest.raises(DatasetError, match="from 1 to 7"):
        opened("rafdb", tmp_path)


def test_no_subject_of_ckplus_is_in_two_splits(tmp_path):
    data = opened("ckplus", layouts.ckplus(tmp_path), frames=3, neutral=True)
    people = {s: {n.split("/")[1] for n in data.load(s, "given").names} for s in data.splits()}
    assert {s: len(p) for s, p in people.items()} == {"train": 7, "valid": 1, "test": 2}
    assert not people["train"] & people["test"]
    assert not people["train"] & people["valid"]
    assert len(data.load("train", "given")) == 7 * 4
    assert any(f.n == 10 and "without an emotion" in f.what for f in data.findings())
    by_image = opened("ckplus", tmp_path, split="image", seed=3)
    assert sum(len(by_image.load(s, "given")) for s in by_image.splits()) == 10


def test_jaffe_can_be_split_as_the_paper_counts(tmp_path):
    data = opened("jaffe", layouts.jaffe(tmp_path), split="image")
    assert set(data.load("test", "given").counts().values()) == {5}  # ten, or a third where there are fewer
    assert (
        data.load("test", "given").names != opened("jaffe", tmp_path, split="image", seed=1).load("test", "given").names
    )


def test_the_213_images_of_jaffe_are_120_23_and_70():
    """Sizes as in Deep-Emotion; the classes have 30, 29, 32, 31, 31, 30 and 30 images."""
    rows = [(f"{k}-{i}", k) for k, n in enumerate((30, 29, 32, 31, 31, 30, 30)) for i in range(n)]
    parts = by_class(rows, 23 / 213, 10)
    assert {name: len(part) for name, part in parts.items()} == {"train": 120, "valid": 23, "test": 70}
    assert set(Counter(k for _, k in parts["test"]).values()) == {10}


def test_parquet_takes_names_from_its_metadata_or_from_the_user(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert opened("parquet", layouts.parquet(tmp_path / "a")).order.name == "fer2013"
    bare = layouts.parquet(tmp_path / "b", named=False)
    with pytest.raises(LabelError, match="`classes="):
        opened("parquet", bare)
    assert opened("parquet", bare, classes=list(ORDERS["fer2013"].classes)).splits() == ["train", "test"]


def test_eight_classes_become_seven_by_name(ferplus):
    whole = FerPlus("ferplus", ferplus)
    seven = Narrowed(whole, ["Contempt"])
    assert "contempt" not in seven.order.classes
    before, after = whole.load("train", "distribution"), seven.load("train", "distribution")
    gone = before.counts()["contempt"]
    assert gone > 0
    assert len(after) == len(before) - gone
    assert np.allclose(after.targets.sum(axis=1), 1)
    with pytest.raises(LabelError, match="found smile"):
        Narrowed(whole, ["smile"])


def test_twins_are_found_within_across_and_with_other_labels(tmp_path):
    root = fer_worlds.class_folders(tmp_path, per_class=2, test=1)
    picture = (root / "train" / "happiness" / "000.png").read_bytes()
    (root / "train" / "happiness" / "copy.png").write_bytes(picture)
    (root / "test" / "sadness" / "copy.png").write_bytes(picture)
    found = {f.what: f.split for f in check(opened("folder", root)).findings}
    assert found["same picture in both splits"] == found["same picture with different labels"] == "train and test"
    within = twins({"h": [("train", "a", 0), ("train", "b", 0)]})
    assert [(f.split, f.what, f.example) for f in within] == [("train", "same picture more than once", "a = b")]


def test_counts_tell_a_wrong_order():
    class Counted:
        name, order = "rafdb", ORDERS["rafdb"]

        def __init__(self, counts):
            self.counts_ = counts

        def splits(self):
            return ["test"]

        def rules(self):
            return ["given"]

        def load(self, split, rule):
            return type("S", (), {"counts": lambda _: dict(zip(self.order.classes, self.counts_, strict=True))})()

    official = (329, 74, 160, 1185, 478, 162, 680)
    assert "are the published ones" in evidence(Counted(official))[1].what
    assert "not the official" in evidence(Counted(official[::-1]))[1].what
    assert "no evidence" in evidence(Counted((1,) * 7))[1].what


@given(st.integers(3, 12), st.integers(0, 5))
def test_splits_by_subject_are_seeded_and_keep_each_subject_in_one_split(people, seed):
    rows = [(f"{p}-{i}", i % 3) for p in range(people) for i in range(3)]
    subjects = [name.split("-")[0] for name, _ in rows]
    parts = by_subject(rows, subjects, (0.1, 0.2), seed)
    assert sorted(r for part in parts.values() for r in part) == sorted(rows)
    sides = [{n.split("-")[0] for n, _ in part} for part in parts.values()]
    assert sum(map(len, sides)) == people
    assert parts == by_subject(rows, subjects, (0.1, 0.2), seed)


@given(st.integers(4, 40), st.integers(0, 5))
def test_splits_by_class_take_the_same_of_each(n, seed):
    rows = [(f"{k}-{i}", k) for k in range(3) for i in range(n)]
    parts = by_class(rows, 0.1, 10, seed)
    assert sorted(r for part in parts.values() for r in part) == sorted(rows)
    assert all(sum(k == c for _, c in parts["test"]) == (10 if n >= 20 else n // 3) for k in range(3))
    assert len(parts["valid"]) == round(3 * (0.1 * n))


class MiddleFace:
    """Detector that finds one face in the middle of bright images, none in dark ones."""

    def detect(self, image, min_face=40):
        if image.mean() < 20:
            return Detections.none()
        h, w = image.shape[:2]
        boxes = np.array([[w / 4, h / 4, w * 3 / 4, h * 3 / 4]], np.float32)
        return Detections(boxes, np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))


def test_align_cuts_as_rmset_does_and_names_what_it_missed(tmp_path):
    root = fer_worlds.class_folders(tmp_path / "in", per_class=1, test=1)
    fer_worlds.write(root / "train" / "fear" / "dark.png", np.zeros((48, 48, 3), np.uint8))
    (root / "train" / "fear" / "broken.png").write_bytes(b"cut off")
    same_name = root / "train" / "fear" / "again.png"
    fer_worlds.write(same_name, np.full((48, 48, 3), 90, np.uint8))
    fer_worlds.write(same_name.with_suffix(".jpg"), np.full((48, 48, 3), 90, np.uint8))
    done = align(opened("folder", root), tmp_path / "out", MiddleFace(), AlignSettings(size=32))
    assert (done.written, done.missed) == (16, ("train/fear/broken.png", "train/fear/dark.png"))
    written = (tmp_path / "out" / "missed.csv").read_text()
    assert written == "name,why\ntrain/fear/broken.png,no image\ntrain/fear/dark.png,no face\n"
    again = opened("folder", tmp_path / "out")
    assert again.order == opened("folder", root).order
    split = again.load("train", "given")
    assert ImageFiles(split.source, split.names, 32, gray=False).read([0]).shape == (1, 3, 32, 32)
    with pytest.raises(UsageError, match="empty folder"):
        align(opened("folder", root), tmp_path / "out", MiddleFace())


def test_the_main_face_is_large_and_in_the_middle():
    boxes = np.array([[0, 0, 20, 20], [40, 40, 70, 70], [80, 80, 84, 84]], np.float32)
    found = Detections(boxes, np.ones(3, np.float32), np.zeros((3, 5, 2), np.float32))
    assert main_face(found, (100, 100)).tolist() == boxes[1].tolist()
    assert main_face(Detections.none(), (100, 100)) is None


def test_votes_are_not_aligned(ferplus, tmp_path):
    with pytest.raises(UsageError, match="found votes"):
        align(FerPlus("ferplus", ferplus), Path(tmp_path / "out"), MiddleFace())


def test_linked_folders_are_followed(tmp_path):
    real = fer_worlds.class_folders(tmp_path / "real", per_class=1, test=1)
    linked = tmp_path / "linked" / "train"
    linked.mkdir(parents=True)
    for folder in (real / "train").iterdir():
        (linked / folder.name).symlink_to(folder)
    assert len(opened("folder", tmp_path / "linked").load("train", "given")) == 7
    names = layouts.fer2013_names(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "FER2013Train").symlink_to(names / "FER2013Train")
    (tmp_path / "other" / "fer2013_labels.csv").write_text((names / "fer2013_labels.csv").read_text())
    assert not check(opened("fer2013", tmp_path / "other")).broken


def test_every_kind_lists_its_options():
    assert OPTIONS.keys() == {*KINDS, UNLABELED}


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("ckplus", {"slit": "image"}, "unknown option of the kind ckplus 'slit': did you mean split"),
        ("ckplus", {"Seed": "3"}, "did you mean seed"),
        ("ckplus", {"neutral": "maybe"}, "true or false for the option neutral of the kind ckplus, found 'maybe'"),
        ("ckplus", {"frames": "0"}, "a whole number of 1 or more for the option frames"),
        ("ckplus", {"seed": "abc"}, "a whole number of 0 or more for the option seed"),
        ("ckplus", {"seed": True}, "a whole number"),
        ("jaffe", {"split": "person"}, "expected subject or image for the option split"),
        ("jaffe", {"frames": 3}, "unknown option"),
        ("rafdb", {"images": "originals"}, "expected aligned or original"),
        ("affectnet", {"expressions": "6"}, "expected 7 or 8"),
        ("fer2013", {"skip_ambiguous": "no"}, "expected true or false"),
        ("ferplus", {"classes": ["a", "b"]}, "unknown option of the kind ferplus 'classes': known: drop"),
        ("csv", {"classes": "a,,c"}, "names like a,b,c"),
        ("rafdb", {"drop": 3}, "names like a,b,c"),
    ],
)
def test_an_option_that_a_kind_does_not_read_is_wrong_usage(tmp_path, kind, options, says):
    with pytest.raises(UsageError, match=says) as caught:
        opened(kind, tmp_path, **options)
    assert caught.value.exit_code == 2


def test_text_means_what_it_says(tmp_path):
    root = layouts.ckplus(tmp_path)
    meant, said = (
        opened("ckplus", root, **options)
        for options in ({"frames": 3, "neutral": False, "seed": 2}, {"frames": "3", "neutral": "False", "seed": "2"})
    )
    assert said.order.name == "ckplus7"
    assert [said.load(s, "given").names for s in SPLITS] == [meant.load(s, "given").names for s in SPLITS]
    assert "neutral" in opened("ckplus", root, neutral="true").order.classes
    assert len(opened("csv", layouts.labels_csv(tmp_path), drop="fear, sadness").order) == 5


def test_ck48_has_no_other_frames_to_take(tmp_path):
    with pytest.raises(UsageError, match="no option frames for CK"):
        opened("ckplus", layouts.ck48(tmp_path), frames=3)
