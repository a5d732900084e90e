"""People across videos: face embeddings per track, persons linked by them, and corrections by hand.

tracks ── embed ──> embeddings/<video_id>.parquet ── cluster ──> persons.parquet ── edit (merge, split)

Embeddings are biometric data: they are stored only when people are linked, and are removed with their person.
"""

from __future__ import annotations

from rmset.people.edit import merge, rows_of, split
from rmset.people.linking import Linked, Suggestion, link, suggested

__all__ = ["Linked", "Suggestion", "link", "merge", "rows_of", "split", "suggested"]
