"""Weight gradients of convolutions on maps of a few pixels, on processors that have AVX2 and no more.

Images of 48 px leave maps of 2×2 or 3×3 to the last layers of a network. There oneDNN's kernel for weight gradients
(`jit` with AVX2, oneDNN 3.12) reaches 3 to 30 GFLOP/s, and the last layer of ResNet-10 alone takes a quarter of a
training step. One matrix product of the unfolded map, which is small here, takes a tenth to a half of the time; a step
of ResNet-10 at 48 px or ResNet-18 at 64 px two thirds (`benchmarks.small_maps`). On larger maps unfolding costs more
than it saves, later for many channels than for few.

Depthwise convolutions are slowest where the kernel is larger than the map (EfficientNet's 5×5 on 3×3 pixels: 0.25
GFLOP/s). A product and a sum for each offset that meets the map take a third to a twentieth of that time.
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
    """Let the convolutions of a network choose the faster weight gradient; all else stays, names of weights too."""
    for module in network.modules():
        # subclasses pad or scale in ways of their own
        if type(module) is nn.Conv2d and _is_square(module):
            if module.groups == 1 and module.kernel_size == (3, 3) and module.padding in ((0, 0), (1, 1)):
                module.__class__ = SmallMapConv2d
            elif 1 < module.groups == module.in_channels == module.out_channels and module.kernel_size[0] > 1:
                module.__class__ = SmallMapDepthwise


def _is_square(conv: nn.Conv2d) -> bool:
    """Whether both axes are treated alike, within zeros."""
    pairs = (conv.kernel_size, conv.stride, conv.padding)
    return conv.padding_mode == "zeros" and conv.dilation == (1, 1) and all(len({*pair}) == 1 for pair in pairs)


class SmallMapConv2d(nn.Conv2d):
    """A 3×3 convolution whose weight gradient is one matrix product on small maps."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not self._is_small(x):
            plain: Tensor = super()._conv_forward(x, weight, bias)
            return plain
        out: Tensor = _SmallMap.apply(x, weight, self.stride[0], int(self.padding[0]))
        return out if bias is None else out + bias[:, None, None]

    def _is_small(self, x: Tensor) -> bool:
        if not _applies(self, x):
            return False
        stride, padding = self.stride[0], int(self.padding[0])
        height, width = ((n + 2 * padding - 3) // stride + 1 for n in x.shape[2:])
        return bool(height * width <= (LARGEST_OF_MANY if self.in_channels >= MANY else LARGEST))


class SmallMapDepthwise(SmallMapConv2d):
    """A depthwise convolution whose weight gradient is taken offset by offset where its kernel exceeds the map."""

    def _is_small(self, x: Tensor) -> bool:
        return bool(_applies(self, x) and max(x.shape[2:]) < self.kernel_size[0])


def _applies(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether a weight gradient is needed, in full precision, on a processor for which this was measured."""
    return (
        torch.is_grad_enabled() and conv.weight.requires_grad and x.ndim == 4 and not torch.compiler.is_compiling()
        and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu") and torch.backends.cpu.get_cpu_capability() == "AVX2"
    )  # fmt: skip


class _SmallMap(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        # (out, in / groups, …): one group, or one for each channel
        ctx.stride, ctx.padding, ctx.groups = stride, padding, x.shape[1] // weight.shape[1]
        return torch.conv2d(x, weight, None, stride, padding, 1, ctx.groups)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        of_x = None
        if ctx.needs_input_grad[0]:
            pairs = [ctx.stride] * 2, [ctx.padding] * 2
            of_x = torch.ops.aten.convolution_backward(
                grad, x, weight, None, *pairs, [1, 1], False, [0, 0], ctx.groups, [True, False, False]
            )[0]
        of_weight = None
        if ctx.needs_input_grad[1]:
            if ctx.groups == 1:
                of_weight = weight_gradient(x, grad, ctx.stride, ctx.padding)
            else:
                of_weight = depthwise_gradient(x, grad, weight.shape[-1], ctx.stride, ctx.padding)
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


def depthwise_gradient(x: Tensor, grad: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Return ∂L/∂W of a depthwise convolution, (channels, 1, kernel, kernel).

    Args:
        x: (B, channels, H, W), what was convolved.
        grad: (B, channels, H', W'), ∂L/∂ of the result.
        kernel: side of the kernel.
        stride: of both axes.
        padding: zeros at each side.
    """
    source, result = x.permute(0, 2, 3, 1), grad.permute(0, 2, 3, 1)
    found = result.new_zeros(kernel, kernel, x.shape[1])
    down, across = (
        [_met(n, out, offset, stride, padding) for offset in range(kernel)]
        for n, out in zip(source.shape[1:3], result.shape[1:3], strict=True)
    )
    for row, (to_rows, of_rows) in enumerate(down):
        for column, (to_columns, of_columns) in enumerate(across):
            # Offsets that meet only the padding have empty slices, and sum to 0.
            products = result[:, to_rows, to_columns] * source[:, of_rows, of_columns]
            found[row, column] = products.sum((0, 1, 2))
    return found.permute(2, 0, 1)[:, None]


def _met(n: int, out: int, offset: int, stride: int, padding: int) -> tuple[slice, slice]:
    """Return the outputs for which a kernel's offset lies on the map, along one axis, and the inputs that it meets."""
    # output i meets input i · stride + offset - padding
    first = max(0, -(-(padding - offset) // stride))
    last = max(first, min(out, (n - 1 + padding - offset) // stride + 1))
    begin = first * stride + offset - padding
    return slice(first, last), slice(begin, begin + (last - first - 1) * stride + 1 if last > first else begin, stride)
