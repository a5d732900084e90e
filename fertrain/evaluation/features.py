"""Outputs of a finished run by image: f = f_Feat(x), z = H(f), and the probabilities of f_FER(f).

With a flip test or test scales f is the mean over the views of x. The projection H is stored in
`method.safetensors`; without one, z = f.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from rmset.progress import Progress, silent

from ..datasets.images import Images, batches
from ..methods.rmfer import projection_head
from ..models.checkpoint_file import read_file
from ..models.classifier import Classifier
from ..models.inference import channel_stats, eval_mode
from ..models.weights import load
from ..run_folder import RunFolder
from ..transforms.input_spec import InputSpec

_PREFIX = "projection."


@dataclass(frozen=True)
class OpenedRun:
    """A finished run, opened for inference."""

    name: str
    """Its folder's name, with parents if several runs share it."""
    model: Classifier
    """f_FER ∘ f_Feat."""
    projection: nn.Module
    """H; the identity if the run has none."""
    labels: tuple[str, ...]
    """Class of each output."""
    spec: InputSpec
    """Input spec, with the labeled stream's mean and std."""
    folder: RunFolder
    """The run folder."""

    @property
    def projects(self) -> bool:
        """Whether the run has learned a projection."""
        return not isinstance(self.projection, nn.Identity)


@dataclass(frozen=True)
class Extracted:
    """Outputs in the order of the rows, float32 on the CPU."""

    features: Tensor
    """f, (n, D)."""
    projected: Tensor
    """z, (n, E)."""
    probabilities: Tensor
    """(n, K), rows sum to 1."""


def open_run(path: Path) -> OpenedRun:
    """Open a run with its projection.

    Raises:
        UsageError: the folder holds no run.
        WeightsError: its weights cannot be read.
    """
    folder = RunFolder.open(path)
    model, labels, spec = load(folder.weights)
    projection: nn.Module = nn.Identity()
    if folder.method_weights.is_file():
        tensors, _ = read_file(folder.method_weights)
        own = {k.removeprefix(_PREFIX): v for k, v in tensors.items() if k.startswith(_PREFIX)}
        if own:
            projection = projection_head(model.dim)
            projection.load_state_dict(own)
    return OpenedRun(path.resolve().name, model, projection, labels, spec, folder)


def extract(
    model: Classifier, projection: nn.Module, images: Images, spec: InputSpec, rows: Sequence[int],
    *, batch_size: int = 256, workers: int = 0, progress: Progress = silent,
) -> Extracted:  # fmt: skip
    """Compute the outputs for some rows, independent of batching.

    Args:
        model: f_FER ∘ f_Feat.
        projection: H.
        images: uint8 images.
        spec: input spec with the mean and std of *these* images: unlabeled streams have their own.
        rows: rows, in the order wanted.
        batch_size: images at once; affects only the time.
        workers: processes that decode.
        progress: progress callback.
    """
    parts = [list(rows[i : i + batch_size]) for i in range(0, len(rows), batch_size)]
    device = next(model.parameters()).device
    f: list[Tensor] = []
    z: list[Tensor] = []
    p: list[Tensor] = []
    with eval_mode(model), eval_mode(projection):
        for done, pixels in enumerate(batches(images, parts, workers), start=1):
            own = model.test_features(spec.prepare(pixels.to(device)))
            for kept, found in ((f, own), (z, projection(own)), (p, model.head(own).softmax(dim=1))):
                kept.append(found.float().cpu())
            progress("look at faces", min(done * batch_size, len(rows)), len(rows))
    if not f:
        return Extracted(*(torch.empty(0, n) for n in (model.dim, model.dim, model.classes)))
    return Extracted(torch.cat(f), torch.cat(z), torch.cat(p))


def on_root(run: OpenedRun, images: Callable[[InputSpec], Images]) -> tuple[Images, InputSpec]:
    """Open an unlabeled set for a run: decoded by its spec, normalized by the set's own mean and std."""
    found = images(run.spec)
    return found, run.spec.with_moments(channel_stats(found, run.spec))
