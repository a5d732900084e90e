"""Make the inputs of the documentation's examples: a small labeled set, and a run trained on it."""

from pathlib import Path

import fer_worlds
import torch

import fertrain

if __name__ == "__main__":
    torch.set_num_threads(1)
    fer_worlds.ferplus(Path("data/ferplus"))
    Path("datasets.toml").write_text('[ferplus]\nkind = "ferplus"\npath = "data/ferplus"\n')
    fertrain.train(
        labeled="ferplus", scheme="cel", model="resnet10t", image_size=32, epochs=1, batch_size=16, precision="fp32",
        out="runs/cel", progress=False,
    )  # fmt: skip
