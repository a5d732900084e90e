"""Unlabeled streams: choice and order of images, views, and too few images."""

import shutil
from dataclasses import replace

import fer_worlds
import layouts
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fertrain.config.methods import RmferConfig
from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.datasets.registry import Entry, add, open_labeled
from fertrain.datasets.subsets import write_index
from fertrain.errors import DatasetError
from fertrain.methods import Phase, Views
from fertrain.models.checkpoint_file import read_file
from fertrain.training.batches import EpochContext, TrainLoader, labeled_rows, unlabeled_rows, within
from fertrain.training.data import open_labeled_data, open_unlabeled
from fertrain.training.experiment import run
from fertrain.training.resolve import resolve
from fertrain.unlabeled.crops import open_crops
from rmset.errors import UsageError
from rmset.root import Root

BESIDE = Phase("beside", 2, 1e-3, "adamw", views=Views(ratio=2, weak=1, strong=2))
ALONE = Phase("alone", 2, 1e-3, "adamw", views=Views(ratio=2, strong=2), labeled=False, judged=False)
CPU = torch.device("cpu")


def config(labeled, **changes):
    data = {"labeled": str(labeled), "unlabeled": "rest", "labels": 35} | changes.pop("data", {})
    return RunConfig(
        **{
            "data": DataConfig(**data), "model": ModelConfig(image_size=32), "augment": "affine", "strong": "erasing",
            "optim": OptimConfig(batch_size=5), **changes,
        }
    )  # fmt: skip


def opened(c, tmp_path, phases=(BESIDE,)):
    said = []
    data = open_labeled_data(resolve(c), open_labeled(c.data.labeled), 3)
    if data.chosen is not None:
        (tmp_path / "run").mkdir(parents=True, exist_ok=True)
        write_index(data.chosen, tmp_path / "run" / "labels.csv")
    beside = open_unlabeled(resolve(c), phases, data, say=said.append)
    feed = TrainLoader(
        data.learn, beside.anchors, beside.images, batch_size=c.optim.batch_size, seed=c.seed, workers=c.workers,
        device=CPU,
    )  # fmt: skip
    return data, beside, feed, said


def same(a, b):
    return torch.equal(a.images, b.images) and all(
        torch.equal(x, y)
        for x, y in zip(a.unlabeled.weak + a.unlabeled.strong, b.unlabeled.weak + b.unlabeled.strong, strict=True)
    )


