"""Inspection of a finished root: pictures, counts, checks, scores. Nothing here changes it."""
