"""A network's answer for an image does not depend on the other images of the batch, or evaluation refuses it."""

import pytest
import torch
from torch import nn

from fertrain.datasets.images import InMemory
from fertrain.errors import InvarianceError, TrainingError
from fertrain.evaluation.evaluate import check_invariance
from fertrain.transforms.input_spec import InputSpec


def test_a_network_that_looks_at_its_neighbors_is_caught():
    class Nosy(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return (x.flatten(1) - x.flatten(1).mean(dim=0))[:, :3] * self.weight

    pixels = torch.randint(0, 255, (30, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    spec = InputSpec(16, 3, (0.5,) * 3, (0.2,) * 3)
    with pytest.raises(InvarianceError, match="batch size, order or companions"):
        check_invariance(Nosy(), spec, InMemory(pixels))


def test_a_network_that_has_diverged_is_not_taken_for_one_that_looks_at_its_batch():
    class Lost(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return x.mean(dim=(2, 3)) * float("inf")

    pixels = torch.zeros(3, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(TrainingError, match=r"lower `optim.lr`"):
        check_invariance(Lost(), InputSpec(16, 3, (0.5,) * 3, (0.2,) * 3), InMemory(pixels))
