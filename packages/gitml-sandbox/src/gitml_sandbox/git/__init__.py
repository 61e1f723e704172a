"""Repositories on disk: read, written, and served over HTTP; the one way in which a ref moves."""
