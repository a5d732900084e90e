"""RMset as training sees it: candidates, draws, moments."""

import fer_worlds
import numpy as np
import pytest
import torch

from fertrain.config import RmferConfig
from fertrain.contract import InputContract
from fertrain.datasets.rmset import CropImages, open_crops, open_root, stride_of
from fertrain.errors import DatasetError
from rmset.errors import RmsetError, UsageError
from rmset.store import Root

SETTINGS = RmferConfig(d=5, d_far=30, max_candidates=7)


def test_candidates_are_other_people_now_and_the_same_person_far_away(mashup):
    store, anchors = open_crops(Root(mashup), SETTINGS, seed=0)
    keys = store.keys
    for step in range(40):
        for rows, p in anchors.draw(epoch=0, step=step, n=2):
            anchor, positives, negatives = rows[0], np.array(rows[1 : 1 + p]), np.array(rows[1 + p :])
            assert 0 < len(positives) <= 7
            assert 0 < len(negatives) <= 7
            assert (keys.person[positives] != keys.person[anchor]).all()
            assert (abs(keys.frame[positives] - keys.frame[anchor]) <= 5).all()
            assert (keys.person[negatives] == keys.person[anchor]).all()
            assert (abs(keys.frame[negatives] - keys.frame[anchor]) > 30).all()
            assert (keys.video[rows] == keys.video[anchor]).all()


def test_a_draw_depends_on_seed_epoch_and_step_alone(mashup):
    _, a = open_crops(Root(mashup), SETTINGS, seed=0)
    _, b = open_crops(Root(mashup), SETTINGS, seed=0)
    _, c = open_crops(Root(mashup), SETTINGS, seed=1)
    b.draw(0, 0, 3)
    assert a.draw(2, 5, 2) == b.draw(2, 5, 2) != c.draw(2, 5, 2)


def test_distances_count_exported_steps(tmp_path):
    store, anchors = open_crops(Root(fer_worlds.rmset_root(tmp_path, stride=3)), SETTINGS, seed=0)
    assert stride_of(store.keys.frame) == 3
    rows, p = anchors.draw(0, 0, 1)[0]
    assert (abs(store.keys.frame[rows[1 : 1 + p]] - store.keys.frame[rows[0]]) <= 15).all()
    assert (abs(store.keys.frame[rows[1 + p :]] - store.keys.frame[rows[0]]) > 90).all()


def test_crops_are_made_grey_for_a_grey_set_and_resized(mashup):
    store, _ = open_crops(Root(mashup), SETTINGS, seed=0)
    colour = InputContract(32, 3, (0.0,) * 3, (1.0,) * 3)
    grey = InputContract(32, 3, (0.0,) * 3, (1.0,) * 3, grey=True)
    a, b = CropImages(store, colour).read([4, 2]), CropImages(store, grey).read([4, 2])
    assert (tuple(a.shape), tuple(b.shape)) == ((2, 3, 32, 32), (2, 1, 32, 32))
    # JPEG keeps brightness, so both ways to grey agree but for rounding
    assert (grey.to_float(a)[:, :1] - b.float() / 255).abs().max() < 0.03
    assert torch.equal(CropImages(store, grey).read([2, 4]), b.flip(0))


@pytest.mark.parametrize(("people", "frames"), [(1, 60), (3, 20)])
def test_a_root_without_anchors_says_what_is_missing(tmp_path, people, frames):
    root = Root(fer_worlds.rmset_root(tmp_path, people=people, frames=frames))
    with pytest.raises(DatasetError, match=r"expected anchors .* found none among"):
        open_crops(root, SETTINGS, seed=0)


def test_a_root_without_crops_is_one_line(tmp_path):
    with pytest.raises(RmsetError, match="rmset export"):
        open_crops(Root(tmp_path), SETTINGS, seed=0)


def test_rmset_is_the_current_root_unless_named(tmp_path, faces, monkeypatch):
    monkeypatch.setenv("RMSET_ROOT", str(tmp_path / "env"))
    assert open_root("rmset").path == tmp_path / "env"
    assert open_root("rmset", str(tmp_path / "given")).path == tmp_path / "given"
    assert open_root(f"rmset:{tmp_path}").path == tmp_path
    with pytest.raises(UsageError, match="expected an RMset root"):
        open_root(f"folder:{faces}")
