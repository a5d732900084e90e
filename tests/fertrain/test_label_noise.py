"""Wrong labels on purpose: kinds, shares, what stays clean, what is recorded."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fertrain.config.run import DataConfig, ModelConfig, OptimConfig, RunConfig
from fertrain.datasets.base import Split
from fertrain.datasets.label_noise import parse
from fertrain.errors import FertrainError
from fertrain.labels import order_of
from fertrain.methods import METHODS
from fertrain.run_folder import RunFolder
from fertrain.training.experiment import run
from rmset.errors import UsageError

ORDER = order_of(["anger", "fear", "happiness", "sadness"])


class Nothing:
    def get(self, name):
        raise FileNotFoundError(name)

    def names(self):
        return set()


def split_of(classes, shares=None):
    targets = np.eye(4, dtype=np.float32)[classes]
    names = tuple(map(str, range(len(classes))))
    return Split("made", "train", "majority", ORDER, names, targets, Nothing(), shares=shares)


@given(st.integers(2, 400), st.sampled_from([0.1, 0.2, 0.5]), st.integers(0, 3))
def test_exactly_the_share_is_wrong_and_a_smaller_share_is_part_of_a_larger(n, share, seed):
    split = split_of(np.arange(n) % 4)
    noisy, record = parse(f"symmetric:{share}").applied(split, seed)
    wrong = set(np.flatnonzero(noisy.classes != split.classes))
    assert len(wrong) == round(share * n) == record["changed"]
    assert record["clean_sha256"] == split.sha256()
    assert (record["clean_sha256"] == noisy.sha256()) == (not wrong)
    more, _ = parse("symmetric:0.9").applied(split, seed)
    assert wrong <= set(np.flatnonzero(more.classes != split.classes))
    again, _ = parse(f"symmetric:{share}").applied(split, seed)
    assert again.sha256() == noisy.sha256()


def test_symmetric_noise_takes_every_other_class_equally_often():
    split = split_of(np.repeat(np.arange(4), 3000))
    noisy, _ = parse("symmetric:0.4").applied(split, 0)
    matrix = np.zeros((4, 4))
    np.add.at(matrix, (split.classes, noisy.classes), 1)
    assert (np.abs(np.diag(matrix) / 3000 - 0.6) < 0.04).all()
    others = matrix[~np.eye(4, dtype=bool)] / 3000
    assert (np.abs(others - 0.4 / 3) < 0.03).all()


def votes(n):
    """Anger is called fear by three of ten and sadness by one; the others are agreed on."""
    shares = np.eye(4, dtype=np.float32)[np.arange(n) % 4]
    shares[::4] = [0.6, 0.3, 0, 0.1]
    return split_of(np.arange(n) % 4, shares)


def test_confusion_noise_follows_the_votes():
    split = votes(16000)
    noisy, _ = parse("confusion:0.5").applied(split, 0)
    anger = noisy.classes[split.classes == 0]
    new = np.bincount(anger[anger != 0], minlength=4)
    assert new[2] == 0
    assert new[1] / new.sum() == pytest.approx(0.75, abs=0.03)
    # fear is never confused: any other class
    fear = noisy.classes[split.classes == 1]
    assert (np.bincount(fear[fear != 1], minlength=4)[[0, 2, 3]] > 500).all()


def test_confusion_noise_can_follow_a_run(tmp_path):
    matrix = [[5, 0, 0, 5], [1, 9, 0, 0], [0, 3, 7, 0], [0, 0, 4, 6]]
    (tmp_path / "metrics.json").write_text(json.dumps({"labels": list(ORDER.classes), "confusion": matrix}))
    split = split_of(np.arange(100) % 4)
    noisy, record = parse(f"confusion:0.5:{tmp_path}").applied(split, 0)
    wrong = noisy.classes != split.classes
    assert wrong.sum() == 50
    assert {(a, b) for a, b in zip(split.classes[wrong].tolist(), noisy.classes[wrong].tolist(), strict=True)} == {
        (0, 3), (1, 0), (2, 1), (3, 2)
    }  # fmt: skip
    assert record["confusion_of"] == str(tmp_path)
    (tmp_path / "metrics.json").write_text(json.dumps({"labels": ["anger"], "confusion": [[1]]}))
    with pytest.raises(FertrainError, match="expected a run of the classes anger, fear"):
        parse(f"confusion:0.5:{tmp_path}").applied(split, 0)


def test_a_distribution_changes_by_exchanging_two_shares():
    split = replace(votes(400), targets=votes(400).shares)
    noisy, _ = parse("symmetric:0.5").applied(split, 1)
    assert np.array_equal(np.sort(noisy.targets, axis=1), np.sort(split.targets, axis=1))
    assert (noisy.classes != split.classes).sum() == 200


@pytest.mark.parametrize(
    "text", ["symmetric", "symmetric:0", "symmetric:1", "symmetric:x", "flip:0.2", "symmetric:0.2:a"]
)
def test_another_form_is_refused(text):
    with pytest.raises(UsageError, match=r"expected symmetric:0.2, confusion:0.2 or confusion:0.2:RUN"):
        parse(text)


def test_votes_are_needed_for_their_confusion():
    with pytest.raises(FertrainError, match=r"expected votes for `data.label_noise='confusion'`"):
        parse("confusion:0.2").applied(split_of(np.arange(8) % 4), 0)


def test_a_run_learns_wrong_labels_and_is_judged_on_right_ones(ferplus, tmp_path, monkeypatch):
    learned = {}

    class Seeing:
        def __init__(self, inner):
            self.inner = inner

        def __call__(self, *args):
            method = self.inner(*args)
            loss = method.loss

            def look(batch):
                learned.update(zip(batch.rows.tolist(), batch.targets.argmax(dim=1).tolist(), strict=True))
                return loss(batch)

            method.loss = look
            return method

    def train(out, noise):
        learned.clear()
        data = DataConfig(f"ferplus:{ferplus}", label_noise=noise)
        small = OptimConfig(epochs=(1,), batch_size=2)
        r = run(RunConfig(data=data, model=ModelConfig("test_resnet", image_size=32), optim=small, out=str(out)))
        return r, dict(learned), RunFolder(out).config_values()["measured"]["train"]

    monkeypatch.setitem(METHODS, "supervised", Seeing(METHODS["supervised"]))
    clean, right, plain = train(tmp_path / "clean", None)
    noisy, wrong, recorded = train(tmp_path / "noisy", "confusion:0.25")
    both = right.keys() & wrong.keys()
    assert 0 < sum(right[k] != wrong[k] for k in both) <= recorded["label_noise"]["changed"]
    assert recorded["label_noise"]["changed"] == round(0.25 * recorded["learnt_from"])
    assert recorded["held_out_sha256"] == plain["held_out_sha256"]
    assert recorded["label_noise"]["clean_sha256"] == plain["sha256"] != recorded["sha256"]
    assert (
        np.array(clean.metrics["confusion"]).sum(axis=1).tolist()
        == np.array(noisy.metrics["confusion"]).sum(axis=1).tolist()
    )
    with pytest.raises(UsageError, match=r"mv, pld or cel with `data.label_noise`, found ml"):
        run(RunConfig(data=DataConfig(f"ferplus:{ferplus}", scheme="ml", label_noise="symmetric:0.2"), out="x"))
