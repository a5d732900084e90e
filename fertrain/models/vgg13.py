"""The VGG13 of the FERPlus paper: 64×64 gray in, ten convolutions, three linear layers."""

from __future__ import annotations

from torch import Tensor, nn

STAGES: tuple[tuple[int, ...], ...] = ((64, 64), (128, 128), (256, 256, 256), (256, 256, 256))
"""Output channels of the 3×3 convolutions; each stage ends in a 2×2 max-pool and dropout .25."""
HIDDEN = 1024
IMAGE_SIZE = 64


class Vgg13Features(nn.Module):
    """(B, 1, S, S) -> (B, 1024); S = 64 in the paper, any multiple of 16 here."""

    num_features = HIDDEN
    in_channels = 1

    def __init__(self, image_size: int = IMAGE_SIZE) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = self.in_channels
        for stage in STAGES:
            for width in stage:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers += [nn.MaxPool2d(2), nn.Dropout(0.25)]
        self.convolutions = nn.Sequential(*layers)
        side = image_size // 2 ** len(STAGES)
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * side * side, HIDDEN), nn.ReLU(inplace=True), nn.Dropout(0.5),
            nn.Linear(HIDDEN, HIDDEN), nn.ReLU(inplace=True), nn.Dropout(0.5),
        )  # fmt: skip
        self._start()

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, S, S) -> (B, 1024)."""
        hidden: Tensor = self.hidden(self.convolutions(x))
        return hidden

    def _start(self) -> None:
        # Glorot's, as in the authors' tool. These are ten ReLU layers without normalization: with PyTorch's default the
        # network does not learn; with He's, dropout inflates the signal to losses of 6, and rate 0.05 ends in NaN.
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
