"""Pull requests from forks: trained without secrets, reported on without their code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from gitml.ci.base import CiJob, CiSource
from gitml.ci.github import steps
from gitml.ci.github.layout import ALWAYS, REPORT, is_hosted, job_of, name_of, path_of, small, workflow
from gitml.ci.github.steps import listed, mapping
from gitml.ci.wanted import LONGEST, minutes_of
from gitml.ci.yamltext import scalar


def fork(source: CiSource) -> str:
    """One job, because without credentials nothing can be handed over through the remote."""
    jobs = _for_forks(source.jobs)
    head = [
        "if: ${{ github.event.pull_request.head.repo.full_name != github.repository }}",
        f"runs-on: {listed(jobs[0].labels if jobs else ('ubuntu-latest',))}",
        f"timeout-minutes: {minutes_of(min(LONGEST, sum((j.timeout for j in jobs), timedelta(minutes=15))))}",
        *mapping("permissions", {"contents": "read"}),
    ]
    packages = tuple(dict.fromkeys(p for job in jobs for p in job.packages))
    body = [
        steps.checkout(whole=True, ref="${{ github.event.pull_request.head.sha }}"),
        *steps.install(source, packages, path_of(source, "fork"), extra="report"),
        *(steps.run(f"gitml ci run --fork {job.name}") for job in jobs),
        steps.run("gitml ci commit --fork", more=[ALWAYS]),
        steps.upload(REPORT, "report*"),
    ]
    group = ["group: ${{ github.workflow }}-${{ github.event.pull_request.number }}", "cancel-in-progress: true"]
    return workflow(source, "fork", ["pull_request:"], group, [job_of("train", head, body)])


def _for_forks(jobs: Sequence[CiJob]) -> list[CiJob]:
    """The jobs that one and the same hosted runner can execute, one after the other."""
    chosen: list[CiJob] = []
    for job in jobs:
        same = is_hosted(job.labels) and job.labels == (chosen or [job])[0].labels
        if same and set(job.needs) <= {c.name for c in chosen}:
            chosen.append(job)
    return chosen


def fork_report(source: CiSource) -> str:
    """Runs from the default branch with a token that writes, so it never sees the fork's code, only its report."""
    run = "github.event.workflow_run"
    wanted = {"actions": "read", "contents": "read", "pull-requests": "write", "statuses": "write"}
    sign_in, token = steps.app_token(source, {k: wanted[k] for k in ("pull-requests", "statuses")})
    head = [
        f"if: ${{{{ {run}.event == 'pull_request' && {run}.head_repository.full_name != github.repository }}}}",
        *small(source),
        *mapping("permissions", {"actions": "read", "contents": "read"} if sign_in else wanted),
    ]
    report = {
        "name": REPORT,
        "path": steps.HANDOVER,
        "run-id": "${{ github.event.workflow_run.id }}",
        "github-token": "${{ github.token }}",
    }
    body = [
        steps.checkout(whole=False),
        *steps.install(source, (), path_of(source, "fork-report"), extra="report"),
        *sign_in,
        steps.use("actions/download-artifact", report, more=["continue-on-error: true"]),
        steps.run("gitml ci publish --from-fork", env={"GITHUB_TOKEN": token}),
    ]
    on = [
        "workflow_run: # zizmor: ignore[dangerous-triggers] it never checks out or runs what the fork wrote",
        f"  workflows: [{scalar(name_of(source, 'fork'))}]",
        "  types: [completed]",
    ]
    group = ["group: ${{ github.workflow }}-${{ github.event.workflow_run.head_sha }}", "cancel-in-progress: false"]
    return workflow(source, "fork report", on, group, [job_of("publish", head, body)])
