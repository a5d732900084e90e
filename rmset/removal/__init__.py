"""Removal of videos, people and crops from a data set, and the completion of removals that were interrupted.

    request ── rows that go ──> removed/<video_id>.parquet ── tombstone, pending ──> removed.json
    pending ── layout, tracks, audit, shards rewritten; ledger restated ──> tombstone, done

The tombstone is the point of no return: from then on the video is hidden, and the next process that holds its lock
finishes the work. Files are replaced one by one; repeating this changes nothing.
"""

from __future__ import annotations

from rmset.removal.request import finish, remove_crops, remove_faces, remove_person, remove_video

__all__ = ["finish", "remove_crops", "remove_faces", "remove_person", "remove_video"]
