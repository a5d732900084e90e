"""One number per image that lasts over epochs: changed labels (SCN), guessed labels (FlexMatch)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

NONE = -1


class ClassMemory(nn.Module):
    """A class per image, −1 for none; saved with the run. Its length is known once the data are."""

    classes: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("classes", torch.empty(0, dtype=torch.int64))

    def reset(self, images: int) -> None:
        """Forget everything; remember this many images from now on."""
        self.classes = torch.full((images,), NONE, dtype=torch.int64, device=self.classes.device)

    @torch.no_grad()
    def take(self, rows: Tensor, classes: Tensor) -> None:
        """Remember the classes of some images; −1 leaves an image as it is."""
        known = classes != NONE
        self.classes[rows[known]] = classes[known]

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        saved = state_dict.get(f"{prefix}classes")
        if isinstance(saved, Tensor) and saved.shape != self.classes.shape and saved.ndim == 1:
            # the state at the start of a phase was saved before the length was known
            self.reset(len(saved))
        super()._load_from_state_dict(state_dict, prefix, *rest)
