"""What is remembered of each image over epochs: changed labels (SCN), guessed labels (FlexMatch), answers (LDL)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

NONE = -1


class ImageMemory(nn.Module):
    """A row of values per image; saved with the run. The number of images is known once the data are."""

    values: Tensor

    def __init__(self, empty: Tensor) -> None:
        super().__init__()
        self.empty = empty
        """Row of an image of which nothing is known."""
        self.register_buffer("values", empty.new_empty((0, *empty.shape)))

    def reset(self, images: int) -> None:
        """Forget everything; remember this many images from now on."""
        self.values = self.empty.expand(images, *self.empty.shape).clone().to(self.values.device)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        saved = state_dict.get(f"{prefix}values")
        if isinstance(saved, Tensor) and saved.shape[1:] == self.empty.shape and len(saved) != len(self.values):
            # the state at the start of a phase was saved before the number was known
            self.reset(len(saved))
        super()._load_from_state_dict(state_dict, prefix, *rest)


class ClassMemory(ImageMemory):
    """A class per image, −1 for none."""

    def __init__(self) -> None:
        super().__init__(torch.tensor(NONE))

    @property
    def classes(self) -> Tensor:
        """int64 (N,)."""
        return self.values

    @torch.no_grad()
    def take(self, rows: Tensor, classes: Tensor) -> None:
        """Remember the classes of some images; −1 leaves an image as it is."""
        known = classes != NONE
        self.values[rows[known]] = classes[known]
