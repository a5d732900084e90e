"""Formulas of the rivals, compared with a few lines written from each paper, and with values by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fertrain.errors import UnknownNameError
from fertrain.losses.contrastive import disagreement, info_nce, nt_xent
from fertrain.losses.pseudo_label import (
    adapted_margins,
    align_distribution,
    annealed,
    annealed_threshold,
    brier,
    confident_cross_entropy,
    cross_entropy,
    ramp_up,
    recognized,
    sharpen,
    sharpened_divergence,
    turned,
)
from fertrain.methods.byol import momentum_at
from fertrain.transforms.mixup import mixup

seeds = st.integers(0, 2**31)
LN2 = math.log(2)


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shares(n, k, seed):
    return (2 * random(n, k, seed=seed)).softmax(dim=1)


# guessed labels: FixMatch, UDA, Ada-CM


@given(seeds, st.floats(0.2, 0.99))
def test_fixmatch_is_equation_4(seed, threshold):
    logits, q = random(6, 4, seed=seed), shares(6, 4, seed + 1)
    total = 0.0
    for row, guess in zip(logits, q, strict=True):
        if guess.max() >= threshold:
            total -= math.log(row.softmax(0)[guess.argmax()])
    loss, counted = confident_cross_entropy(logits, q, threshold)
    assert loss.item() == pytest.approx(total / 6, abs=1e-5)
    assert counted.tolist() == [bool(guess.max() >= threshold) for guess in q]


def test_fixmatch_by_hand_the_unsure_count_as_zero_not_as_absent():
    # p = (1/2, 1/2) for both; the first guess is sure enough, the second is not: ln 2 / 2
    loss, counted = confident_cross_entropy(torch.zeros(2, 2), torch.tensor([[0.96, 0.04], [0.9, 0.1]]), 0.95)
    assert loss.item() == pytest.approx(LN2 / 2)
    assert counted.tolist() == [True, False]


def test_margins_hold_by_guessed_class():
    q = torch.tensor([[0.85, 0.15], [0.15, 0.85]])
    loss, counted = confident_cross_entropy(torch.zeros(2, 2), q, torch.tensor([0.8, 0.9]))
    assert counted.tolist() == [True, False]
    assert loss.item() == pytest.approx(LN2 / 2)


@given(seeds, st.sampled_from([0.4, 1.0]), st.floats(0.1, 0.9))
def test_uda_is_a_masked_divergence_from_the_sharpened_guess(seed, temperature, threshold):
    logits, weak = random(5, 3, seed=seed), 3 * random(5, 3, seed=seed + 1)
    total = 0.0
    for row, said in zip(logits, weak, strict=True):
        if said.softmax(0).max() > threshold:
            t, p = (said / temperature).softmax(0), row.softmax(0)
            total += sum(a * math.log(a / b) for a, b in zip(t.tolist(), p.tolist(), strict=True) if a > 0)
    assert sharpened_divergence(logits, weak, temperature, threshold)[0].item() == pytest.approx(total / 5, abs=1e-4)


def test_uda_by_hand():
    # weak says (9, 1)/10, sharpened by τ = 1/2 (81, 1)/82; p = (1/2, 1/2); 0.9 > 0.8 lets it count
    weak = torch.tensor([[math.log(9.0), 0.0]])
    expected = 81 / 82 * math.log(81 / 41) + 1 / 82 * math.log(1 / 41)
    loss, counted = sharpened_divergence(torch.zeros(1, 2), weak, 0.5, 0.8)
    assert loss.item() == pytest.approx(expected)
    assert counted.tolist() == [True]
    # the sharpened guess is 0.988 sure, but confidence is that before sharpening
    assert sharpened_divergence(torch.zeros(1, 2), weak, 0.5, 0.95)[0].item() == 0


def test_annealing_by_hand():
    assert annealed_threshold(0.0, 4, "linear") == 0.25
    assert annealed_threshold(0.5, 2, "linear") == 0.75
    assert annealed_threshold(1.0, 2, "log") == pytest.approx(0.5 * (1 - math.exp(-5)) + 0.5)
    assert annealed_threshold(1.0, 7, "exp") == 1
    assert annealed_threshold(0.3, 7, "none") == 1
    with pytest.raises(UnknownNameError, match="known: exp, linear, log, none"):
        annealed_threshold(0.5, 2, "cubic")


def test_annealed_labels_wait_when_they_are_known_well_enough():
    logits = torch.tensor([[0.0, 0.0], [math.log(9.0), 0.0]])
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    # p of the class: 0.5 and 0.9
    assert annealed(logits, targets, 0.6).item() == pytest.approx(LN2)
    assert annealed(logits, targets, 0.4).item() == 0
    assert annealed(logits, targets, 1.0).item() == pytest.approx((LN2 - math.log(0.9)) / 2)


def test_ada_cm_margins_by_hand():
    # class 0: two recognized images, 0.9 sure on average; class 1: none
    sums, counts = torch.tensor([1.8, 0.0]), torch.tensor([2.0, 0.0])
    early = adapted_margins(sums, counts, 1, 0.97, 0.8)
    assert early.tolist() == pytest.approx([0.8, 0.8])  # 0.97 / (1 + 1/e) · 0.9 = 0.638 is less than 0.8
    late = adapted_margins(sums, counts, 10, 0.97, 0.8)
    assert late.tolist() == pytest.approx([0.97 / (1 + math.exp(-10)) * 0.9, 0.8])


@given(seeds)
def test_confidence_is_counted_over_recognized_images_by_class(seed):
    logits, targets = random(20, 3, seed=seed), shares(20, 3, seed + 1)
    sums, counts = recognized(logits, targets)
    for k in range(3):
        p = [row.softmax(0).max() for row, t in zip(logits, targets, strict=True) if row.argmax() == t.argmax() == k]
        assert counts[k] == len(p)
        assert sums[k].item() == pytest.approx(float(sum(p)), abs=1e-5)


# mixing: MixMatch, ReMixMatch


@given(seeds, st.sampled_from([0.5, 1.0, 0.1]))
def test_sharpening_is_equation_7(seed, temperature):
    q = shares(5, 4, seed)
    power = q.double() ** (1 / temperature)
    torch.testing.assert_close(
        sharpen(q, temperature).double(), power / power.sum(1, keepdim=True), atol=1e-5, rtol=1e-3
    )


def test_sharpening_and_alignment_by_hand():
    # 0.6² : 0.4² = 36 : 16
    assert sharpen(torch.tensor([[0.6, 0.4]]), 0.5)[0].tolist() == pytest.approx([36 / 52, 16 / 52])
    # guesses say (1/2, 1/2) on average, labels (3/4, 1/4): (0.6·1.5, 0.4·0.5) = (0.9, 0.2) → /1.1
    q = align_distribution(torch.tensor([[0.6, 0.4]]), torch.tensor([0.75, 0.25]), torch.tensor([0.5, 0.5]))
    assert q[0].tolist() == pytest.approx([0.9 / 1.1, 0.2 / 1.1])


def test_squared_error_and_cross_entropy_by_hand():
    q = torch.tensor([[1.0, 0.0]])
    assert brier(torch.zeros(1, 2), q).item() == pytest.approx(0.25)  # (0.25 + 0.25) / 2 classes
    assert cross_entropy(torch.zeros(1, 2), q).item() == pytest.approx(LN2)


@given(seeds)
def test_squared_error_is_equation_4(seed):
    logits, q = random(5, 3, seed=seed), shares(5, 3, seed + 1)
    expected = sum(((q[i] - logits[i].softmax(0)) ** 2).sum() for i in range(5)) / (5 * 3)
    torch.testing.assert_close(brier(logits, q), expected)


@given(seeds, st.floats(0.05, 2.0))
def test_a_mixed_row_stays_nearer_to_itself(seed, alpha):
    x = torch.eye(6).view(6, 1, 1, 6).expand(6, 1, 6, 6)
    mixed, y = mixup(x, torch.eye(6), torch.Generator().manual_seed(seed), alpha, nearest=True)
    assert (y.diagonal() >= 0.5).all()
    torch.testing.assert_close(y.sum(1), torch.ones(6))
    torch.testing.assert_close(mixed[:, 0, 0], y)


def test_a_weight_rises_over_its_first_steps():
    assert [ramp_up(step, 100) for step in (0, 50, 100, 900)] == [0, 0.5, 1, 1]
    assert ramp_up(0, 0) == 1


def test_turns_by_hand():
    image = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 1, 2, 2).expand(64, 1, 2, 2)
    out, quarters = turned(image, torch.Generator().manual_seed(0))
    assert set(quarters.tolist()) == {0, 1, 2, 3}
    by_hand = {0: [1, 2, 3, 4], 1: [2, 4, 1, 3], 2: [4, 3, 2, 1], 3: [3, 1, 4, 2]}
    assert all(o.flatten().tolist() == by_hand[int(k)] for o, k in zip(out, quarters, strict=True))


# views: SimCLR, MoCo, BYOL, SimSiam


@given(seeds, st.integers(1, 5), st.sampled_from([0.1, 0.5, 1.0]))
def test_nt_xent_is_simclrs_equation_1(seed, n, tau):
    a, b = random(n, 4, seed=seed), random(n, 4, seed=seed + 1)
    z = [v / v.norm() for v in (*a, *b)]
    total = 0.0
    for i in range(2 * n):
        e = [math.exp(float(z[i] @ z[k]) / tau) for k in range(2 * n)]
        total -= math.log(e[(i + n) % (2 * n)] / (sum(e) - e[i]))
    assert nt_xent(a, b, tau).item() == pytest.approx(total / (2 * n), rel=1e-3, abs=1e-4)


def test_nt_xent_by_hand():
    # two images at right angles, both views alike: one other view at cos 1, two at cos 0
    assert nt_xent(torch.eye(2), torch.eye(2), 1.0).item() == pytest.approx(math.log((math.e + 2) / math.e))


@given(seeds, st.sampled_from([0.07, 0.2, 1.0]))
def test_info_nce_is_mocos_equation_1(seed, tau):
    q, k, queue = random(3, 4, seed=seed), random(3, 4, seed=seed + 1), random(7, 4, seed=seed + 2)
    unit = lambda v: v / v.norm()  # noqa: E731
    total = 0.0
    for i in range(3):
        positive = math.exp(float(unit(q[i]) @ unit(k[i])) / tau)
        negative = sum(math.exp(float(unit(q[i]) @ unit(old)) / tau) for old in queue)
        total -= math.log(positive / (positive + negative))
    assert info_nce(q, k, queue, tau).item() == pytest.approx(total / 3, rel=1e-3, abs=1e-4)


def test_info_nce_by_hand():
    one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 5.0]])
    assert info_nce(one, 3 * one, other, 1.0).item() == pytest.approx(math.log((math.e + 1) / math.e))


@given(seeds)
def test_byols_squared_distance_is_two_plus_twice_the_disagreement(seed):
    p, z = random(5, 4, seed=seed), random(5, 4, seed=seed + 1)
    distance = (p / p.norm(dim=1, keepdim=True) - z / z.norm(dim=1, keepdim=True)).pow(2).sum(1).mean()
    torch.testing.assert_close(2 + 2 * disagreement(p, z), distance)


def test_disagreement_and_momentum_by_hand():
    assert disagreement(torch.tensor([[2.0, 0.0]]), torch.tensor([[5.0, 0.0]])).item() == -1
    assert disagreement(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]])).item() == 0
    assert momentum_at(0.0, 0.996) == pytest.approx(0.996)
    assert momentum_at(0.5, 0.996) == pytest.approx(0.998)
    assert momentum_at(1.0, 0.996) == pytest.approx(1)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: nt_xent(x, random(32, 16, seed=1), 0.07),
        lambda x: info_nce(x, random(32, 16, seed=1), random(64, 16, seed=2), 0.07),
        lambda x: recognized(x, x.softmax(dim=1))[0].sum() + 0 * x.sum(),
    ],
)
def test_autocast_rounds_no_loss_and_no_gradient(loss):
    values, gradients = [], []
    for enabled in (False, True):
        x = random(32, 16, seed=0).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            values.append(loss(x))
        values[-1].backward()
        gradients.append(x.grad)
    assert torch.equal(*values)
    assert torch.equal(*gradients)


# no method learns by changing its own targets


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, q: confident_cross_entropy(x, q.softmax(1), 0.1)[0],
        lambda x, q: sharpened_divergence(x, q, 0.5, 0.1)[0],
        lambda x, q: brier(x, q.softmax(1)),
        lambda x, q: cross_entropy(x, q.softmax(1)),
        lambda x, q: info_nce(x, q, q + 1, 0.2),
        disagreement,
    ],
)
def test_targets_get_no_gradient(loss):
    x, q = random(4, 3, seed=0).requires_grad_(), random(4, 3, seed=1).requires_grad_()
    loss(x, q).backward()
    assert x.grad.abs().sum() > 0
    assert q.grad is None
