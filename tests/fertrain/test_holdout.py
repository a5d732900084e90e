"""The held-out part that chooses the epoch is separated by subject, sequence, video or picture."""

import tomllib
from dataclasses import replace

import fer_worlds
import layouts
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fertrain.config.recipes import parse
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.config.serialization import config_from, settings_of, to_toml
from fertrain.datasets.base import Split
from fertrain.datasets.ferplus import FerPlus
from fertrain.datasets.holdout import hold_out_by, hold_out_groups
from fertrain.datasets.registry import Entry, open_entry
from fertrain.datasets.sources import FolderBytes
from fertrain.datasets.subsets import hold_out
from fertrain.errors import DatasetError, UnknownNameError
from fertrain.labels import ORDERS
from fertrain.run_folder import RunFolder
from fertrain.training.experiment import run
from rmset.errors import UsageError


def made(classes, groups=None, tmp="."):
    order = ORDERS["fer2013"]
    targets = np.eye(len(order), dtype=np.float32)[np.asarray(classes, dtype=np.int64)]
    names = tuple(f"{i}.png" for i in range(len(classes)))
    known = {} if groups is None else {"subject": tuple(groups)}
    return Split("s", "train", "given", order, names, targets, FolderBytes(tmp), groups=known)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=120), st.integers(0, 3))
def test_whole_groups_are_held_out_and_no_class_is_left_without_images(rows, seed):
    split = made([k for k, _ in rows], [f"p{g}" for _, g in rows])
    learn, held = hold_out_groups(split, split.groups["subject"], 0.1, seed)
    assert sorted([*learn.tolist(), *held.tolist()]) == list(range(len(rows)))
    who = split.groups["subject"]
    assert not {who[i] for i in learn} & {who[i] for i in held}
    assert {split.classes[i] for i in learn} == set(split.classes.tolist())
    again = hold_out_groups(split, split.groups["subject"], 0.1, seed)
    assert held.tolist() == again[1].tolist()


def test_of_groups_of_one_each_class_gives_its_share():
    split = made([k for k in range(7) for _ in range(30 + k)])
    _, held = hold_out_groups(split, split.names, 0.1, 0)
    assert np.bincount(split.classes[held]).tolist() == [3, 3, 3, 3, 3, 4, 4]


@pytest.mark.parametrize("make", [layouts.ck48, layouts.ckplus, layouts.jaffe, layouts.ferg])
def test_the_epoch_is_chosen_on_subjects_not_trained_on(make, tmp_path):
    kind = {"ck48": "ckplus"}.get(make.__name__, make.__name__)
    options = {"frames": 3} if make is layouts.ckplus else {}
    train = open_entry(Entry("s", kind, make(tmp_path), options)).load("train", "given")
    learn, held, by = hold_out_by(train, 0.1, 0)
    assert by == "subject"
    who = train.groups["subject"]
    assert len(held)
    assert not {who[i] for i in learn} & {who[i] for i in held}


def test_sequences_can_be_held_out_where_subjects_are_known(tmp_path):
    train = open_entry(Entry("s", "ckplus", layouts.ck48(tmp_path), {})).load("train", "given")
    learn, held, by = hold_out_by(train, 0.1, 0, "sequence")
    of = train.groups["sequence"]
    assert by == "sequence"
    assert not {of[i] for i in learn} & {of[i] for i in held}
    with pytest.raises(UsageError, match=r"\(subject, sequence, picture\), found 'video'"):
        hold_out_by(train, 0.1, 0, "video")
    with pytest.raises(UnknownNameError, match="did you mean subject"):
        hold_out_by(train, 0.1, 0, "subjct")


