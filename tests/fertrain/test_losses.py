"""Every loss compared with a few lines written from its paper, and with a value by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fertrain.errors import UnknownNameError
from fertrain.losses.rmfer import acl, attended, attention, cosines, kept, refine, similarity
from fertrain.losses.supervised import SCHEMES, cel, draw, ml
from rmset.errors import UsageError

seeds = st.integers(0, 2**31 - 1)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# votes


@given(seeds)
def test_cel_is_minus_sum_p_log_q(seed):
    logits, p = random(5, 8, seed=seed), random(5, 8, seed=seed + 1).softmax(1)
    q = logits.softmax(1)
    torch.testing.assert_close(cel(logits, p), -sum((p[i] * q[i].log()).sum() for i in range(5)) / 5)


def test_cel_by_hand():
    # q = (1/2, 1/2), p = (3/4, 1/4): -ln(1/2)
    assert cel(torch.zeros(1, 2), torch.tensor([[0.75, 0.25]])).item() == pytest.approx(math.log(2))


@given(seeds)
def test_ml_is_minus_log_max_tq(seed):
    logits, p = random(5, 8, seed=seed), (random(5, 8, seed=seed + 1) > 0).float()
    t = 0.999 * (p > 0).float() + 0.001
    expected = -torch.stack([(t[i] * logits[i].softmax(0)).max().log() for i in range(5)]).mean()
    torch.testing.assert_close(ml(logits, p), expected)


def test_ml_by_hand_any_kept_class_is_right():
    # q = (1/2, 1/4, 1/4), kept: the last two; smoothed t = (.001, 1, 1), so max tq = 1/4
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    assert ml(logits, torch.tensor([[0.0, 0.5, 0.5]])).item() == pytest.approx(math.log(4))


def test_ml_stays_finite_when_the_kept_class_has_no_probability():
    assert torch.isfinite(ml(torch.tensor([[200.0, 0.0]]), torch.tensor([[0.0, 1.0]])))


@given(seeds, st.integers(0, 50))
def test_a_pld_draw_depends_on_seed_epoch_and_sample_alone(seed, epoch):
    p = np.full((30, 4), 0.25, dtype=np.float32)
    samples = np.arange(30)
    whole = draw(p, samples, epoch, seed)
    np.testing.assert_array_equal(whole[::-1], draw(p, samples[::-1], epoch, seed))
    np.testing.assert_array_equal(whole[7:9], draw(p[7:9], samples[7:9], epoch, seed))


def test_pld_draws_follow_the_distribution_and_change_with_the_epoch():
    p = np.tile(np.array([[0.7, 0.3, 0.0]], dtype=np.float32), (20000, 1))
    first, second = draw(p, np.arange(20000), 1, 0), draw(p, np.arange(20000), 2, 0)
    assert first.mean(axis=0) == pytest.approx([0.7, 0.3, 0.0], abs=0.01)
    assert (first != second).any()
    # independent epochs agree with probability .7² + .3²
    assert (first.argmax(1) == second.argmax(1)).mean() == pytest.approx(0.58, abs=0.02)


def test_schemes_keep_the_images_of_their_paper():
    assert {name: s.rule for name, s in SCHEMES.items()} == {
        "mv": "majority", "ml": "multi", "pld": "distribution", "cel": "distribution"
    }  # fmt: skip


# attention: equations 1 to 3


@given(seeds, st.sampled_from(["exclude", "epsilon", "off"]), st.sampled_from([0.1, 0.25, 1.0]))
def test_attention_is_equations_1_to_3(seed, mask, tau):
    f, z = random(6, 5, seed=seed), random(6, 4, seed=seed + 1)
    v = torch.zeros(6, 5)
    for i in range(6):
        s = [torch.dot(z[i], z[j]) / (z[i].norm() * z[j].norm()) for j in range(6)]
        s[i] = {"exclude": torch.tensor(-1e7), "epsilon": torch.tensor(1e-6), "off": s[i]}[mask]
        a = torch.softmax(torch.stack(s) / tau, 0)
        v[i] = sum(a[j] * f[j] for j in range(6))
    torch.testing.assert_close(attended(f, z, tau, mask), v, atol=1e-5, rtol=1e-4)


def test_attention_by_hand():
    # z: two alike, one opposite. Without itself, the first sees s = (1, -1): weights e/(e + 1/e), 1/(1 + e²)
    z = torch.tensor([[1.0, 0.0], [2.0, 0.0], [-3.0, 0.0]])
    a = attention(z, tau=1.0)
    assert a[0].tolist() == pytest.approx([0, math.e / (math.e + 1 / math.e), 1 / (1 + math.e**2)])
    # the paper's letter masks next to nothing: e^1e-6 ≈ 1 stands beside e and 1/e
    assert attention(z, 1.0, "epsilon")[0, 0].item() == pytest.approx(1 / (1 + math.e + 1 / math.e), abs=1e-5)
    assert similarity(z, "off").diagonal().tolist() == pytest.approx([1, 1, 1])


def test_no_image_attends_to_itself_and_gradients_are_finite():
    z = random(4, 3).requires_grad_()
    attended(random(4, 5), z, 0.1).sum().backward()
    assert torch.isfinite(z.grad).all()
    assert attention(z, 1.0).diagonal().tolist() == [0, 0, 0, 0]


def test_attention_refuses_a_batch_of_one_and_unknown_masks():
    with pytest.raises(UsageError, match="two images"):
        attention(random(1, 3), 1.0)
    with pytest.raises(UnknownNameError, match="epsilon"):
        similarity(random(2, 3), "epsilom")


def test_autocast_rounds_no_attention():
    z, f = random(32, 16, seed=1), random(32, 16)
    exact = attended(f, z, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(attended(f, z, 0.1), exact)


# contrast: refinement and equation 10


@given(seeds, st.integers(1, 8), st.integers(1, 8), st.sampled_from([0.1, 0.5, 1.0]))
def test_acl_is_equation_10(seed, p, n, tau):
    positive, negative = random(p, seed=seed).tanh(), random(n, seed=seed + 1).tanh()
    top = sum(math.exp(s / tau) for s in positive.tolist())
    bottom = top + sum(math.exp(s / tau) for s in negative.tolist())
    assert acl(positive, negative, tau).item() == pytest.approx(-math.log(top / bottom), rel=1e-4, abs=1e-5)


def test_acl_by_hand():
    # two positives and one negative, all alike: -ln(2/3)
    assert acl(torch.zeros(2), torch.zeros(1), 1.0).item() == pytest.approx(math.log(1.5))


def test_acl_sums_inside_the_logarithm_unlike_nt_xent():
    positive, negative = torch.tensor([1.0, -1.0]), torch.tensor([0.0])
    nt_xent = torch.stack([acl(positive[k : k + 1], negative, 0.1) for k in range(2)]).mean()
    assert acl(positive, negative, 0.1) < 0.01 < nt_xent


@given(st.integers(1, 200), st.sampled_from([0.05, 0.1, 0.3, 1.0]))
def test_refinement_keeps_the_ceiling_and_at_least_one(n, gamma):
    assert 1 <= kept(n, gamma) <= n
    assert kept(n, gamma) == max(1, math.ceil(round(gamma * n, 9)))


def test_refinement_by_hand():
    s = torch.tensor([0.1, 0.9, -0.5, 0.9, 0.3])
    assert refine(s, 0.4, most_similar=True).tolist() == [1, 3]
    assert refine(s, 0.4, most_similar=False).tolist() == [2, 0]
    assert kept(50, 0.1) == 5
    assert kept(30, 0.1) == 3


def test_cosines_are_those_of_the_anchor_with_each_candidate():
    assert cosines(torch.tensor([3.0, 0.0]), torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])).tolist() == [1, 0, -1]
