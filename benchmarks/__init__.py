"""Benchmarks of gitml: `make bench`, or `python -m benchmarks.NAME` for one. Ratios count, not seconds."""
