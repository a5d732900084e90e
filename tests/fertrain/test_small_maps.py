"""Convolutions on maps of a few pixels: a faster weight gradient, and nothing else changes."""

import copy

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from fertrain.models import small_maps
from fertrain.models.factory import build


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(1, 3), inner=st.integers(1, 4), outer=st.integers(1, 4), height=st.integers(3, 9),
    width=st.integers(3, 9), stride=st.integers(1, 3), padding=st.integers(0, 1), last=st.booleans(),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_the_weight_gradient_is_that_of_autograd(n, inner, outer, height, width, stride, padding, last, seed):
    torch.manual_seed(seed)
    order = torch.channels_last if last else torch.contiguous_format
    x = torch.randn(n, inner, height, width, dtype=torch.float64).contiguous(memory_format=order)
    weight = torch.randn(outer, inner, 3, 3, dtype=torch.float64, requires_grad=True)
    out = torch.conv2d(x, weight, None, stride, padding)
    grad = torch.randn_like(out)
    (expected,) = torch.autograd.grad(out, weight, grad)

    torch.testing.assert_close(small_maps.weight_gradient(x, grad, stride, padding), expected)


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 3), channels=st.integers(1, 4), height=st.integers(1, 7), width=st.integers(1, 7),
    kernel=st.sampled_from([2, 3, 5, 7]), stride=st.integers(1, 3), padding=st.integers(0, 3), last=st.booleans(),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_the_depthwise_gradient_is_that_of_autograd(n, channels, height, width, kernel, stride, padding, last, seed):
    assume(min(height, width) + 2 * padding >= kernel)
    torch.manual_seed(seed)
    order = torch.channels_last if last else torch.contiguous_format
    x = torch.randn(n, channels, height, width, dtype=torch.float64).contiguous(memory_format=order)
    weight = torch.randn(channels, 1, kernel, kernel, dtype=torch.float64, requires_grad=True)
    out = torch.conv2d(x, weight, None, stride, padding, 1, channels)
    grad = torch.randn_like(out)
    (expected,) = torch.autograd.grad(out, weight, grad)

    found = small_maps.depthwise_gradient(x, grad, kernel, stride, padding)
    torch.testing.assert_close(found, expected)


def test_by_hand():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    grad = torch.tensor([[[[1.0, 0.0], [0.0, 10.0]]]])

    # the middle: 1·1 + 4·10; the upper left: what lies one up and left of each pixel, 0·1 + 1·10
    found = small_maps.weight_gradient(x, grad, stride=1, padding=1)[0, 0]
    assert (found[1, 1], found[0, 0], found[2, 2]) == (41, 10, 4)
    assert torch.equal(small_maps.depthwise_gradient(x, grad, 3, stride=1, padding=1)[0, 0], found)


@pytest.mark.parametrize("bias", [False, True])
def test_the_layer_returns_the_same_and_has_the_same_gradients(bias, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=bias), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1, bias=bias)).double()
    quick = copy.deepcopy(plain)
    small_maps.quicken(quick)
    assert all(isinstance(m, small_maps.SmallMapConv2d) for m in (quick[0], quick[2]))
    assert list(quick.state_dict()) == list(plain.state_dict())

    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    results = []
    for network in (plain, quick):
        own = x.clone().requires_grad_()
        out = network(own)
        out.square().sum().backward()
        results.append([out.detach(), own.grad, *(p.grad for p in network.parameters())])
    assert "SmallMap" in type(quick(x).grad_fn.next_functions[0][0] if bias else quick(x).grad_fn).__name__
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("bias", [False, True])
def test_a_depthwise_layer_returns_the_same_and_has_the_same_gradients(bias, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 6, 5, 1, 2, groups=6, bias=bias).double()
    quick = nn.Sequential(copy.deepcopy(plain))
    small_maps.quicken(quick)
    x = torch.randn(2, 6, 4, 3, dtype=torch.float64)
    results = []
    for layer in (plain, quick[0]):
        own = x.clone().requires_grad_()
        out = layer(own)
        out.square().sum().backward()
        results.append([out.detach(), own.grad, *(p.grad for p in layer.parameters())])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_depthwise_layers_use_it_only_where_the_kernel_is_larger_than_the_map(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    network = build("tf_efficientnet_lite0", 7, 80)
    assert sum(isinstance(m, small_maps.SmallMapDepthwise) for m in network.modules()) == 12

    def uses(kernel, *side):
        layer = nn.Sequential(nn.Conv2d(8, 8, kernel, padding=kernel // 2, groups=8, bias=False))
        small_maps.quicken(layer)
        return "SmallMap" in str(layer(torch.rand(1, 8, *side)).grad_fn)

    assert [uses(5, 4, side) for side in (3, 4, 5)] == [True, True, False]
    assert [uses(3, side, 2) for side in (2, 3)] == [True, False]


def test_what_it_was_not_measured_for_stays():
    kept = nn.Sequential(
        nn.Conv2d(4, 4, 1), nn.Conv2d(4, 8, 3, groups=4), nn.Conv2d(4, 4, 1, groups=4), nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(1, 1, 5), nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv2d(4, 4, 3, padding="same"), nn.Conv2d(4, 4, 3, stride=(1, 2)),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
    )  # fmt: skip
    small_maps.quicken(kept)
    assert {type(m) for m in kept} == {nn.Conv2d}


def test_networks_have_it_and_large_maps_do_not_use_it(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    convolutions = {
        n: m for n, m in build("resnet10t", 7, 48).named_modules() if isinstance(m, small_maps.SmallMapConv2d)
    }
    assert convolutions
    conv = small_maps.SmallMapConv2d(2, 2, 3, padding=1)
    assert "SmallMap" in str(conv(torch.rand(1, 2, 4, 4)).grad_fn.next_functions)
    assert "SmallMap" not in str(conv(torch.rand(1, 2, 5, 4)).grad_fn)
    many = small_maps.SmallMapConv2d(256, 2, 3, padding=1, bias=False)
    assert ["SmallMap" in str(many(torch.rand(1, 256, side, 7)).grad_fn) for side in (7, 8)] == [True, False]
    with torch.no_grad():
        assert conv(torch.rand(1, 2, 4, 4)).grad_fn is None
