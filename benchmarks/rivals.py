"""Other random readers of the same pictures, with one interface: `read(rows) -> list[bytes]`."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rmset.read.crops import CropStore

Reader = Callable[[np.ndarray], object]


def one_file(store: CropStore, folder: Path) -> Reader:
    """`os.pread` of blobs at known offsets in one file, the fastest reads that the system allows."""
    path = folder / "blobs.bin"
    sizes, offsets = [], [0]
    with path.open("wb") as stream:
        for data in store.read(np.arange(len(store))):
            stream.write(data)
            sizes.append(len(data))
            offsets.append(offsets[-1] + len(data))
    descriptor = os.open(path, os.O_RDONLY)

    def read(rows: np.ndarray) -> object:
        return [os.pread(descriptor, sizes[row], offsets[row]) for row in rows.tolist()]

    return read


def image_folder(store: CropStore, folder: Path) -> Reader:
    """One file per picture, as in torchvision's ImageFolder."""
    paths = []
    for row, data in enumerate(store.read(np.arange(len(store)))):
        path = folder / "files" / f"{row // 1000:04d}" / f"{row:08d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        paths.append(str(path))

    def read(rows: np.ndarray) -> object:
        found = []
        for row in rows.tolist():
            with open(paths[row], "rb") as stream:  # noqa: PTH123  (the fastest way that ImageFolder could take)
                found.append(stream.read())
        return found

    return read


def hugging_face(store: CropStore, folder: Path) -> Reader | None:
    """`datasets` over the same Parquet files, pictures left encoded; None if it is not installed."""
    try:
        import datasets
    except ImportError:
        return None
    datasets.disable_progress_bars()
    files = [str(store.root.files.local(shard.key)) for shard in store.index.shards]
    data = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(folder / "hf"))
    data = data.select_columns(["image"]).cast_column("image", datasets.Image(decode=False))

    def read(rows: np.ndarray) -> object:
        return [image["bytes"] for image in data[rows.tolist()]["image"]]

    return read


def web_dataset(store: CropStore, folder: Path, shuffle: int = 1000) -> Callable[[int], object] | None:
    """WebDataset over one tar with a shuffle buffer, which reads in its own order; None if it is not installed."""
    try:
        import webdataset
    except ImportError:
        return None
    path = folder / "crops.tar"
    with tarfile.open(path, "w") as tar:
        for row, data in enumerate(store.read(np.arange(len(store)))):
            member = tarfile.TarInfo(f"{row:08d}.jpg")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    stream = iter(webdataset.WebDataset(str(path), shardshuffle=False).shuffle(shuffle).repeat())
    for _ in range(shuffle):
        next(stream)

    def take(many: int) -> object:
        return [next(stream)["jpg"] for _ in range(many)]

    return take
