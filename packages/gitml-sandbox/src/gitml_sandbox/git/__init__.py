"""Bare repositories on disk: read and written, blind to anybody's configuration."""