# rows


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 5), st.integers(0, 5))
def test_no_image_twice_in_a_pass_and_every_pass_in_another_order(total, n, seed, epoch):
    n = min(n, total)
    steps = [unlabeled_rows(total, n, seed, epoch, step) for step in range(2 * (total // n))]
    for a_pass in (steps[: total // n], steps[total // n :]):
        rows = np.concatenate(a_pass)
        assert len(set(rows.tolist())) == len(rows) == (total // n) * n
        assert 0 <= rows.min() <= rows.max() < total
    assert all(len(rows) == n for rows in steps)
    if total // n > 10:
        assert any((a != b).any() for a, b in zip(steps[: total // n], steps[total // n :], strict=True))


def test_labeled_rows_go_on_with_another_order_after_a_pass():
    classes = np.arange(10) % 3
    place = EpochContext(0, 4, range(6), 0, CPU, torch.contiguous_format)
    rows = labeled_rows(classes, 5, place, balanced=False)
    assert sorted(rows[0] + rows[1]) == sorted(rows[2] + rows[3]) == list(range(10))
    assert rows[0] + rows[1] != rows[2] + rows[3]
    assert labeled_rows(classes, 5, replace(place, steps=range(3, 6)), balanced=False) == rows[3:]


# batches


def test_batches_depend_on_seed_epoch_and_step_alone(faces, tmp_path):
    c = config(f"folder:{faces}")
    _, _, feed, _ = opened(c, tmp_path)
    whole = list(feed.epoch(1, BESIDE, in_phase=1))
    assert len(whole) == feed.steps(BESIDE) == 5
    slow = replace(c, memory_mb=0, workers=2)
    _, _, other, _ = opened(slow, tmp_path)
    assert all(same(a, b) for a, b in zip(whole[2:], other.epoch(1, BESIDE, 1, start=2), strict=True))
    assert not same(whole[0], next(feed.epoch(2, BESIDE)))
    assert not same(whole[0], next(opened(replace(c, seed=1), tmp_path)[2].epoch(1, BESIDE)))
    assert [round(b.done, 3) for b in whole] == [0.5, 0.6, 0.7, 0.8, 0.9]
    assert {b.epoch for b in whole} == {1}
    assert [b.step for b in whole] == [5, 6, 7, 8, 9]
    assert len({b.seed for b in whole}) == 5


def test_views_are_of_the_same_images_each_augmented_anew(faces, tmp_path):
    _, _, feed, _ = opened(config(f"folder:{faces}", augment="none", strong="flip"), tmp_path)
    batch = next(feed.epoch(0, BESIDE))
    (weak,), (one, two) = batch.unlabeled.weak, batch.unlabeled.strong
    assert len(batch.images) == 5
    assert len(weak) == len(one) == len(two) == 10
    assert batch.passes == 5 + 3 * 10
    for view in (one, two):
        mirrored = [not torch.equal(a, b) for a, b in zip(view, weak, strict=True)]
        assert all(torch.equal(a, b.flip(-1)) for a, b, m in zip(view, weak, mirrored, strict=True) if m)
        assert 0 < sum(mirrored) < 10
    assert not torch.equal(one, two)


def test_a_phase_without_labels_passes_over_the_unlabeled_images(faces, tmp_path):
    _, beside, feed, _ = opened(config(f"folder:{faces}"), tmp_path, (ALONE,))
    assert beside.measured["images"] == 84 - 35
    assert feed.steps(ALONE) == 4
    for batch in feed.epoch(0, ALONE):
        assert batch.images.shape == (0, 3, 32, 32)
        assert batch.targets.shape == (0, 7)
        assert [len(view) for view in batch.unlabeled.strong] == [10, 10]


# which images


def test_the_rest_is_what_was_neither_learned_from_nor_held_out(ferplus, tmp_path):
    c = config(f"ferplus:{ferplus}", data={"rule": "argmax", "labels": 24})
    data, beside, _, _ = opened(c, tmp_path)
    chosen, held, rest = set(data.learn.split.names), set(data.held.names), set(data.rest.names)
    every = set(open_labeled(c.data.labeled).load("train", "argmax").names)
    assert chosen | rest <= every
    assert not (chosen | held) & rest
    assert len(rest) == len(every) - 24
    assert beside.measured["rule"] == "argmax"
    assert beside.measured["grey"]
    # the run's index file, given again, leaves the same rest
    again = replace(c, data=replace(c.data, labels=None, labels_file=str(tmp_path / "run" / "labels.csv")))
    assert opened(again, tmp_path / "again")[1].measured["sha256"] == beside.measured["sha256"]


def test_each_stream_is_normalized_by_its_own_mean_and_std_and_grayed_beside_a_gray_set(ferplus, mashup, tmp_path):
    c = config(f"ferplus:{ferplus}", data={"unlabeled": f"rmset:{mashup}"}, augment="none")
    data, beside, feed, said = opened(c, tmp_path)
    assert beside.images.spec.mean != data.spec.mean
    assert beside.images.spec.gray
    every = beside.images.spec.prepare(beside.images.images.read(range(180)))
    assert every.mean().abs() < 0.01
    assert every.std() == pytest.approx(1, abs=0.01)
    seen = next(feed.epoch(0, BESIDE)).unlabeled.weak[0]
    assert all((every == image).all(dim=(1, 2, 3)).any() for image in seen)
    assert torch.equal(seen[:, 0], seen[:, 1])
    assert "180 crops of 3 people in 1 videos" in said[0]


def test_another_labeled_set_gives_images_and_its_labels_are_not_read(faces, tmp_path):
    other = fer_worlds.class_folders(tmp_path / "other", per_class=4, test=1, classes=("happy", "bored"))
    add(Entry("other", "folder", other, {"classes": ["happy", "bored"]}))
    _, beside, _, said = opened(config(f"folder:{faces}", data={"unlabeled": "other"}), tmp_path)
    assert beside.measured["images"] == 8
    assert beside.measured["classes_only_here"] == ["bored"]
    assert "labels not read, classes differ: bored only there" in said[0]


def test_a_root_is_known_by_its_content_wherever_it_lies(mashup, tmp_path):
    shutil.copytree(mashup, tmp_path / "moved")
    crops = open_crops(Root(mashup))
    assert open_crops(Root(tmp_path / "moved")).sha256() == crops.sha256()
    assert open_crops(Root(mashup), fraction=0.5).sha256() != crops.sha256()
    next((tmp_path / "moved" / "crops").rglob("part-*.parquet")).unlink()
    assert open_crops(Root(tmp_path / "moved")).sha256() != crops.sha256()


def test_a_share_is_seeded_and_grows(faces, tmp_path):
    def names(fraction, seed=0):
        c = config(f"folder:{faces}", data={"unlabeled_fraction": fraction}, seed=seed, memory_mb=0)
        return set(opened(c, tmp_path)[1].images.images.names)

    quarter, half, whole = names(0.25), names(0.5), names(1.0)
    assert (len(quarter), len(half), len(whole)) == (12, 24, 49)
    assert quarter < half < whole


# too few, none, the wrong ones


def test_a_split_by_person_is_of_a_root(faces, mashup, tmp_path):
    crops = {"unlabeled": f"rmset:{mashup}", "split_seed": 7}
    whole, some = (
        opened(config(f"folder:{faces}", data=crops | {"unlabeled_split": split}), tmp_path)[1].images.images
        for split in (None, "train")
    )
    assert 0 < len(some) < len(whole)
    with pytest.raises(UsageError, match="expected crops of a root"):
        opened(config(f"folder:{faces}", data={"unlabeled_split": "train"}), tmp_path)


def test_the_same_faces_under_another_name_are_reported(ferplus, faces, tmp_path):
    fer2013 = layouts.fer2013_csv(tmp_path)
    for labeled, unlabeled, told in [
        (f"ferplus:{ferplus}", f"fer2013:{fer2013}", True),
        (f"ferplus:{ferplus}", f"folder:{faces}", False),
        (f"folder:{faces}", f"fer2013:{fer2013}", False),
    ]:
        _, _, _, said = opened(config(labeled, data={"unlabeled": unlabeled}), tmp_path)
        assert any("both FER2013's images" in line and "--unlabeled rest" in line for line in said) == told


def test_a_set_smaller_than_a_step_is_seen_whole_in_every_step(faces, tmp_path):
    c = config(f"folder:{faces}", data={"labels": 77}, optim=OptimConfig(batch_size=8))
    _, _, feed, said = opened(c, tmp_path)
    assert any("7 unlabeled images are fewer than the 16 of a step; every step sees them all" in s for s in said)
    assert [len(b.unlabeled.weak[0]) for b in feed.epoch(0, BESIDE)] == [7] * feed.steps(BESIDE)


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (
            {"labels": None},
            DatasetError,
            "two unlabeled images or more in rest of .* found 0; .* `data.labels`",
        ),
        ({"unlabeled": None}, UsageError, "expected `data.unlabeled`"),
        ({"unlabeled": "folder:{faces}"}, UsageError, "`data.unlabeled='rest'`"),
        ({"unlabeled": "nobody"}, UsageError, "unknown data set 'nobody'"),
    ],
)
def test_what_cannot_be_unlabeled_images_is_refused(faces, tmp_path, data, error, says):
    data = {k: v.format(faces=faces) if isinstance(v, str) else v for k, v in data.items()}
    with pytest.raises(error, match=says):
        opened(config(f"folder:{faces}", data=data), tmp_path)


def test_labels_of_another_set_are_refused(ferplus, faces, tmp_path):
    c = config(f"ferplus:{ferplus}", data={"rule": "argmax", "labels": 24})
    opened(c, tmp_path)
    index = str(tmp_path / "run" / "labels.csv")
    other = config(f"folder:{faces}", data={"labels": None, "labels_file": index})
    with pytest.raises(DatasetError, match="found 24 others"):
        opened(other, tmp_path / "other")


def test_crops_without_a_far_self_are_no_anchors_and_are_counted(faces, tmp_path):
    # of 40 frames only the first and last nine have themselves more than 30 away
    root = fer_worlds.rmset_root(tmp_path / "root", people=2, frames=40)
    c = config(f"folder:{faces}", data={"unlabeled": f"rmset:{root}"})
    _, beside, _, said = opened(c, tmp_path, (Phase("acl", 1, 1e-3, "adamw", anchors=1),))
    assert beside.measured["anchors"] == 2 * 2 * 9
    assert "80 crops of 2 people" in said[0]
    assert "36 of the crops can be anchors" in said[0]


def test_without_unlabeled_images_phases_that_see_nothing_else_are_left_out(faces, tmp_path):
    c = config(f"folder:{faces}", data={"unlabeled_fraction": 0.0})
    _, beside, feed, said = opened(c, tmp_path, (ALONE, BESIDE))
    assert [phase.epochs for phase in beside.phases] == [0, 2]
    assert said == ["no unlabeled images: fraction 0; left out: alone"]
    assert next(feed.epoch(0, BESIDE)).unlabeled is None


def test_the_mashups_candidates_need_a_mashup(faces, tmp_path):
    phase = Phase("acl", 1, 1e-3, "adamw", anchors=2)
    c = config(f"folder:{faces}", rmfer=RmferConfig(max_candidates=4))
    with pytest.raises(UsageError, match=r"rmfer.candidates='random'"):
        opened(c, tmp_path, (phase,))
    _, _, feed, _ = opened(replace(c, rmfer=replace(c.rmfer, candidates="random")), tmp_path, (phase,))
    batch = next(feed.epoch(0, phase))
    assert [(len(a.images), a.positives) for a in batch.anchors] == [(9, 4), (9, 4)]
    assert feed.images_per_step(phase) == 5 + 2 * 9


def test_a_budget_gives_every_method_the_same_number_of_images(faces, tmp_path):
    _, _, feed, _ = opened(config(f"folder:{faces}"), tmp_path)
    labels = Phase("labels", 2, 1e-3, "adamw")
    for phases in [(labels,), (BESIDE,), (ALONE, labels)]:
        chosen = within(phases, 1120, feed.images_per_step)
        seen = [sum(b.passes for b in feed.epoch(e, p)) for p in chosen for e in range(p.epochs)]
        assert sum(seen) == 1120
        assert len(set(seen)) == 1
    assert within((labels,), None, feed.images_per_step) == (labels,)


@pytest.mark.slow
def test_rmfer_without_unlabeled_images_is_rmfer_without_its_contrast(ferplus, mashup, tmp_path):
    c = RunConfig(
        method="rmfer", precision="fp32", model=ModelConfig(image_size=32), out=str(tmp_path / "a"),
        data=DataConfig(f"ferplus:{ferplus}", labels=48, unlabeled=f"rmset:{mashup}", unlabeled_fraction=0.0),
        optim=OptimConfig(epochs=(1,), batch_size=16), rmfer=RmferConfig(max_candidates=6),
    )  # fmt: skip
    off = replace(c, out=str(tmp_path / "b"), data=replace(c.data, unlabeled=None), rmfer=RmferConfig(lambda2=0.0))
    on = replace(c, out=str(tmp_path / "c"), data=replace(c.data, unlabeled_fraction=1.0))
    a, b, other = (read_file(run(x).folder / "model.safetensors")[0] for x in (c, off, on))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not all(torch.equal(a[k], other[k]) for k in a)
