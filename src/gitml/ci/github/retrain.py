"""The job that asks for retrainings: after looks are signed, which are causes, and once a day, for dates and data.

It executes nothing of a branch. It has the key of main's evidence, to sign what people said no to by a label and what
runs in other repositories, which it reads by their tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from gitml.ci.base import CiSource
from gitml.ci.github import steps
from gitml.ci.github.gate import ENVIRONMENT
from gitml.ci.github.layout import job_of, small
from gitml.ci.github.steps import listed, mapping
from gitml.ci.wanted import SIGNING_KEY


def retrain(source: CiSource, *, needs: Sequence[str], when: str) -> list[list[str]]:
    """The job, where gitml.yaml retrains a model."""
    if not source.application.retrain:
        return []
    wanted = {"actions": "write", "contents": "write", "issues": "write", "pull-requests": "write"}
    sign_in, token = steps.app_token(source, {**wanted, "members": "read"})
    head = [
        f"needs: {listed(needs)}",
        f"if: ${{{{ {when} }}}}",
        *small(source),
        f"environment: {ENVIRONMENT}",
        *mapping("permissions", {"contents": "read"} if sign_in else wanted),
    ]
    env = {"GITHUB_TOKEN": token, SIGNING_KEY: f"${{{{ secrets.{SIGNING_KEY} }}}}", **steps.read_tokens(source)}
    body = [steps.checkout(whole=True), *steps.install(source, ()), *sign_in, steps.run("gitml ci retrain", env=env)]
    return [job_of("retrain", head, body)]
