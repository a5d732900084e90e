"""Looking at a finished root: pictures, counts, checks, scores. Nothing here changes it."""
