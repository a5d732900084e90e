"""Duplicates in a finished root: copies of videos, and crops that show the same.

fingerprints of videos ── twins ──> duplicates.parquet
perceptual hashes of crops ── a kept one per moment of rest, pairs across tracks ──> duplicates/<video_id>.parquet
"""

from __future__ import annotations

from rmset.duplicates.crops import CropCounts, find_crops
from rmset.duplicates.videos import VideoCopy, find_videos

__all__ = ["CropCounts", "VideoCopy", "find_crops", "find_videos"]
