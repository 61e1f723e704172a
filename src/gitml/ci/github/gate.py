"""The workflows that decide on promotions: the gate, which signs, and the listener to reviews, which can do nothing.

The gate always is the default branch's: ``pull_request_target`` and ``workflow_run`` take the file from there, and so
does everything that it installs. Of the pull request it has the commits fetched and read as data.
https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows
"""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.github import steps
from gitml.ci.github.layout import job_of, name_of, small, workflow
from gitml.ci.github.steps import mapping
from gitml.ci.wanted import SIGNING_KEY, wants_collection
from gitml.ci.yamltext import scalar

ENVIRONMENT = "gitml"
# Not at the full hour, when everybody's schedules come.
EVERY_HOUR = '"17 * * * *"'
_READ_ONLY = "the head is read as data: never checked out, never executed"


def gate(source: CiSource) -> str:
    """Judges a promotion whenever something that it depends on may have changed."""
    run = "github.event.workflow_run"
    collects = ["collect"] if source.policy is not None and wants_collection(source.policy) else []
    policy = source.policy
    looks = ["monitor"] if policy is not None and (policy.looks_within or policy.judges_candidates) else []
    looks += ["replay"] if policy is not None and any(rules.replay for rules in policy.candidate_rules) else []
    listens = [scalar(name_of(source, kind)) for kind in ("review", "main", "reproduce", *collects, *looks)]
    on = [
        f"pull_request_target: # zizmor: ignore[dangerous-triggers] {_READ_ONLY}",
        "  types: [opened, reopened, synchronize, edited, ready_for_review]",
        f"workflow_run: # zizmor: ignore[dangerous-triggers] {_READ_ONLY}",
        f"  workflows: [{', '.join(listens)}]",
        "  types: [completed]",
        "push:",
        f"  branches: [{scalar(source.application.ci.branch)}]",
        "merge_group:",
        "schedule:",
        f"  - cron: {EVERY_HOUR}",
        "workflow_dispatch:",
        "  inputs:",
        "    pull:",
        "      description: Number of a pull request; without it every open one is judged",
        "      type: number",
    ]
    which = f"github.event.pull_request.number || {run}.head_sha || inputs.pull || github.event.merge_group.head_sha"
    group = [
        f"group: ${{{{ github.workflow }}}}-${{{{ {which} || 'all' }}}}",
        "# One that waits gives way to a newer one, which sees more.",
        "cancel-in-progress: false",
    ]
    return workflow(source, "gate", on, group, [_judge(source), _merge_group(source)])


def _judge(source: CiSource) -> list[str]:
    wanted = {"contents": "write", "pull-requests": "write", "statuses": "write"}
    sign_in, token = steps.app_token(source, {**wanted, "members": "read"})
    identity = {"id-token": "write"} if source.application.ci.oidc else {}
    head = [
        f"if: ${{{{ github.event_name != 'merge_group' && {_from_here()} }}}}",
        *small(source),
        f"environment: {ENVIRONMENT}",
        *mapping("permissions", {**({"contents": "read"} if sign_in else wanted), **identity}),
    ]
    env = {
        "GITHUB_TOKEN": token,
        SIGNING_KEY: f"${{{{ secrets.{SIGNING_KEY} }}}}",
        "GITML_PULL": "${{ inputs.pull }}",
        # What describes a version may lie on DVC's remote. It is only read.
        **steps.secrets(source),
        **steps.read_tokens(source),
    }
    body = [
        steps.checkout(whole=True),
        *steps.install(source, ()),
        *steps.sign_in(source, writes=False),
        *sign_in,
        steps.run("gitml gate", env=env),
    ]
    return job_of("gate", head, body)


def _from_here() -> str:
    """Of the workflows that are listened to, runs for a review and runs of the default branch."""
    run = "github.event.workflow_run"
    return (
        f"(github.event_name != 'workflow_run' || {run}.event == 'pull_request_review' || "
        f"{run}.head_branch == github.event.repository.default_branch)"
    )


def _merge_group(source: CiSource) -> list[str]:
    """A queue's commit runs its own file, so it gets no key: it looks for what the gate has signed."""
    head = [
        "if: ${{ github.event_name == 'merge_group' }}",
        *small(source),
        *mapping("permissions", {"contents": "read", "statuses": "write"}),
    ]
    body = [
        steps.checkout(whole=True),
        *steps.install(source, ()),
        steps.run("gitml gate", env={"GITHUB_TOKEN": "${{ github.token }}"}),
    ]
    return job_of("merge-queue", head, body)


def review(source: CiSource) -> str:
    """Runs as the pull request has it, so it may do nothing; that it ran is all that the gate wants to know."""
    on = ["pull_request_review:", "  types: [submitted, edited, dismissed]"]
    group = ["group: ${{ github.workflow }}-${{ github.event.pull_request.number }}", "cancel-in-progress: true"]
    head = [*small(source, minutes=5), "permissions: {}"]
    return workflow(source, "review", on, group, [job_of("listen", head, [steps.run("echo a review came in")])])
