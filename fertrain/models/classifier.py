"""A network as this project sees it: features, then one linear head (f_FER)."""

from __future__ import annotations

from torch import Tensor, nn

from .label_embedding import EmbeddingHead


class Classifier(nn.Module):
    """f_FER ∘ f_Feat: (B, C, S, S) -> logits (B, K). At test this is all that runs."""

    def __init__(self, name: str, features: nn.Module, dim: int, classes: int, channels: int) -> None:
        super().__init__()
        self.name = name
        """What `models.build` calls it."""
        self.features = features
        """(B, C, S, S) -> (B, dim), pooled."""
        self.head: nn.Module = nn.Linear(dim, classes)
        """(B, dim) -> (B, K); an `EmbeddingHead` where `speak` was called."""
        self.classes = classes
        """K."""
        self.dim = dim
        """Length of a feature vector."""
        self.channels = channels
        """Channels of the input, 1 or 3."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) -> (B, K)."""
        logits: Tensor = self.head(self.features(x))
        return logits

    def speak(self, words: Tensor) -> None:
        """Predict word vectors (K, D) from now on: a fresh head, whose logits are scaled cosines."""
        self.head = EmbeddingHead(self.dim, words)

    @property
    def depthwise(self) -> bool:
        """Has depthwise convolutions, whose backward pass is slower in bf16 than in fp32 on processors."""
        return any(isinstance(m, nn.Conv2d) and m.groups > 1 and m.groups == m.in_channels for m in self.modules())
