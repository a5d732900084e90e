"""Detect the kind of a folder, draw a set's contact sheet, and find the same picture in two places."""

import json

import cv2
import fer_worlds
import layouts
import numpy as np
import pytest
from forms import FORMS
from layouts import face, write
from typer.testing import CliRunner

from fertrain.datasets.base import Split
from fertrain.datasets.detect import detect
from fertrain.datasets.ferplus import FerPlus
from fertrain.datasets.overlap import overlap
from fertrain.datasets.pictures import pixel_hashes
from fertrain.datasets.registry import open_labeled
from fertrain.datasets.sheet import draw
from fertrain.datasets.sources import FolderBytes
from fertrain.labels import ORDERS
from rmset.errors import UsageError
from rmset_cli.fertrain.app import app
from rmset_cli.fertrain.options import as_flags

PLAIN = [
    ("ferplus", fer_worlds.ferplus), ("ferplus", layouts.ferplus_images), ("ferplus", layouts.ferplus_label_csv),
    ("fer2013", layouts.fer2013_csv), ("fer2013", layouts.fer2013_names), ("affectnet", layouts.affectnet_tables),
    ("affectnet", layouts.affectnet_annotations), ("rafdb", layouts.rafdb), ("ckplus", layouts.ckplus),
    ("ckplus", layouts.ck48), ("jaffe", layouts.jaffe), ("ferg", layouts.ferg), ("parquet", layouts.parquet),
    ("csv", layouts.labels_csv), ("folder", fer_worlds.class_folders), ("rmset", fer_worlds.rmset_root),
]  # fmt: skip
# class folders of any set are read as such; only the counts show that they are FER2013's
OTHERS = [(k, m) for k, m, _ in FORMS if not (k == "fer2013" and "folders" in m.__name__ + "no_splits folders")]
OTHERS = [(k, m) for k, m in OTHERS if (k, m) != ("fer2013", layouts.fer2013_no_splits)]


@pytest.mark.parametrize(("kind", "make"), [*PLAIN, *OTHERS])
def test_every_layout_is_known_by_looking(kind, make, tmp_path):
    found = detect(make(tmp_path))
    assert found.kind == kind
    assert found.why


def test_an_archive_in_a_folder_of_its_own_is_found(tmp_path):
    inner = tmp_path / "archive" / "DATA"
    inner.mkdir(parents=True)
    fer_worlds.class_folders(inner)
    assert detect(tmp_path).path == inner


def test_an_unknown_folder_is_described_in_the_error(tmp_path):
    (tmp_path / "notes.md").write_text("none")
    with pytest.raises(UsageError, match=r"found notes\.md; give its `kind`"):
        detect(tmp_path)
    with pytest.raises(UsageError, match="found none at"):
        detect(tmp_path / "gone")


def test_add_looks_says_why_and_asks_for_nothing(tmp_path):
    root = layouts.rafdb_kaggle(tmp_path)
    result = CliRunner().invoke(app, ["datasets", "add", "raf", str(root)])
    assert result.exit_code == 0, result.output
    assert "folders 1 to 7 with train_00002_aligned.jpg (RAF-DB of Kaggle); read as the kind rafdb" in result.stderr
    assert "train 14, test 14 images, label order rafdb: surprise, fear" in result.stderr
    assert "no evidence, as the counts are not those of the whole published split" in result.stderr
    assert open_labeled("raf").splits() == ["train", "test"]


def test_add_says_what_is_missing_and_takes_it(tmp_path):
    root = layouts.numbered_folders(tmp_path, range(1, 8))
    run = CliRunner()
    asked = run.invoke(app, ["datasets", "add", "mine", str(root)])
    assert asked.exit_code == 1
    advice = as_flags(str(asked.exception)).partition("rafdb: `fertrain datasets add … --classes ")[2].split("`")[0]
    taken = run.invoke(app, ["datasets", "add", "mine", str(root), "--classes", advice])
    assert taken.exit_code == 0, taken.output
    assert open_labeled("mine").order == ORDERS["rafdb"]
    columns = layouts.windows_tsv(tmp_path / "t") if (tmp_path / "t").mkdir() is None else None
    taken = run.invoke(app, ["datasets", "add", "t", "--path", str(columns), "--columns", "image=Pth,label=Expression"])
    assert taken.exit_code == 0, taken.output
    both = run.invoke(app, ["datasets", "add", "t", str(columns), "--path", str(columns)])
    assert isinstance(both.exception, UsageError)


def test_the_sheet_shows_each_class_of_each_split_as_it_is_learned(tmp_path):
    root = fer_worlds.class_folders(tmp_path / "set", per_class=3, test=2)
    data = open_labeled(f"folder:{root}")
    drawn = draw(data, tmp_path / "out" / "sheet.png", each=2, tile=48)
    assert drawn.rows[0] == {"class": "anger", "train": 3, "test": 2}
    picture = cv2.imread(str(drawn.file), cv2.IMREAD_GRAYSCALE).astype(float)
    # the bar of each row's faces is at the place of its class: the rows are not mixed up
    for line, name in enumerate(data.order.classes):
        tile = picture[44 + line * 52 : 44 + line * 52 + 46, 104 + 8 : 104 + 38]
        expected = cv2.resize(face(fer_worlds.FOLDER_CLASSES.index(name), np.random.default_rng(0)), (46, 46))
        assert abs(int(tile.mean(axis=1).argmax()) - int(expected[:, 10:36, 0].mean(axis=1).argmax())) <= 6, name
    again = draw(data, tmp_path / "again.png", each=2, tile=48)
    assert again.file.read_bytes() == drawn.file.read_bytes()


