"""RMFER: phases, gradients, candidates and losses."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from fertrain.config.methods import RmferConfig
from fertrain.config.run import OptimConfig, RunConfig
from fertrain.losses.supervised import SCHEMES
from fertrain.methods import METHODS, AnchorBatch, Batch
from fertrain.models.factory import build
from fertrain.models.inference import eval_mode
from fertrain.training.optim import Stepper, optimizer_for, rate_at
from rmset.errors import UsageError


def rmfer(**settings):
    torch.manual_seed(0)
    model = build("resnet10t", 4, 32)
    config = RunConfig(
        method="rmfer", optim=OptimConfig(epochs=(1, 1, 1), optimizer="sam"), rmfer=RmferConfig(gamma=0.3, **settings)
    )
    return METHODS[config.method](model, config, SCHEMES["mv"])


def batch(seed=0):
    g = torch.Generator().manual_seed(seed)
    targets = torch.eye(4)[torch.randint(4, (6,), generator=g)]
    anchors = tuple(AnchorBatch(torch.randn(1 + p + q, 3, 32, 32, generator=g), p) for p, q in ((5, 4), (2, 6)))
    return Batch(torch.randn(6, 3, 32, 32, generator=g), targets, anchors)


def begin(method, name):
    for phase in method.phases:
        method.begin(phase)
        if phase.name == name:
            return phase
    raise AssertionError(name)


def test_phases_have_the_authors_rates_and_optimizers():
    assert [(p.name, p.optimizer, p.anchors) for p in rmfer().phases] == [
        ("base", "sam", 0), ("ial", "adam", 0), ("acl", "sam", 1)
    ]  # fmt: skip
    assert [p.lr / 1e-3 for p in rmfer().phases] == pytest.approx([1, 0.06, 0.02])


def test_f_ial_starts_as_a_copy_of_what_f_fer_has_become():
    method = rmfer()
    begin(method, "base")
    torch.nn.init.normal_(method.model.head.weight)
    begin(method, "ial")
    assert torch.equal(method.ial_head.weight, method.model.head.weight)
    assert method.ial_head.weight is not method.model.head.weight
    torch.nn.init.normal_(method.ial_head.weight)
    method.begin(method.phases[2])
    assert not torch.equal(method.ial_head.weight, method.model.head.weight)


@pytest.mark.parametrize(("phase", "learning"), [("base", False), ("ial", True), ("acl", True)])
def test_gradients_reach_projection_and_second_head_only_after_the_base(phase, learning):
    method = rmfer()
    method.module.train()
    begin(method, phase)
    output = method.loss(batch())
    output.loss.backward()
    assert (method.ial_head.weight.grad is not None) == learning
    assert all((p.grad is not None) == learning for p in method.projection.parameters())
    assert method.model.features.conv1[0].weight.grad is not None
    assert set(output.logs) == {"base": {"ce"}, "ial": {"ce", "ce_ial"}, "acl": {"ce", "ce_ial", "acl"}}[phase]


def test_the_contrast_trains_on_the_anchor_and_the_chosen_alone():
    method = rmfer()
    begin(method, "acl")
    method.module.train()
    b = batch()
    for anchor in b.anchors:
        anchor.images.requires_grad_()
    chosen = method._refined(b)
    method.loss(b).loss.backward()
    for anchor, (positives, negatives) in zip(b.anchors, chosen, strict=True):
        moved = {k for k, image in enumerate(anchor.images.grad) if image.abs().sum() > 0}
        assert moved == {0, *positives.tolist(), *negatives.tolist()}
        assert all(1 <= k <= anchor.positives for k in positives.tolist())
        assert all(k > anchor.positives for k in negatives.tolist())


def test_the_chosen_are_the_most_and_least_alike():
    method = rmfer()
    begin(method, "acl")
    b = batch()
    anchor = b.anchors[0]
    with eval_mode(method.module):
        z = method.projection(method.model.features(anchor.images))
        s = torch.nn.functional.cosine_similarity(z[:1], z[1:])
    positives, negatives = method._refined(b)[0]
    # γ = 0.3 of five is 2, of four 2
    assert positives.tolist() == (1 + s[:5].argsort(descending=True)[:2]).tolist()
    assert negatives.tolist() == (6 + s[5:].argsort()[:2]).tolist()


def test_many_candidates_are_scored_as_few_are():
    method = rmfer()
    begin(method, "acl")
    g = torch.Generator().manual_seed(2)
    anchors = tuple(AnchorBatch(torch.randn(1 + p + q, 3, 32, 32, generator=g), p) for p, q in ((40, 30), (1, 45)))
    for anchor, (positives, negatives) in zip(anchors, method._refined(replace(batch(), anchors=anchors)), strict=True):
        with eval_mode(method.module):
            z = torch.cat([method.projection(method.model.features(image[None])) for image in anchor.images])
        s = torch.nn.functional.cosine_similarity(z[:1], z)
        p = anchor.positives
        assert positives.tolist() == (1 + s[1 : 1 + p].argsort(descending=True)[: math.ceil(0.3 * p)]).tolist()
        n = math.ceil(0.3 * (len(s) - 1 - p))
        assert negatives.tolist() == (1 + p + s[1 + p :].argsort()[:n]).tolist()


@pytest.mark.parametrize(
    ("mask", "lambda1", "lambda2", "tau"), [("exclude", 1.2, 1, 1), ("epsilon", 0.5, 2, 0.1), ("off", 0.1, 0.3, 0.25)]
)
def test_l_total_and_every_gradient_are_those_of_the_papers_equations(mask, lambda1, lambda2, tau):
    method = rmfer(self_mask=mask, lambda1=lambda1, lambda2=lambda2, tau=tau)
    method.module.train()
    begin(method, "acl")
    torch.nn.init.normal_(method.ial_head.weight)
    reference = copy.deepcopy(method)
    b = batch()
    loss = method.loss(b).loss
    loss.backward()

    def z_of(f):
        return torch.nn.functional.normalize(reference.projection(f), dim=1)

    features, y, kept = reference.model.features, b.targets.argmax(dim=1), []
    reference.module.eval()
    for anchor in b.anchors:
        z, p = z_of(features(anchor.images)).detach(), anchor.positives
        s = (z[1:] @ z[0]).tolist()
        best = sorted(range(p), key=lambda i: -s[i])[: math.ceil(0.3 * p)]
        worst = sorted(range(p, len(s)), key=lambda i: s[i])[: math.ceil(0.3 * (len(s) - p))]
        kept.append((len(best), anchor.images[[0, *(1 + i for i in best), *(1 + i for i in worst)]]))
    reference.module.train()
    f, *others = torch.split(features(torch.cat([b.images, *(x for _, x in kept)])), [6, *(len(x) for _, x in kept)])
    s = z_of(f) @ z_of(f).T  # (1)
    if mask != "off":
        s = s * (1 - torch.eye(6)) + torch.eye(6) * {"exclude": -1e7, "epsilon": 1e-6}[mask]
    v = (torch.exp(s / tau) / torch.exp(s / tau).sum(dim=1, keepdim=True)) @ f  # (2), (3)
    cross_entropy = torch.nn.functional.cross_entropy
    wanted = cross_entropy(reference.model.head(f), y) + lambda1 * cross_entropy(reference.ial_head(v), y)  # (4) to (6)
    for (p, _), g in zip(kept, others, strict=True):
        e = torch.exp(z_of(g)[1:] @ z_of(g)[0] / tau)
        wanted = wanted - lambda2 * torch.log(e[:p].sum() / e.sum()) / len(kept)  # (10)
    wanted.backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    for mine, theirs in zip(method.module.parameters(), reference.module.parameters(), strict=True):
        assert torch.allclose(mine.grad, theirs.grad, atol=1e-4)


def test_labeled_images_and_the_chosen_are_normalized_as_one_batch():
    method = rmfer()
    begin(method, "acl")
    method.module.train()
    alone = copy.deepcopy(method.model.features)
    b = batch()
    parts = [
        torch.cat([a.images[:1], a.images[p], a.images[q]])
        for a, (p, q) in zip(b.anchors, method._refined(b), strict=True)
    ]
    method.loss(b)
    alone(torch.cat([b.images, *parts]))
    after = method.model.features.state_dict()
    assert all(torch.equal(v, after[k]) for k, v in alone.state_dict().items() if "running" in k)


def test_scoring_candidates_moves_no_statistics():
    method = rmfer()
    begin(method, "acl")
    method.module.train()
    before = {k: v.clone() for k, v in method.module.state_dict().items() if "running" in k}
    method._refined(batch())
    after = method.module.state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items())
    assert method.model.training


@pytest.mark.slow
def test_scoring_candidates_in_bf16_takes_no_gradient_from_the_same_block():
    method = rmfer()
    begin(method, "acl")
    method.module.train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = method.loss(batch()).loss
    loss.backward()
    assert [k for k, p in method.module.named_parameters() if p.grad is None] == []


def test_sams_second_look_sees_the_same_candidates():
    method = rmfer()
    phase = begin(method, "acl")
    method.module.train()
    b, seen = batch(), []
    stepper = Stepper(optimizer_for(method.module, phase, OptimConfig()), method.module, sam_rho=0.05)

    def closure():
        output = method.loss(b)
        output.loss.backward()
        seen.append([tuple(map(tuple, pair)) for pair in method._refined(b)])
        return output

    weight = method.model.head.weight.detach().clone()
    stepper(closure, 1e-3)
    assert len(seen) == 2
    assert str(seen[0]) == str(seen[1])
    assert 0 < (method.model.head.weight - weight).abs().max() < 0.01


def test_sam_by_hand():
    # L = w²/2 at w = 2: g = 2, climbed to 2 + ρ, gradient there 2 + ρ; plain SGD from 2 with lr .1
    w = torch.nn.Parameter(torch.tensor([2.0]))
    holder = torch.nn.ParameterList([w])
    stepper = Stepper(torch.optim.SGD([w], lr=0.0), holder, sam_rho=0.5)

    def closure():
        from fertrain.methods import StepOutput

        loss = (w**2).sum() / 2
        loss.backward()
        return StepOutput(loss)

    stepper(closure, 0.1)
    assert w.item() == pytest.approx(2 - 0.1 * 2.5)


def test_rates_by_hand():
    phase = rmfer().phases[0]
    steps = OptimConfig(schedule="steps", steps=((1, 0.05), (2, 0.025)))
    assert [rate_at(s, 10, phase, steps) for s in (0, 9, 10, 29, 99)] == [0.05, 0.05, 0.025, 0.025, 0.025]
    # later phases take their share of each: 0.06 and 0.02
    later = [[rate_at(s, 10, p, steps) for s in (0, 10)] for p in rmfer().phases[1:]]
    assert later == [pytest.approx([0.003, 0.0015]), pytest.approx([0.001, 0.0005])]
    assert rate_at(7, 20, phase, OptimConfig(schedule="steps")) == phase.lr
    cosine = [rate_at(s, 20, phase, OptimConfig()) for s in range(20)]
    assert max(cosine) == cosine[0] == phase.lr
    assert cosine[-1] < 0.01 * phase.lr
    assert rate_at(7, 20, phase, OptimConfig(schedule="constant")) == phase.lr


def test_epochs_are_one_number_or_one_for_each_phase():
    config = RunConfig(method="rmfer", optim=OptimConfig(epochs=(1, 2)))
    with pytest.raises(UsageError, match="base, ial, acl"):
        METHODS[config.method](build("resnet10t", 4, 32), config, SCHEMES["mv"])


def test_every_method_says_what_runs_at_test():
    for name in METHODS:
        method = METHODS[name](build("resnet10t", 4, 32), RunConfig(method=name), SCHEMES["mv"])
        inside = {id(p) for p in method.module.parameters()}
        assert {id(p) for p in method.model.parameters()} <= inside
