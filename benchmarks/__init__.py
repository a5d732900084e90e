"""What the project promises about speed, measured: `python -m benchmarks.NAME` prints a table and can write it down."""
