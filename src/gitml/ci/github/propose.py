"""The job that opens the promotions that are due, for each workflow after which some may be."""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.github import steps
from gitml.ci.github.layout import job_of, small
from gitml.ci.github.steps import mapping


def propose(source: CiSource, *, after: str, when: str) -> list[str]:
    """``when`` is GitHub's expression. It may write, so it takes nothing from a cache that other jobs fill."""
    # What the job's own token opens starts no workflow; the gate listens to the end of this one.
    wanted = {"contents": "write", "pull-requests": "write"}
    sign_in, token = steps.app_token(source, wanted)
    head = [
        f"needs: {after}",
        f"if: ${{{{ {when} }}}}",
        *small(source),
        *mapping("permissions", {"contents": "read"} if sign_in else wanted),
    ]
    body = [
        steps.checkout(whole=True),
        *steps.install(source, ()),
        *sign_in,
        steps.run("gitml ci propose", env={"GITHUB_TOKEN": token}),
    ]
    return job_of("propose", head, body)
