import shutil
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import fer_worlds
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fertrain.datasets.base import Split
from fertrain.datasets.check import check
from fertrain.datasets.ferplus import FerPlus
from fertrain.datasets.folder import Folder
from fertrain.datasets.images import ImageFiles, batches, in_memory
from fertrain.datasets.registry import Entry, add, entries, name_and_split, open_labeled, resolve
from fertrain.datasets.sources import FolderBytes
from fertrain.datasets.subsets import class_aware, hold_out, named_in, read_index, shares, write_index
from fertrain.errors import DatasetError, LabelError, UnknownNameError
from fertrain.labels import ORDERS
from rmset.errors import UsageError


def test_ferplus_without_a_test_split_still_trains_and_validates(ferplus):
    data = FerPlus("ferplus", ferplus)
    assert data.splits() == ["train", "valid"]
    assert len(data.load("train", "majority")) > len(data.load("valid", "majority")) > 0
    with pytest.raises(DatasetError, match=r"'test'.*found train, valid"):
        data.load("test", "majority")


def test_ferplus_reads_the_test_split_when_a_user_has_it(tmp_path):
    data = FerPlus("ferplus", fer_worlds.ferplus(tmp_path, train=8, valid=8, test=8))
    assert data.splits() == ["train", "valid", "test"]
    assert len(data.load("test", "majority")) == 8


def test_images_come_out_of_a_zip_as_out_of_folders(ferplus, tmp_path):
    shutil.copy(ferplus / "fer2013new.csv", tmp_path)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in ferplus.rglob("*.png"):
            archive.write(path, path.relative_to(ferplus).as_posix())
    inside, beside = (FerPlus("x", folder).load("valid", "argmax") for folder in (tmp_path, ferplus))
    assert inside.names == beside.names
    read = [ImageFiles(s.source, s.names, 24, gray=True).read(range(len(s))) for s in (inside, beside)]
    assert torch.equal(*read)
    assert read[0].shape == (len(inside), 1, 24, 24)


def test_missing_votes_and_missing_images_are_one_line_each(tmp_path):
    with pytest.raises(DatasetError, match=r"expected the votes fer2013new\.csv .* microsoft/FERPlus"):
        FerPlus("ferplus", tmp_path)
    (tmp_path / "fer2013new.csv").write_text("Usage,Image name\n")
    with pytest.raises(DatasetError, match="FER2013Train"):
        FerPlus("ferplus", tmp_path)


def test_an_odd_row_of_votes_is_named_by_its_line(tmp_path):
    root = fer_worlds.ferplus(tmp_path, train=8, valid=8)
    path = root / "fer2013new.csv"
    path.write_text(path.read_text().replace("fer0000001.png,0,8", "fer0000001.png,0,eight"))
    with pytest.raises(DatasetError, match="line 3"):
        FerPlus("ferplus", root).load("train", "majority")


def test_check_names_missing_and_unreadable_images(tmp_path):
    root = fer_worlds.ferplus(tmp_path, train=16, valid=8)
    (root / "FER2013Train" / "fer0000003.png").unlink()
    (root / "FER2013Train" / "fer0000005.png").write_bytes(b"no picture")
    report = check(FerPlus("ferplus", root))
    found = {(f.split, f.what): f.example for f in report.findings}
    assert found["train", "missing file"] == "FER2013Train/fer0000003.png"
    assert found["train", "unreadable"] == "FER2013Train/fer0000005.png"
    assert report.broken
    assert [row["rule"] for row in report.counts if row["split"] == "train"] == list(FerPlus("f", root).rules())


def test_a_broken_image_stops_training_with_its_name(tmp_path):
    root = fer_worlds.ferplus(tmp_path, train=8, valid=0)
    (root / "FER2013Train" / "fer0000005.png").write_bytes(b"no picture")
    split = FerPlus("ferplus", root).load("train", "argmax")
    with pytest.raises(DatasetError, match=r"fer0000005\.png"):
        ImageFiles(split.source, split.names, 16, gray=True).read(range(8))


