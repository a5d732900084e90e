"""Runs that learned from faces which were removed since, by the exports that the runs recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rmset.errors import UsageError
from rmset.root import Root
from rmset.tombstones import Tombstone

from ..errors import FertrainError
from ..run_folder import RunFolder


def affected(root: Root, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """List the runs that learned from removed videos, people or crops.

    A run records the hash of each video's shards. If it is the hash before a removal, the run learned from what was
    removed. If it is another one, but not that of the present shards, it may have: the video was exported with other
    settings, or before an earlier removal.

    Args:
        root: data set with the removals.
        folders: run folders, or folders that contain some.

    Returns:
        A row per run and removal: run, what, key, reason, and learned (`yes`, `perhaps`, or `unknown` for a run that
        did not record its exports).

    Raises:
        UsageError: no run is found.
    """
    runs = sorted({path.parent for folder in folders for path in folder.rglob("config.toml")})
    if not runs:
        raise UsageError(f"expected runs in {', '.join(map(str, folders))}, found none; name their folders")
    return [row for run in runs for row in _of_run(root, run)]


def _of_run(root: Root, run: Path) -> list[dict[str, Any]]:
    try:
        measured = RunFolder(run).config_values().get("measured", {})
    except FertrainError:
        # another program's config.toml
        return []
    exports, source = measured.get("unlabelled_exports", {}), measured.get("unlabelled_stream", {}).get("root")
    rows = []
    for number, stone in enumerate(root.removed()):
        if stone.video_id in exports:
            learned = _learned(root, number, stone, exports[stone.video_id])
        else:
            learned = "unknown" if source is not None and not exports and _same(source, root.place) else None
        if learned is not None:
            rows.append(
                {"run": str(run), "what": stone.what, "key": stone.key, "reason": stone.reason, "learned": learned}
            )
    return rows


def _learned(root: Root, number: int, stone: Tombstone, export: str) -> str | None:
    """Whether shards of this hash held what a removal took away; None if they did not."""
    if export == stone.export:
        return "yes"
    # Shards made after this removal: those before a later one, and the present ones.
    later = {t.export for n, t in root.removed().of(stone.video_id) if n > number}
    return None if export in later | {root.export_hash(stone.video_id)} else "perhaps"


def _same(a: str, b: str) -> bool:
    return a == b or Path(a).resolve() == Path(b).resolve()
