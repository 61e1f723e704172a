"""Reproducible runs of a model's stages over DVC."""
