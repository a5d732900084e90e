"""Images without labels: crops of a root, the rest of the labeled set, or another labeled set.

    rmset            the current root, or `rmset:PATH`, or a name in datasets.toml
    rest             training images of the labeled set outside the label budget, under the run's own rule
    any other name   training images of that labeled set; its labels are not read

A share (`--unlabeled-fraction`) is seeded; a smaller share is a subset of a larger one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rmset.errors import UsageError
from rmset.read.splits import SplitName
from rmset.root import Root

from ..datasets.base import Split
from ..datasets.images import ImageFiles, Images
from ..datasets.registry import UNLABELED, Entry, entries, open_entry, resolve
from ..errors import DatasetError
from ..transforms.input_spec import InputSpec
from .crops import CropDataset, Crops, open_crops

REST = "rest"
"""Name of the images outside the label budget."""
_FER2013 = {"ferplus", "fer2013"}
"""Kinds that share FER2013's images under other names."""


@dataclass(frozen=True)
class Source:
    """An opened source of unlabeled images."""

    name: str
    """Name for messages."""
    images: Images
    """Their pixels, not yet decoded."""
    crops: Crops | None
    """Person and time, if they are crops of a root."""
    measured: dict[str, Any]
    """Counts and hash, for config.toml."""
    warning: str = ""
    """One-line caution about the results."""


@dataclass(frozen=True)
class Origin:
    """The source behind a name: crops of a root, another labeled set, or the rest of the set itself."""

    name: str
    """Name in the settings."""
    labeled: Entry
    """The labeled set beside them."""
    root: Root | None = None
    """The root whose crops they are."""
    entry: Entry | None = None
    """The other labeled set that they come from."""


def resolve_origin(name: str, root: str | None, labeled: Entry) -> Origin:
    """Look a name up without opening anything.

    Args:
        name: see the module.
        root: meaning of the bare name `rmset`; None: $RMSET_ROOT, else data/rmset.
        labeled: the labeled set beside them.

    Raises:
        UnknownNameError: an unknown name.
        UsageError: the labeled set itself, which contains the images that choose the epoch.
    """
    if name == REST:
        return Origin(name, labeled)
    if name == UNLABELED and name not in entries():
        return Origin(name, labeled, root=Root.find(root))
    entry = resolve(name)
    if entry.kind == UNLABELED:
        return Origin(name, labeled, root=Root(entry.path))
    if entry.path.resolve() == labeled.path.resolve():
        raise UsageError(
            f"expected other images than the labeled set for `data.unlabeled`, found {name} itself; "
            "`data.unlabeled='rest'` takes those that are neither learned from nor held out"
        )
    return Origin(name, labeled, entry=entry)


def open_source(
    origin: Origin,
    fraction: float,
    seed: int,
    spec: InputSpec,
    rest: Split,
    *,
    split: SplitName | None = None,
    split_seed: int = 0,
) -> Source:
    """Open the unlabeled images of an origin.

    Args:
        origin: their source.
        fraction: share of them, above 0.
        seed: seed of the share.
        spec: size, and conversion to gray.
        rest: training images of the labeled set that are neither trained on nor held out.
        split: people of a root to use; None: everybody.
        split_seed: seed of the splits.

    Raises:
        UsageError: a split was asked for, and the images are not of a root.
        DatasetError: fewer than two images.
    """
    if origin.root is not None:
        return _crops(open_crops(origin.root, fraction, seed, split=split, split_seed=split_seed), spec)
    if split is not None:
        raise UsageError(
            f"expected crops of a root for `data.unlabeled_split`, found {origin.name}; leave the split out"
        )
    labeled = origin.labeled
    if origin.entry is None:
        return _files(rest, f"rest of {labeled.name}", fraction, seed, spec)
    other = open_entry(origin.entry)
    rule = rest.rule if rest.rule in other.rules() else other.rules()[0]
    source = _files(other.load("train", rule), origin.name, fraction, seed, spec, rest.order.classes)
    if {origin.entry.kind, labeled.kind} <= _FER2013:
        # names differ between the two, so the images cannot be matched
        warning = (
            f"warning: {origin.name} and {labeled.name} are both FER2013's images, so those that choose the epoch are "
            "seen unlabeled; `--unlabeled rest` leaves them out"
        )
        return replace(source, warning=warning)
    return source


def rest_of(train: Split, taken: Sequence[str]) -> Split:
    """Keep the images of a split whose names are not taken; a name on two rows is one image."""
    names = set(taken)
    return train.take([i for i, name in enumerate(train.names) if name not in names])


def _crops(crops: Crops, spec: InputSpec) -> Source:
    path = crops.store.root.place
    measured = {"root": path, "crops": len(crops), "videos": len(crops.videos), "sha256": crops.sha256()}
    return _source(path, CropDataset.for_spec(crops, spec), crops, measured)


def _files(
    split: Split, name: str, fraction: float, seed: int, spec: InputSpec, beside: Sequence[str] | None = None
) -> Source:
    rows = np.sort(np.random.default_rng([seed, 9]).permutation(len(split))[: round(fraction * len(split))])
    names = [split.names[row] for row in rows]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()
    measured: dict[str, Any] = {"set": name, "images": len(names), "rule": split.rule, "sha256": digest}
    if beside is not None:
        # its labels are not read, but it may add other expressions, which matters for comparisons
        measured["classes_only_here"] = sorted(set(split.order.classes) - set(beside))
        measured["classes_missing_here"] = sorted(set(beside) - set(split.order.classes))
    return _source(name, ImageFiles(split.source, names, spec.size, gray=spec.gray), None, measured)


def _source(name: str, images: Images, crops: Crops | None, measured: dict[str, Any]) -> Source:
    if len(images) < 2:
        raise DatasetError(
            f"expected two unlabeled images or more in {name}, found {len(images)}; give fewer `data.labels`, a larger "
            "`data.unlabeled_fraction`, or another `data.unlabeled`"
        )
    return Source(name, images, crops, measured)
