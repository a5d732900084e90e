"""Longest waits for the browser in a test."""

PATIENCE_MS = 300_000
"""Far beyond what a busy machine needs, so that only a state that never comes fails."""