def _promising(side: int) -> bytes:
    """A PNG of few bytes with a size of `side` × `side` pixels in its header."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_whatever_an_image_is_instead_it_is_unreadable_and_named(tmp_path):
    root = fer_worlds.class_folders(tmp_path, per_class=1, test=1)
    (root / "train" / "fear" / "huge.png").write_bytes(_promising(100_000))
    (root / "train" / "fear" / "empty.png").write_bytes(b"")
    (root / "test" / "anger" / "0.png").symlink_to(tmp_path / "nowhere.png")
    report = check(Folder("faces", root))
    assert [(f.split, f.n, f.example) for f in report.findings if f.what == "unreadable"] == [
        ("train", 2, "train/fear/empty.png"),
        ("test", 1, "test/anger/0.png"),
    ]
    (root / "a" / "x.png").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"x\.png.*found a folder"):
        FolderBytes(root).get("a/x.png")


def test_a_damaged_member_of_a_zip_is_named_like_any_other_image(tmp_path):
    root = fer_worlds.ferplus(tmp_path, train=8, valid=8)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in sorted(root.rglob("*.png")):
            archive.write(path, path.relative_to(root).as_posix())
        at = archive.getinfo("FER2013Train/fer0000003.png").header_offset + 200
    data = bytearray((tmp_path / "images.zip").read_bytes())
    data[at] ^= 255
    (tmp_path / "images.zip").write_bytes(data)
    for folder in ("FER2013Train", "FER2013Valid"):
        shutil.rmtree(root / folder)
    report = check(FerPlus("ferplus", root))
    assert [(f.n, f.example) for f in report.findings if f.what == "unreadable"] == [(1, "FER2013Train/fer0000003.png")]
    split = FerPlus("ferplus", root).load("train", "argmax")
    with pytest.raises(DatasetError, match=r"fer0000003\.png whole in .*CRC-32.*datasets check"):
        ImageFiles(split.source, split.names, 16, gray=True).read(range(8))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_one_line_out_of_a_worker_too(tmp_path, workers):
    root = fer_worlds.class_folders(tmp_path, per_class=1, test=1)
    (root / "train" / "fear" / "000.png").write_bytes(b"no picture")
    split = Folder("faces", root).load("train")
    files = ImageFiles(split.source, split.names, 16, gray=False)
    with pytest.raises(DatasetError, match=r"train/fear/000\.png") as caught:
        list(batches(files, [[k] for k in range(len(split))], workers))
    assert "\n" not in str(caught.value)


def test_a_folder_takes_its_order_from_its_classes(faces):
    data = Folder("faces", faces)
    assert data.order.name == "fer2013"
    split = data.load("train")
    assert split.counts() == dict.fromkeys(data.order.classes, 12)
    assert not split.gray


def test_a_folder_of_unknown_classes_needs_an_order(tmp_path):
    fer_worlds.class_folders(tmp_path, per_class=1, test=1, classes=("smile", "frown"))
    with pytest.raises(LabelError, match="--classes"):
        Folder("x", tmp_path)
    assert Folder("x", tmp_path, ("smile", "frown")).load("test").classes.tolist() == [1, 0]


def test_an_unknown_folder_gives_an_error_with_the_expected_layout(tmp_path):
    (tmp_path / "stuff").mkdir()
    with pytest.raises(DatasetError, match=r"train/CLASS/image.*found stuff"):
        Folder("x", tmp_path)


def test_names_are_kept_in_the_users_folder_or_here(faces):
    file = add(Entry("mine", "folder", faces))
    assert file.parent.name == "fertrain"
    assert entries()["mine"].path == faces
    here = add(Entry("mine", "folder", faces, {"classes": list(Folder("f", faces).order.classes)}), here=True)
    assert here == Path("datasets.toml")
    assert entries()["mine"].options["classes"][0] == "anger"
    assert open_labeled("mine").splits() == ["train", "test"]


def test_unknown_names_say_what_is_close(faces):
    add(Entry("affectnet", "folder", faces))
    with pytest.raises(UnknownNameError, match="did you mean affectnet") as caught:
        resolve("afectnet")
    assert caught.value.exit_code == 2
    with pytest.raises(UnknownNameError, match="kind of data set"):
        add(Entry("x", "foldr", faces))
    with pytest.raises(UsageError, match=r"none at /no/such"):
        add(Entry("x", "folder", Path("/no/such")))
    with pytest.raises(UsageError, match=r"`data.unlabeled`"):
        open_labeled(f"rmset:{faces}")


def test_a_set_can_be_used_once_without_a_name(faces):
    assert open_labeled(f"folder:{faces}").splits() == ["train", "test"]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=9), st.integers(0, 300))
def test_shares_sum_to_the_budget_and_are_as_even_as_classes_allow(available, budget):
    have = np.array(available)
    budget = min(budget, int(have.sum()))
    given_ = shares(have, budget)
    assert given_.sum() == budget
    assert (given_ <= have).all()
    unfinished = given_[given_ < have]
    if len(unfinished):
        # a class with images left gives at least as many as any other, apart from the remainder of the division
        assert given_.max() - unfinished.min() <= 1


def test_a_label_budget_is_seeded_even_and_can_be_given_again(ferplus, tmp_path):
    train = FerPlus("ferplus", ferplus).load("train", "argmax")
    rows = class_aware(train, 24, seed=3)
    assert rows.tolist() == class_aware(train, 24, seed=3).tolist() != class_aware(train, 24, seed=4).tolist()
    subset = train.take(rows)
    assert set(subset.counts().values()) == {3}
    digest = write_index(subset, tmp_path / "labels.csv")
    assert train.take(read_index(train, tmp_path / "labels.csv")).sha256() == subset.sha256()
    assert write_index(subset, tmp_path / "again.csv") == digest
    with pytest.raises(DatasetError, match="1 to 64"):
        class_aware(train, 65, seed=0)


def test_an_index_file_can_be_read_back_whatever_its_names_hold(tmp_path):
    names = ("plain.png", "a,b.png", '"c".png', "#d.png", "e\nf.png")
    split = Split(
        "s", "train", "given", ORDERS["ferplus"], names, np.eye(8, dtype=np.float32)[:5], FolderBytes(tmp_path)
    )
    write_index(split, tmp_path / "labels.csv")
    assert named_in(tmp_path / "labels.csv") == list(names)
    assert read_index(split, tmp_path / "labels.csv").tolist() == [0, 1, 2, 3, 4]
    write_index(split.take([0]), tmp_path / "labels.csv")
    written = (tmp_path / "labels.csv").read_bytes()
    assert written == b"# s train given\n# 1 images\nname,class\nplain.png,neutral\n"


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda text: text.rsplit("\n", 2)[0] + "\n", "expected 24 images"),
        (lambda text: text.replace(",happiness", ",anger"), "3 others, first .*: anger, not happiness"),
        (lambda text: text.replace("fer00000", "fer99900"), "24 others"),
        (lambda text: text.split("name")[0] + "name,class\n", "no rows"),
    ],
)
def test_an_index_file_that_was_cut_or_edited_or_is_another_sets_is_refused(ferplus, tmp_path, edit, says):
    train = FerPlus("ferplus", ferplus).load("train", "argmax")
    index = tmp_path / "labels.csv"
    write_index(train.take(class_aware(train, 24, seed=3)), index)
    index.write_text(edit(index.read_text()))
    with pytest.raises(DatasetError, match=says):
        read_index(train, index)


def test_an_index_serves_schemes_that_give_several_classes_alike(ferplus, tmp_path):
    data = FerPlus("ferplus", ferplus)
    several = data.load("train", "multi")
    index = tmp_path / "labels.csv"
    write_index(several, index)
    last = np.asarray([np.flatnonzero(row == row.max())[-1] for row in several.targets])
    write_index(replace(several, targets=np.eye(len(several.order), dtype=np.float32)[last]), index)
    assert read_index(several, index).tolist() == list(range(len(several)))


def test_an_index_of_names_alone_will_do(ferplus, tmp_path):
    train = FerPlus("ferplus", ferplus).load("train", "argmax")
    (tmp_path / "mine.csv").write_text(f"name\n{train.names[5]}\n{train.names[2]}\n")
    assert read_index(train, tmp_path / "mine.csv").tolist() == [2, 5]


def test_held_out_images_are_not_learned_from_and_twins_stay_together(ferplus):
    train = FerPlus("ferplus", ferplus).load("train", "argmax")
    twice = train.take([*range(len(train)), *range(len(train))])
    learn, held = hold_out(twice, 0.25, seed=0)
    assert len(learn) + len(held) == len(twice)
    assert not {twice.names[i] for i in learn} & {twice.names[i] for i in held}


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_and_memory_change_nothing(faces, workers):
    split = Folder("faces", faces).load("train")
    files = ImageFiles(split.source, split.names, 16, gray=False)
    rows = [[3, 1, 2], [0, 5]]
    kept = in_memory(files, (3, 16, 16), 10)
    assert in_memory(files, (3, 16, 16), 0) is files
    for a, b in zip(batches(files, rows, workers), batches(kept, rows, workers), strict=True):
        assert torch.equal(a, b)


def test_a_target_is_a_set_or_a_set_and_its_split(faces, ferplus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("plain", "with:colon", "ferplus"):
        add(Entry(name, "ferplus", ferplus))
    for name in ("data", "odd:test", "test"):
        (tmp_path / name).symlink_to(faces)
    for name, split in (
        ("plain", ""), ("plain", "valid"), ("plain", "vlid"), ("with:colon", ""), ("with:colon", "valid"),
        ("folder:data", ""), ("folder:data", "test"), (f"folder:{faces}", ""), (f"folder:{faces}", "test"),
        ("folder:odd:test", ""), ("folder:odd:test", "train"),
        # a set may be called like its kind
        ("ferplus", ""), ("ferplus", "test"), ("ferplus:./test", ""),
        # the folder does not exist: the message must name it
        ("folder:gone", ""), ("folder:gone", "test"), ("folder:valid", ""), ("nobody", "test"), ("nobody", ""),
    ):  # fmt: skip
        assert name_and_split(f"{name}:{split}" if split else name) == (name, split)
