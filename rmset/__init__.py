"""Unlabeled faces out of reaction mashup videos, for facial expression recognition.

    manifest ── fetch / add ──> videos/<id>.mp4, <id>.json
    videos ──── layout ───────> layouts/<id>.json             where the film plays, who reacts; reviewed by a person
    both ────── track ────────> tracks/<id>.parquet           one row per face and frame
    all three ─ export ───────> crops/<id>/part-NNN.parquet   one row per face, with pixels
    crops ───── pairs ────────> an anchor's positives (others, same moment) and negatives (same person, far away)

`rmset.open(root)` opens a finished root for SQL.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rmset.errors import RmsetError

if TYPE_CHECKING:
    from rmset.read.catalog import Catalog

__all__ = ["RmsetError", "open"]
__version__ = "0.1.0"


def open(root: Path | str | None = None) -> Catalog:  # noqa: A001  (rmset.open reads as it should)
    """Open a root for reading in SQL: the path given, else `$RMSET_ROOT`, else `data/rmset`.

    >>> rmset.open("data/rmset").sql("select count(*) from faces").arrow()  # doctest: +SKIP
    """
    # Imported here so that `import rmset` stays instant.
    from rmset.read.catalog import Catalog
    from rmset.root import Root

    return Catalog(Root.find(root))
