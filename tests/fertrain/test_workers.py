"""Images read from files: workers and interruptions change nothing."""

import itertools
import zipfile

import numpy as np
import pytest
import torch
from test_loop import Broken, config, weights

from fertrain.datasets.images import ImageFiles, batches
from fertrain.datasets.sources import ZipBytes
from fertrain.methods import METHODS
from fertrain.run_folder import RunFolder
from fertrain.training.experiment import run


def learned(folder):
    return [row["loss"] for row in RunFolder(folder).history()], weights(folder)


@pytest.mark.slow
def test_workers_and_memory_change_nothing(faces, tmp_path):
    folders = [
        run(config(faces, tmp_path / f"{memory}-{workers}", memory_mb=memory, workers=workers)).folder
        for memory, workers in ((1024, 0), (0, 0), (0, 1), (0, 2))
    ]
    (losses, first), *others = map(learned, folders)
    for other, parameters in others:
        assert other == losses
        assert all(torch.equal(first[name], parameters[name]) for name in first)


@pytest.mark.slow
def test_a_run_with_workers_comes_to_the_same_however_it_was_broken_off(faces, tmp_path, monkeypatch):
    whole = run(config(faces, tmp_path / "whole", memory_mb=0, workers=1)).folder
    monkeypatch.setattr(Broken, "left", 9)
    monkeypatch.setitem(METHODS, "supervised", Broken)
    broken = config(faces, tmp_path / "broken", memory_mb=0, workers=1)
    with pytest.raises(KeyboardInterrupt):
        run(broken)
    assert learned(run(broken).folder)[0] == learned(whole)[0]


@pytest.fixture
def zipped(faces, tmp_path):
    files = sorted((faces / "train").rglob("*.png"))
    with zipfile.ZipFile(tmp_path / "faces.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number, path in enumerate(files):
            archive.write(path, f"{number}.png")
    return ImageFiles(ZipBytes(tmp_path / "faces.zip"), [f"{n}.png" for n in range(len(files))], 32, gray=False)


def test_forked_workers_read_one_zip_at_once(zipped):
    rows = np.random.default_rng(0).integers(0, len(zipped), (40, 16)).tolist()
    expected = [zipped.read(chosen) for chosen in rows]  # from here on the archive is open, and forks inherit it
    streams = [batches(zipped, rows, workers=2) for _ in range(2)]
    for wanted, *found in zip(expected, *streams, strict=True):
        assert all(torch.equal(wanted, batch) for batch in found)


@pytest.mark.parametrize("workers", [0, 1])
def test_rows_are_read_as_they_are_needed(zipped, workers):
    endless = ([n % len(zipped), 0] for n in itertools.count())
    found = batches(zipped, endless, workers)
    assert [tuple(next(found).shape) for _ in range(3)] == [(2, 3, 32, 32)] * 3
