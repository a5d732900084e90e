"""Roots made from labeled images: the truth has every image's class, and only training images are used."""

import fer_worlds
import numpy as np
import pytest

from fertrain.datasets.images import decode
from fertrain.errors import DatasetError
from fertrain.labels import ORDERS
from fertrain.unlabeled.ground_truth import read_ground_truth
from fertrain.unlabeled.scripted_mashup import ScriptedConfig, write_scripted
from rmset.errors import UsageError
from rmset.inspect.verify import verify
from rmset.read.crops import CropStore
from rmset.root import Root
from rmset.truth import Truth

SMALL = {"videos": 2, "people": 3, "seconds": 4.0, "size": 48}


@pytest.fixture(scope="module")
def scripted(faces, tmp_path_factory):
    root, _ = write_scripted(tmp_path_factory.mktemp("s") / "root", ScriptedConfig(f"folder:{faces}", **SMALL))
    return root


def test_every_crop_is_a_training_image_of_the_expression_that_the_truth_names(scripted, faces):
    assert list(verify(scripted)) == []
    store = CropStore(scripted)
    assert len(store) == 2 * 3 * 40
    shown = {}
    for path in (faces / "train").rglob("*.png"):
        shown.setdefault(path.parent.name, []).append(decode(path.read_bytes(), path.name, gray=False).astype(int))
    truths = [Truth.read(scripted.files.local(scripted.truth_key(v))) for v in store.keys.video_ids]
    known = [{(f.person, f.frame): f.expression for f in t.faces} for t in truths]
    for row in range(0, len(store), 7):
        video, person, frame = (int(v[row]) for v in (store.keys.video, store.keys.person, store.keys.frame))
        crop = store.images([row])[0].astype(int)
        apart = {c: min(np.abs(crop - image).mean() for image in images) for c, images in shown.items()}
        assert min(apart, key=apart.get) == known[video][person, frame]
        # what JPEG makes of colored noise
        assert min(apart.values()) < 12
    assert all(t.identities == {} and len(t.delays) == 3 for t in truths)


def test_images_that_a_run_learns_from_can_be_left_out(faces, tmp_path):
    index = tmp_path / "labels.csv"
    names = sorted(p.relative_to(faces).as_posix() for p in (faces / "train").rglob("*.png"))
    index.write_text("name,label\n" + "".join(f"{n},{n.split('/')[1]}\n" for n in names if not n.endswith("000.png")))
    _, counts = write_scripted(tmp_path / "root", ScriptedConfig(f"folder:{faces}", without=str(index), **SMALL))
    assert set(counts.values()) == {1}


def test_images_to_leave_out_that_the_set_does_not_have_are_refused(faces, tmp_path):
    index = tmp_path / "labels.csv"
    index.write_text("name\nelsewhere/1.png\n")
    with pytest.raises(DatasetError, match=r"found 1 others, first elsewhere/1\.png"):
        write_scripted(tmp_path / "root", ScriptedConfig(f"folder:{faces}", without=str(index), **SMALL))
    assert not (tmp_path / "root").exists()


@pytest.mark.slow
def test_votes_are_shown_under_their_rule(ferplus, tmp_path):
    _, counts = write_scripted(tmp_path / "root", ScriptedConfig(f"ferplus:{ferplus}", **SMALL))
    # contempt is drawn by no script; ties have no majority
    assert "contempt" not in counts
    assert sum(counts.values()) < 56


def test_what_is_there_is_not_overwritten(faces):
    with pytest.raises(UsageError, match="expected no root yet"):
        write_scripted(faces, ScriptedConfig(f"folder:{faces}", **SMALL))


def test_a_set_without_neutral_faces_cannot_be_scripted(tmp_path):
    few = fer_worlds.class_folders(tmp_path / "few", 2, 1, ORDERS["ckplus7"].classes)
    with pytest.raises(DatasetError, match="that are neutral"):
        write_scripted(tmp_path / "root", ScriptedConfig(f"folder:{few}", **SMALL))
    assert not Root(tmp_path / "root").path.exists()


def test_the_truth_is_known_row_by_row(scripted):
    keys = CropStore(scripted).keys
    known = read_ground_truth(scripted, keys)
    assert known.classes == tuple(sorted(known.classes))
    assert (known.expression >= 0).all()
    # without identities, panels of other videos are other people
    assert len(np.unique(known.person)) == 6
    truth = Truth.read(scripted.files.local(scripted.truth_key(keys.video_ids[1])))
    face = truth.faces[17]
    row = keys.row(keys.video_ids[1], face.person, face.frame)
    assert known.classes[known.expression[row]] == face.expression
    assert known.delays[keys.video_ids[1], face.person] == truth.delays[face.person]
    with pytest.raises(DatasetError, match="expected expressions out of neutral, anger"):
        read_ground_truth(scripted, keys, ("neutral", "anger"))


def test_a_real_root_has_no_truth(mashup):
    assert read_ground_truth(Root(mashup), CropStore(Root(mashup)).keys) is None
