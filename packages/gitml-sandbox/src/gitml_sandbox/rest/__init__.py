"""GitHub's REST API over the forge: a table of operations."""
