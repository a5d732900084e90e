"""Weight gradients of 3×3 convolutions on maps of a few pixels, on processors that have AVX2 and no more.

Images of 48 px leave maps of 2×2 or 3×3 to the last layers of a network. There oneDNN's kernel for weight gradients
(`jit` with AVX2, oneDNN 3.12) reaches 3 to 30 GFLOP/s, and the last layer of ResNet-10 alone takes a quarter of a
training step. One matrix product of the unfolded map, which is small here, takes a tenth to a half of the time; a step
of ResNet-10 at 48 px or ResNet-18 at 64 px two thirds (`benchmarks.small_maps`). On larger maps unfolding costs more
than it saves, later for many channels than for few.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

LARGEST = 16
"""Pixels of an output map up to which the matrix product was faster, with batches of 32 and 64."""
LARGEST_OF_MANY, MANY = 49, 256
"""The same for many channels, and how many these are."""


def quicken(network: nn.Module) -> None:
    """Let the 3×3 convolutions of a network choose the faster weight gradient; all else stays, names of weights too."""
    for module in network.modules():
        # subclasses pad or scale in ways of their own
        if type(module) is nn.Conv2d and _fits(module):
            module.__class__ = SmallMapConv2d


def _fits(conv: nn.Conv2d) -> bool:
    return (
        conv.kernel_size == (3, 3) and conv.stride[0] == conv.stride[1] and conv.padding in ((0, 0), (1, 1))
        and conv.padding_mode == "zeros" and conv.dilation == (1, 1) and conv.groups == 1
    )  # fmt: skip


class SmallMapConv2d(nn.Conv2d):
    """A 3×3 convolution whose weight gradient is one matrix product on small maps."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not self._is_small(x):
            plain: Tensor = super()._conv_forward(x, weight, bias)
            return plain
        out: Tensor = _SmallMap.apply(x, weight, self.stride[0], int(self.padding[0]))
        return out if bias is None else out + bias[:, None, None]

    def _is_small(self, x: Tensor) -> bool:
        learns = torch.is_grad_enabled() and self.weight.requires_grad
        if not learns or x.ndim != 4 or torch.compiler.is_compiling() or not _is_plain(x):
            return False
        stride, padding = self.stride[0], int(self.padding[0])
        height, width = ((n + 2 * padding - 3) // stride + 1 for n in x.shape[2:])
        return bool(height * width <= (LARGEST_OF_MANY if self.in_channels >= MANY else LARGEST))


def _is_plain(x: Tensor) -> bool:
    """Tell whether x is computed in full precision on a processor for which this was measured."""
    return (
        x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu") and torch.backends.cpu.get_cpu_capability() == "AVX2"
    )  # fmt: skip


class _SmallMap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return torch.conv2d(x, weight, None, stride, padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        of_x = None
        if ctx.needs_input_grad[0]:
            pairs = [ctx.stride] * 2, [ctx.padding] * 2
            of_x = torch.ops.aten.convolution_backward(
                grad, x, weight, None, *pairs, [1, 1], False, [0, 0], 1, [True, False, False]
            )[0]
        of_weight = weight_gradient(x, grad, ctx.stride, ctx.padding) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, None, None


def weight_gradient(x: Tensor, grad: Tensor, stride: int, padding: int) -> Tensor:
    """Return ∂L/∂W of a 3×3 convolution, (out, in, 3, 3) in channels-last order.

    Args:
        x: (B, in, H, W), what was convolved.
        grad: (B, out, H', W'), ∂L/∂ of the result.
        stride: of both axes.
        padding: zeros at each side.
    """
    padded = pad(x.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding)).contiguous()
    n, out, height, width = grad.shape
    channels = padded.shape[-1]
    image, row, column, _ = padded.stride()
    # rows: pixels of the output; columns: the nine inputs of each
    patches = padded.as_strided(
        (n, height, width, 3, 3, channels), (image, stride * row, stride * column, row, column, 1)
    ).reshape(n * height * width, 9 * channels)
    product = grad.permute(0, 2, 3, 1).reshape(-1, out).t() @ patches
    return product.view(out, 3, 3, channels).permute(0, 3, 1, 2)
