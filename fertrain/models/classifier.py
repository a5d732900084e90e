"""The network interface of this project: features, then one linear head (f_FER)."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from .label_embedding import EmbeddingHead


def scaled(size: int, scale: float) -> int:
    """Return the side of an image at a test scale, px."""
    return round(size * scale)


class Classifier(nn.Module):
    """f_FER ∘ f_Feat: (B, C, S, S) -> logits (B, K). At test only this runs, through `test_logits`."""

    def __init__(self, name: str, features: nn.Module, dim: int, classes: int, channels: int) -> None:
        super().__init__()
        self.name = name
        """Its name for `models.build`."""
        self.features = features
        """(B, C, S, S) -> (B, dim), pooled."""
        self.head: nn.Module = nn.Linear(dim, classes)
        """(B, dim) -> (B, K); an `EmbeddingHead` after `speak`."""
        self.classes = classes
        """K."""
        self.dim = dim
        """Length of a feature vector."""
        self.channels = channels
        """Channels of the input, 1 or 3."""
        self.flip_test = False
        """Whether features at test are the mean over an image and its horizontal flip."""
        self.test_scales: tuple[float, ...] = ()
        """Shares of its side to which an image is resized at test, for a mean over all; none: as it is."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, K)."""
        logits: Tensor = self.head(self.features(x))
        return logits

    def test_features(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, dim): the features at test, the mean over all views; each view has its cost."""
        found = [self.features(view) for view in self._test_views(x)]
        mean: Tensor = sum(found[1:], start=found[0]) / len(found)
        return mean

    def _test_views(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the image at each scale, with `flip_test` mirrored too."""
        for scale in self.test_scales or (1.0,):
            size = scaled(x.shape[-1], scale)
            same = size == x.shape[-1]
            view = x if same else F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
            yield view
            if self.flip_test:
                yield view.flip(-1)

    def test_logits(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, K): the head on `test_features`, for a linear head the mean logits of all views."""
        logits: Tensor = self.head(self.test_features(x))
        return logits

    def speak(self, words: Tensor) -> None:
        """Replace the head by a fresh one that predicts word vectors (K, D); its logits are scaled cosines."""
        self.head = EmbeddingHead(self.dim, words)

    @property
    def depthwise(self) -> bool:
        """Whether it has depthwise convolutions, whose backward pass on processors is slower in bf16 than in fp32."""
        return any(isinstance(m, nn.Conv2d) and m.groups > 1 and m.groups == m.in_channels for m in self.modules())
