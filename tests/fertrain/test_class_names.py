"""Class folders and numbers: recognized, or refused with an advice that works."""

import fer_worlds
import layouts
import pytest
from forms import RAFDB, opened

from fertrain.datasets.classes import read_classes
from fertrain.datasets.published import recognized
from fertrain.errors import DatasetError, LabelError
from fertrain.labels import ORDERS
from rmset.errors import UsageError


def test_numbered_folders_are_refused_with_an_advice_that_works(tmp_path):
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


def test_misspelled_folders_are_refused_with_an_advice_that_works(tmp_path):
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
