"""Publication without pixels: releases that name ids, times, boxes and settings, and software that rebuilds the crops.

root ──── publish ───────> release     tables, hashes of frames, datasheet; no picture, no name
release ─ rebuild ───────> root        videos fetched again, aligned by the hashes, cut into the same crops
release ─ pull_removals ─> root        what its publisher has removed since is removed here too
"""

from __future__ import annotations

from rmset.release.pull import Pulled, pull_removals
from rmset.release.rebuilding import rebuild
from rmset.release.rebuilt import Rebuilt, Summary, summary
from rmset.release.scan import Leak, scan
from rmset.release.writing import Options, Published, publish

__all__ = [
    "Leak", "Options", "Published", "Pulled", "Rebuilt", "Summary", "publish", "pull_removals", "rebuild", "scan",
    "summary",
]  # fmt: skip
