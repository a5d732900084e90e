"""Scoring for `rmset evaluate`: tracks of a root or a file, against a .truth.json or MOTChallenge truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rmset.inspect.evaluate import Evaluated
    from rmset.root import Root


def of_files(truth: Path, tracks: Path) -> Evaluated:
    """Evaluate a tracker's MOTChallenge file against a truth."""
    from rmset.inspect import mot
    from rmset.inspect.evaluate import Evaluated, may_be_found, must_be_found
    from rmset.inspect.scores import count
    from rmset.truth import Truth

    if mot.is_mot(truth):
        must, may = mot.read_truth(truth)
    else:
        known = Truth.read(truth)
        must, may = must_be_found(known), may_be_found(known)
    return Evaluated(tracks.stem, count(must, mot.read_tracks(tracks), may), None)


def of_root(root: Root, video_id: str, truth: Path, write_mot: Path | None) -> Evaluated:
    """Evaluate a video of a root against a truth; write both as MOTChallenge files too, if a folder is named."""
    from rmset.inspect import evaluate, mot
    from rmset.inspect.scores import count
    from rmset.truth import Truth

    found = evaluate.faces_found(root, video_id)
    if mot.is_mot(truth):
        must, may = mot.read_truth(truth)
        result = evaluate.Evaluated(video_id, count(must, found, may), None)
    else:
        known = Truth.read(truth)
        must, may = evaluate.must_be_found(known), evaluate.may_be_found(known)
        result = evaluate.video(root, video_id, known)
    if write_mot is not None:
        record = root.record(video_id)
        mot.write_truth(write_mot, video_id, must, may, record.frame_count, (record.width, record.height))
        mot.write_tracks(write_mot, video_id, found)
    return result
