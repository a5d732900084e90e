"""Methods for noisy labels, compared with a few lines from each paper: EAC, VAC, RUL, SCN, LDL."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.testing import assert_close

from fertrain.config.methods import FROM_LABELS, EacConfig, LdlConfig, RulConfig, ScnConfig, VacConfig
from fertrain.config.run import OptimConfig, RunConfig, start_for
from fertrain.datasets.label_graph import nearest, read_graph
from fertrain.errors import DatasetError
from fertrain.losses import flip_consistency, mix_by_uncertainty, rank_regularization, relabeled, scale_consistency
from fertrain.losses.supervised import SCHEMES
from fertrain.methods import METHODS, Batch
from fertrain.models.factory import build
from fertrain.training.optim import Stepper, optimizer_for
from rmset.errors import UsageError

SIZE, CLASSES, N = 96, 4, 10


def method_of(name, model="test_resnet", scheme="mv", **settings):
    torch.manual_seed(0)
    config = RunConfig(method=name, optim=OptimConfig(epochs=(2,)), **settings)
    config = replace(config, model=replace(config.model, name=model, image_size=SIZE))
    method = METHODS[name](build(model, CLASSES, SIZE), config, SCHEMES[scheme])
    for p in method.model.features.parameters():
        if not p.any():  # the last layer of each block starts at zero
            nn.init.constant_(p, 0.5)
    method.module.train()
    method.begin(replace(method.phases[0], labeled_names=tuple(map(str, range(2 * N)))))
    return method


def batch(seed=0, epoch=0, rows=None):
    g = torch.Generator().manual_seed(seed)
    y = torch.eye(CLASSES)[torch.randint(CLASSES, (N,), generator=g)]
    return Batch(
        torch.randn(N, 3, SIZE, SIZE, generator=g), y, seed=seed, epoch=epoch,
        rows=torch.arange(N) if rows is None else rows,
    )  # fmt: skip


def maps_of(model, f):
    """M_l = Σ_d w_ld f_d, one class and one image at a time."""
    w = model.head.weight.detach()
    return torch.stack([torch.stack([(w[k].view(-1, 1, 1) * image).sum(dim=0) for k in range(CLASSES)]) for image in f])


def same_gradients(method, found, expected):
    found, expected = (
        torch.autograd.grad(loss, [p for p in method.module.parameters() if p.requires_grad], allow_unused=True)
        for loss in (found, expected)
    )
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert_close(a, b, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("views", ["each", "same"])
def test_eac_is_cross_entropy_of_the_erased_view_and_the_distance_of_its_map_to_the_mirrored_ones(views):
    method, b = method_of("eac", eac=EacConfig(weight=3.0, views=views)), batch()
    one, two = method.views(b)
    kept = (one == b.images).all(dim=1), (two.flip(-1) == b.images).all(dim=1)
    erased = [(~k).flatten(1).float().mean(dim=1) for k in kept]
    assert all(0 < (e > 0).sum() < N and e.max() <= 0.26 for e in erased)  # half of the images, up to a quarter
    assert torch.equal(*erased) == (views == "same")
    f = method.model.features.forward_features(torch.cat([one, two]))
    m = maps_of(method.model, f)
    mirrored = torch.stack([m[N:, :, :, -1 - k] for k in range(m.shape[3])], dim=3)
    assert m.shape[3] == 3
    apart = (m[:N] - mirrored).pow(2).mean()
    said = method.model.head(f.mean(dim=(2, 3)))[:N]
    expected = F.cross_entropy(said, b.targets.argmax(dim=1)) + 3.0 * apart
    method = method_of("eac", eac=EacConfig(weight=3.0, views=views))
    found = method.loss(b)
    assert_close(found.loss, expected)
    assert found.logs["attention"] == pytest.approx(apart.item(), rel=1e-4)


@pytest.mark.parametrize("scale", [0.0, 0.75])
def test_vac_learns_the_label_in_every_view_and_the_agreement_of_their_maps(scale):
    method, b = method_of("vac", vac=VacConfig(weight=2.0, scale=scale)), batch()
    assert method.phases[0].labeled_passes == (4 if scale else 2)
    y, ce, apart, m = b.targets.argmax(dim=1), [], 0.0, []
    sides = [SIZE, round(scale * SIZE)] if scale else [SIZE]
    for side in sides:
        x = F.interpolate(b.images, size=(side, side), mode="bilinear", antialias=True)
        f = method.model.features.forward_features(torch.cat([x, x.flip(-1)]))
        said = method.model.head(f.mean(dim=(2, 3)))
        ce += [F.cross_entropy(said[:N], y), F.cross_entropy(said[N:], y)]
        m.append(maps_of(method.model, f))
        apart = apart + (m[-1][:N] - m[-1][N:].flip(-1)).pow(2).mean()
    if scale:
        apart = apart + scale_consistency(*m)
    expected = sum(ce) / len(ce) + 2.0 * apart
    found = method_of("vac", vac=VacConfig(weight=2.0, scale=scale)).loss(b).loss
    assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_consistency_by_hand():
    m = torch.tensor([[[[1.0, 2.0], [3.0, 5.0]]]])
    # mirrored: 2 1 / 5 3, differences 1 1 2 2
    assert flip_consistency(m, m).item() == pytest.approx((1 + 1 + 4 + 4) / 4)
    # one against a 1 × 1 map of 2: differences 1 0 1 3
    assert scale_consistency(m, torch.full((1, 1, 1, 1), 2.0)).item() == pytest.approx((1 + 0 + 1 + 9) / 4)
    # sides 2 and 3 meet at 6: each value of the first is repeated three times, of the second twice
    a, b = torch.tensor([[[[0.0, 6.0]]]]), torch.tensor([[[[0.0, 3.0, 6.0]]]])
    assert scale_consistency(a, b).item() == pytest.approx((0 + 0 + 9 + 9 + 0 + 0) / 6)


def test_attention_has_no_gradient_through_the_classifiers_weights():
    for name in ("eac", "vac"):
        method = method_of(name)
        weight = method.model.head.weight
        _, maps = method.attention(batch().images)
        grads = torch.autograd.grad(maps.pow(2).mean(), [weight, next(method.model.parameters())], allow_unused=True)
        assert grads[0] is None
        assert grads[1].abs().sum() > 0


@pytest.mark.parametrize("name", ["eac", "vac"])
@pytest.mark.parametrize("model", ["vgg13", "convnext_atto"])
def test_attention_is_refused_where_the_classifier_does_not_see_the_mean_of_the_map(name, model):
    with pytest.raises(UsageError, match=f"mean of its last map for {name}, found {model}"):
        METHODS[name](build(model, CLASSES, SIZE), RunConfig(method=name), SCHEMES["mv"])


def test_rul_is_the_add_up_loss_of_features_mixed_by_uncertainty():
    method, b = method_of("rul", rul=RulConfig(dim=5, dropout=0.0)), batch()
    norm, _, linear, last = method.log_variance
    mu = method.model.features(b.images)
    j = torch.randperm(N, generator=torch.Generator().manual_seed(b.seed))

    def standard(v, eps):
        return (v - v.mean(dim=0)) / (v.var(dim=0, unbiased=False) + eps).sqrt()

    log = standard(standard(mu, norm.eps) @ linear.weight.T + linear.bias, last.eps) * last.weight + last.bias
    sigma = log.exp().mean(dim=1, keepdim=True)
    mixed = (sigma * mu + sigma[j] * mu[j]) / (sigma + sigma[j])
    y = b.targets.argmax(dim=1)
    said = method.model.head(mixed)
    expected = 0.5 * F.cross_entropy(said, y) + 0.5 * F.cross_entropy(said, y[j])
    found = method.loss(b).loss
    assert_close(found, expected)
    same_gradients(method, found, expected)
    # σ 1 and 3: a quarter of 4 and three quarters of 8
    mu, sigma = torch.tensor([[4.0], [8.0]]), torch.tensor([[1.0], [3.0]])
    assert mix_by_uncertainty(mu, sigma, torch.tensor([1, 0])).tolist() == [[7.0], [7.0]]


def test_scn_is_weighted_cross_entropy_and_the_ranked_weights():
    settings = ScnConfig(high=0.7, rank_margin=0.4, rank_weight=1.5)
    method, b = method_of("scn", scn=settings), batch()
    f = method.model.features(b.images)
    alpha = 1 / (1 + (-method.importance(f)).exp())
    ranked = alpha.squeeze(1).sort(descending=True).values
    rank = max(0.0, 0.4 - (ranked[:7].mean() - ranked[7:].mean()))
    said = alpha * method.model.head(f)
    expected = F.cross_entropy(said, b.targets.argmax(dim=1)) + 1.5 * rank
    found = method.loss(b).loss
    assert_close(found, expected)
    assert rank > 0
    same_gradients(method, found, expected)


def test_ranks_and_relabeling_by_hand():
    alpha = torch.tensor([0.9, 0.5, 0.7, 0.6])
    # 0.8 above, 0.55 below
    assert rank_regularization(alpha, 0.5, 0.4).item() == pytest.approx(0.15)
    assert rank_regularization(alpha, 0.5, 0.2).item() == 0
    # P of class 0: 0.7 and 0.55, the label is class 1: above by 0.4 and by 0.1
    logits = torch.tensor([[math.log(0.7 / 0.3), 0.0], [math.log(0.55 / 0.45), 0.0], [math.log(0.7 / 0.3), 0.0]])
    labels = torch.tensor([1, 1, 1])
    assert relabeled(logits, labels, torch.tensor([0, 1]), 0.2).tolist() == [0, -1, -1]


def test_scns_changed_labels_last_and_begin_with_their_epoch():
    method = method_of("scn", scn=ScnConfig(relabel_after=2, relabel_margin=0.0, high=0.5))
    rows = torch.arange(N) + 5

    def pass_of(epoch):
        b = batch(epoch=epoch, rows=rows)
        found = method.loss(b)
        method.after_step()
        return b, found

    pass_of(1)
    assert (method.changed.classes == -1).all()
    b, found = pass_of(2)
    classes = method.changed.classes[rows]
    changed = classes >= 0
    assert 0 < changed.sum() <= N // 2  # the low group alone
    assert found.shares["relabeled"] == changed.float().mean().item()
    assert (method.changed.classes >= 0).sum() == changed.sum()
    learned = method.targets(b)
    assert torch.equal(learned[~changed], b.targets[~changed])
    assert torch.equal(learned[changed].argmax(dim=1), classes[changed])
    assert (classes[changed] != b.targets[changed].argmax(dim=1)).all()
    # the next change starts from the changed label
    assert_close(method.targets(replace(b, epoch=3)), learned)


def test_scn_needs_one_class_per_image():
    with pytest.raises(UsageError, match="one class per image for scn, which changes labels, found ml"):
        method_of("scn", scheme="ml")
    with pytest.raises(UsageError, match="found cutmix"):
        method_of("scn", mix="cutmix")


def test_ldl_is_cel_less_the_entropy_of_the_votes():
    method, b = method_of("ldl", scheme="cel"), batch()
    p = torch.softmax(torch.randn(N, CLASSES, generator=torch.Generator().manual_seed(3)), dim=1)
    b = replace(b, targets=p)
    found = method.loss(b)
    cel = SCHEMES["cel"].loss(method.model(b.images), p)
    assert_close(found.loss, cel + (p * p.log()).sum(dim=1).mean())
    same_gradients(method, found.loss, cel)


def table(path, rows):
    path.write_text("\n".join(["image,AU4,AU12", *(f"{name},{a},{b}" for name, a, b in rows)]) + "\n")
    return str(path)


def test_neighbors_by_hand(tmp_path):
    x = np.array([[0.0, 3.0], [1.0, 3.0], [4.0, 3.0], [6.0, 3.0]])
    near, weights = nearest(x, 2)
    assert near.tolist() == [[1, 2], [0, 2], [3, 1], [2, 1]]
    # squared distances 1 16, 1 9, 4 9, 4 25; their mean is 69 / 8, whatever the unit of the column
    e = np.exp(-np.array([[1, 16], [1, 9], [4, 9], [4, 25]]) / (2 * 69 / 8))
    assert np.allclose(weights, e / e.sum(axis=1, keepdims=True))
    assert np.allclose(nearest(x * [1000, 1], 2)[1], weights)
    # by the name in the set, or by the file's own; an image without a row has no neighbors
    path = tmp_path / "units.csv"
    table(path, [("a.png", 0, 0), ("f/b.png", 1, 0), ("d.png", 0, 2), ("strange.png", 5, 5)])
    graph = read_graph(path, ["f/a.png", "f/b.png", "f/c.png", "f/d.png"], 1)
    assert graph.neighbors.tolist() == [[1], [0], [2], [0]]
    assert graph.weights.tolist() == [[1], [1], [0], [1]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("image\na.png\nb.png\n", "columns of numbers beside image"),
        ("image,AU4\na.png,x\nb.png,1\n", "finite numbers in AU4 of .*line 2"),
        ("image,AU4\na.png,nan\nb.png,1\n", "finite numbers"),
        ("image,AU4\nc.png,0\nb.png,1\n", "such as a.png, in .* found 1 of 2"),
    ],
)
def test_a_table_that_is_no_graph_is_refused(tmp_path, text, says):
    (tmp_path / "units.csv").write_text(text)
    with pytest.raises(DatasetError, match=says):
        read_graph(tmp_path / "units.csv", ["a.png", "b.png"], 2)


def test_ldls_neighbors_pull_at_each_other_by_their_last_answers(tmp_path):
    units = table(tmp_path / "units.csv", [(str(k), k // 3, k % 3) for k in range(2 * N)])
    method = method_of("ldl", ldl=LdlConfig((units,), neighbors=4, weight=0.7))
    first, second = batch(1), replace(batch(2), rows=torch.arange(N) + N // 2)
    method.loss(first)
    assert method.loss(first).logs["neighbors"] == 0  # nothing is known yet
    method.after_step()
    graph = read_graph(Path(units), tuple(map(str, range(2 * N))), 4)
    last = {k: q for k, q in enumerate(method.answers.values) if q.sum() > 0}
    assert set(last) == set(range(N))
    logits = method.model(second.images)
    q, apart = logits.softmax(dim=1), 0.0
    for i, row in enumerate(second.rows.tolist()):
        known = [
            (k, a) for k, a in zip(graph.neighbors[row].tolist(), graph.weights[row].tolist(), strict=True) if k in last
        ]
        total = sum(a for _, a in known)
        apart = apart + sum(a / total * ((q[i] - last[k]) ** 2).sum() for k, a in known) / N
    expected = F.cross_entropy(logits, second.targets.argmax(dim=1)) + 0.7 * apart
    found = method.loss(second).loss
    assert_close(found, expected)
    assert apart > 0
    same_gradients(method, found, expected)


def test_ldl_refuses_what_it_cannot_learn(tmp_path):
    with pytest.raises(UsageError, match="cel, mv or pld for ldl"):
        method_of("ldl", scheme="ml")
    with pytest.raises(DatasetError, match=r"`ldl.graphs`, found none at .*units.csv"):
        method_of("ldl", ldl=LdlConfig((str(tmp_path / "units.csv"),)))
    units = table(tmp_path / "units.csv", [("0", 1, 2), ("1", 2, 3)])
    with pytest.raises(UsageError, match=r"no mix with `ldl.graphs`"):
        method_of("ldl", ldl=LdlConfig((units,)), mix="mixup")


@pytest.mark.parametrize("name", ["eac", "vac", "rul", "scn"])
def test_sams_second_look_learns_the_same_views_and_partners(name):
    method = method_of(name, **({"rul": RulConfig(dropout=0.0)} if name == "rul" else {}))
    stepper, seen = (
        Stepper(optimizer_for(method.module, method.phases[0], OptimConfig()), method.module, sam_rho=0.0),
        [],
    )

    def look():
        out = method.loss(batch())
        out.loss.backward()
        seen.append(out.loss.item())
        return out

    stepper(look, 0.0)
    assert seen[0] == pytest.approx(seen[1], rel=1e-5)


@pytest.mark.parametrize("name", FROM_LABELS)
def test_every_such_method_learns_in_all_its_parts_and_starts_from_plain_settings(name):
    method = method_of(name)
    method.loss(batch()).loss.backward()
    assert [k for k, p in method.module.named_parameters() if p.grad is None] == []
    start = start_for(name)
    assert (start.method, start.data.unlabeled, start.augmentation) == (name, None, "affine")
