"""A site for each role after every merge and look: built where there is no secret, published where there is one.

The artifact of a run can be read by whoever can read the repository. For a place that only one role can read,
gitml.yaml has a command.
"""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.github import steps
from gitml.ci.github.layout import job_of, name_of, small, workflow
from gitml.ci.github.steps import ON_MAIN, mapping
from gitml.ci.wanted import site_roles, wants_collection, wants_looks
from gitml.ci.yamltext import scalar
from gitml.errors import UsageError

# Freezes, holds and reviews begin and end by the clock.
_DAILY = '"23 4 * * *"'
# What it asks the forge: open promotions, deployments that agents reported, reviews.
_READS = {"contents": "read", "deployments": "read", "pull-requests": "read", "statuses": "read"}


def site(source: CiSource) -> str:
    listens = [scalar(name_of(source, kind)) for kind in _before(source)]
    on = [
        "schedule:",
        f"  - cron: {_DAILY}",
        "workflow_run: # zizmor: ignore[dangerous-triggers] it runs what main has, and reads nothing of the other run",
        f"  workflows: [{', '.join(listens)}]",
        "  types: [completed]",
        "workflow_dispatch:",
    ]
    group = ["group: ${{ github.workflow }}", "cancel-in-progress: false"]
    jobs = [job for role in site_roles(source) for job in _jobs(source, role)]
    return workflow(source, "site", on, group, jobs)


def _before(source: CiSource) -> list[str]:
    """The workflows after which there is something new to show."""
    policy = source.policy
    collects = ["collect"] if policy and wants_collection(policy) else []
    return ["main", *collects, *(["monitor"] if policy and wants_looks(policy) else [])]


def _jobs(source: CiSource, role: str) -> list[list[str]]:
    command = source.application.sites.publish.get(role)
    return [_build(source, role), *([_publish(source, role, command)] if command else [])]


def _build(source: CiSource, role: str) -> list[str]:
    run = "github.event.workflow_run"
    ours = f"(github.event_name != 'workflow_run' || {run}.head_branch == github.event.repository.default_branch)"
    head = [f"if: ${{{{ {ON_MAIN} && {ours} }}}}", *small(source), *mapping("permissions", _READS)]
    command = f'gitml site build --role {role} --out "$RUNNER_TEMP/gitml/site-{role}"'
    body = [
        steps.checkout(whole=True),
        *steps.install(source, (), extra="site"),
        steps.run(command, env={"GITHUB_TOKEN": "${{ github.token }}"}),
        steps.upload(artifact_of(role), f"site-{role}"),
    ]
    return job_of(f"build-{role}", head, body)


def artifact_of(role: str) -> str:
    """The name of a role's site among the artifacts of a run."""
    return f"gitml-site-{role}"


def _publish(source: CiSource, role: str, command: str) -> list[str]:
    """Holds what writes to the role's place, and executes nothing of the repository but this line of gitml.yaml."""
    if "${{" in command:
        raise UsageError(
            f"sites.publish.{role} cannot stand in a workflow: GitHub would fill it in",
            "name secrets under sites.secrets",
        )
    identity = {"id-token": "write"} if source.application.ci.oidc else {}
    head = [
        f"needs: build-{role}",
        *small(source),
        f"environment: gitml-site-{role}",
        *mapping("permissions", {"contents": "read", **identity}),
        # Nothing is checked out, so there is no folder of the application.
        *(["defaults:", "  run:", "    working-directory: ."] if source.folder else []),
    ]
    place = f"{steps.HANDOVER}/site-{role}"
    secrets = {name: f"${{{{ secrets.{name} }}}}" for name in source.application.sites.secrets}
    body = [
        *steps.sign_in(source, role=f"_SITE_{role.upper().replace('-', '_').replace('.', '_')}"),
        steps.use("actions/download-artifact", {"name": artifact_of(role), "path": place}),
        steps.run(command, env={"SITE": place, **secrets}),
    ]
    return job_of(f"publish-{role}", head, body)
