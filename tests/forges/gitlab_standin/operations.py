"""Every operation there is; the modules put them into the table."""

from forges.gitlab_standin import commits, guards, issues, project, requests, running
from forges.gitlab_standin.table import OPERATIONS

__all__ = ["OPERATIONS", "commits", "guards", "issues", "project", "requests", "running"]
