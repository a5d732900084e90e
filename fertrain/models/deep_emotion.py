"""Deep-Emotion (Minaee & Abdolrashidi, 2019): a spatial transformer, then four convolutions.

    x (B, 1, 48, 48) -> localization -> θ (B, 2, 3) -> warp -> conv conv pool conv conv pool dropout -> linear -> head

θ starts as the identity, so that the network first sees the whole face. The paper does not state its widths; public
re-implementations use 10 channels, which limits them to about 52 % on FER2013. Ours are below.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

WIDTHS = (64, 64, 128, 128)
HIDDEN = 256
IMAGE_SIZE = 48


class SpatialTransformer(nn.Module):
    """Two convolutions with max-pool and ReLU, then two linear layers to the six parameters of an affine map."""

    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 8, 7), nn.MaxPool2d(2), nn.ReLU(inplace=True),
            nn.Conv2d(8, 10, 5), nn.MaxPool2d(2), nn.ReLU(inplace=True), nn.Flatten(),
        )  # fmt: skip
        side = ((image_size - 6) // 2 - 4) // 2
        last = nn.Linear(32, 6)
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))
        self.linear = nn.Sequential(nn.Linear(10 * side * side, 32), nn.ReLU(inplace=True), last)

    def theta(self, x: Tensor) -> Tensor:
        """Predict maps from output to input coordinates in [-1, 1]: (B, 2, 3)."""
        parameters: Tensor = self.linear(self.convolutions(x))
        return parameters.view(-1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Warp the image, (B, 1, S, S)."""
        # a float32 grid: the eight bits of bfloat16 do not resolve a pixel
        theta = self.theta(x).float()
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return F.grid_sample(x.float(), grid, padding_mode="border", align_corners=False)


class DeepEmotionFeatures(nn.Module):
    """(B, 1, S, S) -> (B, 256); S = 48 in the paper, any multiple of 4 from 32 here."""

    num_features = HIDDEN
    in_channels = 1

    def __init__(self, image_size: int = IMAGE_SIZE) -> None:
        super().__init__()
        self.attention = SpatialTransformer(image_size)
        layers: list[nn.Module] = []
        channels = self.in_channels
        for k, width in enumerate(WIDTHS):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width)]
            layers += [nn.MaxPool2d(2), nn.ReLU(inplace=True)] if k % 2 else [nn.ReLU(inplace=True)]
            channels = width
        self.convolutions = nn.Sequential(*layers, nn.Dropout(0.5))
        self.hidden = nn.Sequential(
            nn.Flatten(), nn.Linear(channels * (image_size // 4) ** 2, HIDDEN), nn.ReLU(inplace=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, S, S) -> (B, 256)."""
        hidden: Tensor = self.hidden(self.convolutions(self.attention(x)))
        return hidden