def test_copies_of_a_picture_stay_together_whatever_they_are_called(ferplus, tmp_path):
    root = fer_worlds.class_folders(tmp_path, per_class=8, test=1)
    for folder in (root / "train").iterdir():
        for i in range(4):
            (folder / f"copy{i}.png").write_bytes((folder / f"{i:03d}.png").read_bytes())
    train = open_entry(Entry("s", "folder", root, {})).load("train", "given")
    learn, held, by = hold_out_by(train, 0.3, 0)
    assert by == "picture"
    contents = [(root / name).read_bytes() for name in train.names]
    assert not {contents[i] for i in learn} & {contents[i] for i in held}
    by_name = hold_out(train, 0.3, 0)
    assert {contents[i] for i in by_name[0]} & {contents[i] for i in by_name[1]}, "by name they were torn apart"


@pytest.mark.slow
def test_of_real_ferplus_no_picture_that_is_learned_is_held_out(real_ferplus):
    train = FerPlus("ferplus", real_ferplus).load("train", "majority")
    from fertrain.datasets.pictures import pixel_hashes

    of = pixel_hashes(train.source, train.names)
    before = hold_out(train, 0.1, 0)
    learn, held, _ = hold_out_by(train, 0.1, 0)
    assert len({of[i] for i in before[0]} & {of[i] for i in before[1]}) > 100
    assert not {of[i] for i in learn} & {of[i] for i in held}
    assert abs(len(held) - len(before[1])) < 0.1 * len(before[1])


def config(root, out, **data):
    return RunConfig(
        data=DataConfig(f"folder:{root}", **data), optim=OptimConfig(epochs=(1,), batch_size=14),
        model=ModelConfig("test_resnet", image_size=32), augment="none", precision="fp32", out=str(out),
    )  # fmt: skip


@pytest.mark.slow
def test_a_run_records_how_it_held_out_and_an_old_one_replays_as_it_was(faces, tmp_path):
    new = run(config(faces, tmp_path / "new"))
    values = RunFolder(tmp_path / "new").config_values()
    assert values["data"]["holdout_by"] == "group"
    assert values["measured"]["train"]["holdout_by"] == "picture"
    assert "by picture), epoch 1 of 1" in new.metrics["selected_on"]
    old = run(config(faces, tmp_path / "old", holdout_by="name"))
    file = tmp_path / "old" / "config.toml"
    text = "".join(line for line in file.read_text().splitlines(keepends=True) if "holdout_by" not in line)
    file.write_text(text)
    again = replace(RunFolder(tmp_path / "old").config(), out=str(tmp_path / "again"))
    assert again.data.holdout_by == "name"
    run(again)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("old", "again", "new")]
    assert weights[0] == weights[1]
    about = 'paper = "p"\ncommand = "c"\nexpects = "e"\ntime = "t"\n'
    assert parse(about + text, "old run").config.data.holdout_by == "name"
    assert parse(about, "a recipe").config.data.holdout_by == "group"
    assert config_from(tomllib.loads(to_toml(settings_of(config(faces, "x"))))).data.holdout_by == "group"
    assert old.scores.n == new.scores.n


def test_the_sets_own_valid_chooses_only_where_another_split_is_reported(tmp_path):
    root = fer_worlds.class_folders(tmp_path, per_class=4, test=2)
    with pytest.raises(DatasetError, match=r"expected a split 'valid' .* found train, test"):
        run(config(root, tmp_path / "none", holdout_by="valid"))
    rng = np.random.default_rng(3)
    for k, name in enumerate(fer_worlds.FOLDER_CLASSES):
        for i in range(2):
            fer_worlds.write(root / "valid" / name / f"{i}.png", fer_worlds.face(k, rng))
    result = run(config(root, tmp_path / "a", holdout_by="valid"))
    assert "valid (14 images, rule given)" in result.metrics["selected_on"]
    assert RunFolder(tmp_path / "a").config_values()["measured"]["train"]["learnt_from"] == 28
    with pytest.raises(UsageError, match="another split to report on where `valid` chooses the epoch, found valid"):
        run(config(root, tmp_path / "b", holdout_by="valid", report_on="valid"))
