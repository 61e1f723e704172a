"""Engines map a function over Arrow batches, wherever the batches lie and whatever runs the function."""
