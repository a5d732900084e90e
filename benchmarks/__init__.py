"""Benchmarks of quality and speed: `python -m benchmarks.NAME` prints a table and can write it to a file."""
