"""Weight gradients of convolutions on small maps: oneDNN's against ours.

    python -m benchmarks.small_maps [--threads 2] [--write]

Both take turns in every round, so that other load affects both alike.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from benchmarks.report import Line, publish, timing_parser
from fertrain.models.factory import build
from fertrain.models.small_maps import SmallMapConv2d, depthwise_gradient, weight_gradient

SHAPES = [
    (512, 512, 2, 32), (512, 512, 2, 64), (512, 512, 3, 32), (512, 512, 4, 32), (256, 256, 3, 32), (256, 256, 4, 64),
    (128, 128, 4, 32), (512, 512, 5, 32), (256, 256, 6, 32), (512, 512, 7, 32), (256, 256, 7, 32), (128, 128, 7, 32),
    (64, 64, 7, 32), (256, 256, 8, 32), (128, 128, 8, 32),
]  # fmt: skip
"""Channels in and out, side of the map in px, images. The last six show where it ends: see `LARGEST`."""


DEPTHWISE = [
    (1152, 5, 2, 64), (1152, 5, 3, 64), (1152, 5, 3, 32), (1152, 5, 4, 64), (96, 5, 3, 64),
    (672, 3, 2, 64), (672, 5, 5, 64), (672, 3, 3, 64), (120, 5, 5, 64), (672, 5, 7, 64),
]  # fmt: skip
"""Channels, side of the kernel, side of the map in px, images. The last four show where it ends."""


def compared(one: Callable[[], object], other: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Median milliseconds of both, and the median of their ratio within a round."""
    took = []
    for k in range(rounds + 1):
        times = []
        for work in (one, other):
            began = time.perf_counter()
            work()
            times.append(1e3 * (time.perf_counter() - began))
        if k:
            took.append(times)
    first, second = zip(*took, strict=True)
    return statistics.median(first), statistics.median(second), statistics.median(a / b for a, b in took)


def layer(inner: int, outer: int, side: int, n: int, rounds: int) -> Line:
    """Compare one convolution, in channels-last order as in training."""
    x = torch.rand(n, inner, side, side).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(outer, inner, 3, 3).contiguous(memory_format=torch.channels_last)
    grad = torch.rand(n, outer, side, side).contiguous(memory_format=torch.channels_last)

    def given() -> object:
        settings = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1, [False, True, False])
        return torch.ops.aten.convolution_backward(grad, x, weight, None, *settings)

    theirs, ours, ratio = compared(given, lambda: weight_gradient(x, grad, 1, 1), rounds)
    return Line(
        f"{inner} to {outer} channels, {side}×{side}, {n} images", f"{theirs:.1f}, {ours:.1f} ms: {ratio:.1f} ×"
    )


def depthwise(channels: int, kernel: int, side: int, n: int, rounds: int) -> Line:
    """Compare one depthwise convolution."""
    x, grad = (torch.rand(n, channels, side, side).contiguous(memory_format=torch.channels_last) for _ in range(2))
    weight, padding = torch.rand(channels, 1, kernel, kernel), kernel // 2

    def given() -> object:
        settings = ([1, 1], [padding, padding], [1, 1], False, [0, 0], channels, [False, True, False])
        return torch.ops.aten.convolution_backward(grad, x, weight, None, *settings)

    theirs, ours, ratio = compared(given, lambda: depthwise_gradient(x, grad, kernel, 1, padding), rounds)
    return Line(
        f"depthwise {kernel}×{kernel}, {channels} channels, {side}×{side}, {n} images",
        f"{theirs:.1f}, {ours:.1f} ms: {ratio:.1f} ×",
    )


def step(name: str, size: int, n: int, rounds: int) -> Line:
    """Compare a training step of a network with and without."""
    quick = build(name, 7, size).to(memory_format=torch.channels_last).train()
    plain = copy.deepcopy(quick)
    for module in plain.modules():
        if isinstance(module, SmallMapConv2d):
            module.__class__ = nn.Conv2d
    images = torch.rand(n, quick.channels, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 7, (n,))

    def steps(network: nn.Module) -> Callable[[], object]:
        optimizer = torch.optim.AdamW(network.parameters(), fused=True)

        def work() -> None:
            optimizer.zero_grad()
            cross_entropy(network(images), labels).backward()
            optimizer.step()

        return work

    theirs, ours, ratio = compared(steps(plain), steps(quick), rounds)
    return Line(f"a step of {name}, {size} px, {n} images", f"{theirs:.0f}, {ours:.0f} ms: {ratio:.2f} ×")


def main() -> None:
    """Parse and run."""
    args = timing_parser(__doc__, threads=torch.get_num_threads(), rounds=9).parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    lines = [layer(*shape, args.rounds) for shape in SHAPES]
    lines += [depthwise(*shape, args.rounds) for shape in DEPTHWISE]
    lines += [
        step("tf_efficientnet_lite0", 48, 64, args.rounds),
        step("tf_efficientnet_lite0", 80, 64, args.rounds),
        step("resnet10t", 48, 32, args.rounds),
        step("resnet18", 64, 32, args.rounds),
        step("vgg13", 64, 32, args.rounds),
    ]
    notes = [
        f"{args.threads} threads, medians of {args.rounds} rounds: oneDNN's gradient, ours, their ratio.",
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}.",
        "In use up to 4×4, from 256 channels on up to 7×7; depthwise where the kernel is larger than the map.",
    ]
    publish("small_maps", "Weight gradients on small maps", lines, notes, write=args.write)


if __name__ == "__main__":
    main()
