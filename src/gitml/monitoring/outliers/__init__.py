"""Rows that are unlike any of the training, and how many of them there are."""
