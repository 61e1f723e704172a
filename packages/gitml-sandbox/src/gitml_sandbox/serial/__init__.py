"""GitHub's JSON of what the forge holds."""
