"""Why a network says what it says: which parts of a face it cannot do without (Deep-Emotion, section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..contract import InputContract
from ..inference import at_test


def occlusion(
    model: nn.Module, contract: InputContract, pixels: Tensor, columns: Sequence[int], label: int, side: int
) -> npt.NDArray[np.bool_]:
    """Cover one square region after the other; a region matters if its covering makes the prediction wrong.

    Args:
        model: prepared images -> logits.
        contract: what the model expects.
        pixels: one image, uint8 (C, S, S).
        columns: of the logits, in the order of the data set's classes; the model may know others, which do not count.
        label: the class that is right, counted among `columns`.
        side: of a region, px; the last ones of a row or column may be smaller.

    Returns:
        (R, R) with R = ⌈S / side⌉: True where the prediction is wrong without the region.
    """
    x = contract.prepare(pixels.unsqueeze(0))
    steps = range(0, contract.size, side)
    covered = x.repeat(len(steps) ** 2, 1, 1, 1)
    for k, (top, left) in enumerate((t, s) for t in steps for s in steps):
        covered[k, :, top : top + side, left : left + side] = 0  # 0 is the data set's mean after normalisation
    with at_test(model):
        wrong = torch.cat([model(part)[:, list(columns)].argmax(dim=1) != label for part in torch.split(covered, 256)])
    return np.asarray(wrong.cpu().numpy().reshape(len(steps), len(steps)), dtype=np.bool_)
