"""The repository on disk: Git, DVC, and the checks that keep hostile content inside its folder."""