def test_show_writes_beside_and_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = fer_worlds.ferplus(tmp_path / "f", train=16, valid=8)
    (root / "FER2013Train" / "fer0000000.png").write_bytes(b"hurt")
    result = CliRunner().invoke(app, ["datasets", "show", f"ferplus:{root}", "--format", "json", "--rule", "argmax"])
    assert result.exit_code == 0, result.output
    assert sum(row["train"] for row in json.loads(result.stdout)) == 16
    assert (tmp_path / "f-sheet.png").is_file()


def portrait(seed, size=96):
    rng = np.random.default_rng(seed)
    noise = cv2.resize(rng.integers(0, 255, (12, 12), dtype=np.uint8), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.stack([noise] * 3, axis=2)


def test_a_picture_is_found_again_however_it_was_saved(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for seed in range(12):
        owner = ORDERS["fer2013"].classes[seed % 7]
        write(a / "train" / owner / f"{seed}.png", portrait(seed))
        write(b / "test" / owner / f"new{seed}.png", portrait(100 + seed))
    changed = {
        "copy": portrait(0), "mirror": portrait(1)[:, ::-1], "small": cv2.resize(portrait(2), (48, 48)),
        "large": cv2.resize(portrait(3), (150, 150)), "pale": (portrait(4) // 2 + 90).astype(np.uint8),
    }  # fmt: skip
    for name, image in changed.items():
        write(b / "test" / "fear" / f"{name}.png", image)
    cv2.imwrite(str(b / "test" / "fear" / "jpeg.jpg"), portrait(5)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40])
    options = ["--against", f"folder:{b}:test", "--format", "json"]
    result = CliRunner().invoke(app, ["datasets", "check", f"folder:{a}:train", *options])
    assert result.exit_code == 1
    rows = {row["as"].rpartition("/")[2]: row for row in json.loads(result.stdout)}
    assert {name: (row["image"].rpartition("/")[2], row["how"]) for name, row in rows.items()} == {
        "copy.png": ("0.png", "same pixels"), "mirror.png": ("1.png", "mirrored"),
        "small.png": ("2.png", "saved again or resized"), "large.png": ("3.png", "saved again or resized"),
        "pale.png": ("4.png", "saved again or resized"), "jpeg.jpg": ("5.png", "saved again or resized"),
    }  # fmt: skip
    assert rows["copy.png"]["label"] == "anger"
    assert rows["copy.png"]["other_label"] == "fear"
    (b / "test" / "fear" / "copy.png").rename(tmp_path / "copy.png")
    for name in ("mirror.png", "small.png", "large.png", "pale.png", "jpeg.jpg"):
        (b / "test" / "fear" / name).unlink()
    clean = CliRunner().invoke(app, ["datasets", "check", f"folder:{a}", "--against", f"folder:{b}", "-f", "csv"])
    assert (clean.exit_code, clean.stdout) == (0, "in,image,label,also_in,as,other_label,how,similarity\n")


def test_a_set_against_itself_compares_its_splits(tmp_path):
    root = fer_worlds.class_folders(tmp_path, per_class=1, test=1)
    (root / "test" / "fear" / "x.png").write_bytes((root / "train" / "fear" / "000.png").read_bytes())
    result = CliRunner().invoke(
        app, ["datasets", "check", f"folder:{root}", "--against", f"folder:{root}", "-f", "json"]
    )
    same = [row for row in json.loads(result.stdout) if row["how"] == "same pixels"]
    assert [(r["image"], r["as"]) for r in same] == [("train/fear/000.png", "test/fear/x.png")]


@pytest.mark.slow
def test_of_real_ferplus_every_copied_picture_is_found_and_found_again_after_jpeg(real_ferplus, tmp_path):
    data = FerPlus("ferplus", real_ferplus)
    train, valid = data.load("train", "argmax").take(range(6000)), data.load("valid", "argmax")
    hashes = set(pixel_hashes(train.source, train.names))
    copied = {n for n, h in zip(valid.names, pixel_hashes(valid.source, valid.names), strict=True) if h in hashes}
    found = {pair.a[1] for pair in overlap([valid], [train]) if pair.how == "same pixels"}
    assert copied <= found
    assert len(copied) > 20
    names = []
    for k, name in enumerate(train.names[:300]):
        image = cv2.imdecode(np.frombuffer(train.source.get(name), np.uint8), cv2.IMREAD_GRAYSCALE)
        names.append(f"{k}.jpg")
        cv2.imwrite(str(tmp_path / names[-1]), cv2.resize(image, (72, 72)), [cv2.IMWRITE_JPEG_QUALITY, 60])
    saved = Split(
        "saved", "train", "given", train.order, tuple(names), train.targets[:300], FolderBytes(tmp_path), gray=True
    )
    again = {pair.a[1]: pair.b[1] for pair in overlap([saved], [train])}
    # some pictures stand in the set under several names
    of = dict(zip(train.names, pixel_hashes(train.source, train.names), strict=True))
    hits = sum(f"{k}.jpg" in again and of[again[f"{k}.jpg"]] == of[train.names[k]] for k in range(300))
    assert hits >= 280, hits
