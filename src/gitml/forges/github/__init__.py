"""GitHub, GitHub Enterprise and the sandbox: the members of ``gitml.forges.table.Adapter``."""

from gitml.forges.github.job import job, run_page
from gitml.forges.github.repository import connect, pull_ref, recognises, settings

__all__ = ["connect", "job", "pull_ref", "recognises", "run_page", "settings"]
