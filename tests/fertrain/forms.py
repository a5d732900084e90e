"""Labeled sets in their published forms, and helpers to open them."""

import layouts
import torch
from layouts import RNG, face, write

from fertrain.datasets.images import ImageFiles
from fertrain.datasets.registry import Entry, open_entry

RAFDB = "1=surprise,2=fear,3=disgust,4=happiness,5=sadness,6=anger,7=neutral"

FORMS = [
    ("rafdb", layouts.rafdb_kaggle, {}), ("rafdb", layouts.rafdb_aligned_names, {}),
    ("affectnet", layouts.affectnet_lists, {}), ("affectnet", layouts.affectnet_kaggle, {}),
    ("affectnet", layouts.affectnet_yolo, {}), ("fer2013", layouts.fer2013_competition, {}),
    ("fer2013", layouts.fer2013_usage_folders, {}), ("fer2013", layouts.fer2013_testing_folders, {}),
    ("fer2013", layouts.fer2013_no_splits, {}), ("folder", layouts.fer2013_usage_folders, {}),
    ("folder", layouts.fer2013_no_splits, {}), ("ckplus", layouts.ckplus_zips, {}),
    ("ckplus", layouts.ckplus_unpacked, {}), ("ckplus", layouts.ckextended, {}), ("csv", layouts.windows_tsv, {}),
    ("parquet", layouts.parquet_from_one, {"classes": RAFDB}),
]  # fmt: skip


def opened(kind, path, **options):
    return open_entry(Entry(kind, kind, path, options))


def shown(split):
    """Place of the bright bar in each picture, which is its true class."""
    pixels = ImageFiles(split.source, split.names, 48, gray=True).read(range(len(split))).float()
    rows = (pixels[:, 0, :, 12:36].mean(dim=2) - 150).clamp_min(0)
    return ((rows * torch.arange(48)).sum(dim=1) / rows.sum(dim=1)).tolist()


def labels(root, text, name="labels.csv", n=6):
    for k in range(n):
        write(root / f"{k}.png", face(k, RNG))
    (root / name).write_text(text)
    return root
