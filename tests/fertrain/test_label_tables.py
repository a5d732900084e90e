"""Tables of labels: columns, delimiters, line numbers, splits and subjects."""

import cv2
import layouts
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forms import labels, opened
from layouts import RNG, face, write

from fertrain.datasets.base import Level
from fertrain.datasets.check import check
from fertrain.datasets.images import ImageFiles
from fertrain.datasets.label_table import iter_rows, read_table, split_of
from fertrain.errors import DatasetError
from rmset.errors import UsageError


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
