"""Labeled sets in their published forms: each is read completely, with the right labels."""

from collections import Counter
from itertools import pairwise

import fer_worlds
import layouts
import pytest
from forms import FORMS, opened, shown
from layouts import AFFECTNET_NAMES, FER_NAMES

from fertrain.datasets.base import Level
from fertrain.datasets.check import check
from fertrain.datasets.ferplus import FerPlus
from fertrain.errors import DatasetError
from fertrain.labels import ORDERS
from rmset.errors import UsageError


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


def test_affectnet_of_kaggle_has_no_splits_and_a_message_says_so(tmp_path):
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


def test_the_competitions_test_csv_has_no_labels_and_a_message_says_so(tmp_path):
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


def test_class_folders_of_the_names_of_fer2013_make_its_order(tmp_path):
    data = opened("fer2013", layouts.fer2013_usage_folders(tmp_path))
    assert data.splits() == ["train", "valid", "test"]
    assert Counter(data.load("valid", "given").counts()) == Counter(dict.fromkeys(ORDERS["fer2013"].classes, 1))
    assert len(FER_NAMES) == len(data.order)
