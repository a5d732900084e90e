"""Importance of image regions: predictions count among the classes of the data set."""

import torch
from torch import nn

from fertrain.analysis.explain.saliency import occluded
from fertrain.datasets.images import InMemory
from fertrain.transforms.input_spec import InputSpec


def test_classes_that_the_data_set_does_not_have_make_no_region_important():
    class Blind(nn.Module):
        """Model that always prefers the second of three classes, which the data set lacks."""

        def forward(self, x):
            return torch.tensor([[1.0, 2.0, 0.0]]).expand(len(x), 3)

    spec = InputSpec(8, 3, (0.0,) * 3, (1.0,) * 3)
    images = InMemory(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    rows = {"sadness": [], "anger": [0]}
    (found,) = occluded(Blind(), ("anger", "contempt", "sadness"), spec, images, rows, side=4)
    assert (found.label, found.values.tolist()) == ("anger", [[0, 0], [0, 0]])
