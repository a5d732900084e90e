"""The network as it leaves: preparation of the images, network and temperature in one module.

    images uint8 (N, C, S, S) -> logits (N, K), probabilities (N, K) = softmax(logits / T)

The metadata of the file describe the input and the outputs; a reader needs nothing else.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..models.classifier import Classifier
from ..models.weights import load
from ..run_folder import RunFolder
from ..transforms.input_spec import InputSpec

FORMAT = "fertrain 1"
INPUT, OUTPUTS = "images", ("logits", "probabilities")


class Deployed(nn.Module):
    """uint8 images (N, C, S, S) -> logits and calibrated probabilities, (N, K) each."""

    def __init__(self, model: Classifier, spec: InputSpec, temperature: float) -> None:
        super().__init__()
        self.model, self.spec, self.temperature = model.eval(), spec, temperature

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Prepare as in training, predict, divide by the temperature."""
        spec = self.spec
        x = images.float() / 255
        if spec.channels != spec.stored_channels:
            x = x.expand(-1, spec.channels, -1, -1)
        logits: Tensor = self.model.test_logits(spec.normalize(x)).float()
        return logits, (logits / self.temperature).softmax(dim=1)

    def example(self) -> Tensor:
        """Two images to trace the graph with; the number of images stays free."""
        return torch.zeros(2, *self.spec.shape, dtype=torch.uint8)


def deployed(run: Path) -> tuple[Deployed, tuple[str, ...]]:
    """Return the module of a finished run and its label order.

    Raises:
        UsageError: the folder holds no run.
        WeightsError: its weights cannot be read.
    """
    folder = RunFolder.open(run)
    model, labels, spec = load(folder.weights)
    return Deployed(model, spec, folder.temperature()), labels


def metadata(graph: Deployed, labels: tuple[str, ...]) -> dict[str, str]:
    """Return the file's metadata: texts by name; `labels` and `input` are JSON."""
    spec = asdict(graph.spec)
    described: dict[str, Any] = {
        "size": spec["size"],
        "channels": graph.spec.stored_channels,
        "color": "gray" if graph.spec.gray else "RGB",
        "type": "uint8, 0 to 255",
        "layout": "NCHW",
        # done inside the graph; here to be read, not to be repeated
        "mean": spec["mean"],
        "std": spec["std"],
        "preprocess": spec["preprocess"],
        "crop": spec["crop"],
    }
    return {
        "format": FORMAT,
        "model": graph.model.name,
        "labels": json.dumps(labels),
        "input": json.dumps(described),
        "flip_test": json.dumps(graph.model.flip_test),
        "test_scales": json.dumps(graph.model.test_scales),
        "temperature": f"{graph.temperature:g}",
        "outputs": "logits, probabilities = softmax(logits / temperature)",
    }
