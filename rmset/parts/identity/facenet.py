"""facenet-pytorch's InceptionResnetV1 with weights that the user gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rmset.errors import UsageError
from rmset.geometry import Boxes
from rmset.parts.frames import Image
from rmset.parts.identity import Vectors
from rmset.parts.identity.crops import cut, unit


class FacenetEmbedder:
    """512 numbers a face."""

    license = "the user's weights (those trained on VGGFace2 have no clear terms)"
    same, other = 0.95, 1.1

    def __init__(self, file: Path) -> None:
        import torch
        from facenet_pytorch import InceptionResnetV1

        net = InceptionResnetV1(pretrained=None, classify=False)
        try:
            weights = torch.load(file, map_location="cpu", weights_only=True)
            net.load_state_dict({k: v for k, v in weights.items() if not k.startswith("logits")})
        except (OSError, RuntimeError, ValueError, AttributeError, KeyError) as error:
            reason = " ".join(str(error).split())[:160]
            raise UsageError(
                f"--embedder {file}: expected weights of InceptionResnetV1, found none ({reason})"
            ) from error
        self._net, self._torch = net.eval(), torch
        self.name = file.name

    def embed(self, image: Image, boxes: Boxes) -> Vectors:
        """Vectors (N, 512) of the faces in boxes (N, 4) of an RGB frame (H, W, 3)."""
        faces = (cut(image, boxes, 160, 0.1) - 127.5) / 128
        with self._torch.inference_mode():
            made = self._net(self._torch.from_numpy(np.ascontiguousarray(faces.transpose(0, 3, 1, 2)))).numpy()
        return unit(made)
