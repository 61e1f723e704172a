"""A job of a CI system that is not the forge's own: Jenkins, Airflow, or one of your own.

Whatever runs ``gitml`` says in variables of gitml what it is about; ``gitml ci render`` writes files that do. Which
repository that is, on which forge, is told by the URL of the Git remote, and by the forge's own variables.
"""

from __future__ import annotations

from collections.abc import Mapping

from gitml.forges import payload
from gitml.forges.job import ForgeJob, JobCause
from gitml.forges.settings import Settings

# Names the system; where it is set, no variable of a forge's own CI is read.
SYSTEM = "GITML_CI_SYSTEM"
REMOTE, TOKEN = "GITML_REMOTE", "GITML_TOKEN"
_CAUSES = {"push": JobCause.PUSH}


def job(env: Mapping[str, str], settings: Settings | None) -> ForgeJob:
    """The job as ``GITML_COMMIT``, ``GITML_BRANCH``, ``GITML_DEFAULT_BRANCH``, ``GITML_RUN``, ``GITML_RUN_URL`` and
    ``GITML_CAUSE`` say. Who started it is not said: no forge vouches for that."""
    branch = env.get("GITML_BRANCH", "")
    return ForgeJob(
        is_ci=True,
        cause=_CAUSES.get(env.get("GITML_CAUSE", ""), JobCause.OTHER),
        repository=settings.repository if settings else "",
        web=settings.web if settings else "",
        default_branch=env.get("GITML_DEFAULT_BRANCH", ""),
        ref=f"refs/heads/{branch}" if branch else "",
        commit=payload.commit(env.get("GITML_COMMIT")),
        run=payload.number(env.get("GITML_RUN")),
        attempt=1,
        run_url=env.get("GITML_RUN_URL", ""),
        token=settings.token if settings else "",
    )
