"""Old traffic deleted, people in data indexed, erasures carried out: a job of main once a day, and after each merge.

It runs no code of the repository. Its Environment has what reads and writes traffic, the keys that ids are hashed with,
and a key that signs what became of erasures and nothing else.
"""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.github import steps
from gitml.ci.github.layout import job_of, name_of, small, workflow
from gitml.ci.github.steps import ON_MAIN, mapping
from gitml.ci.wanted import ERASURES_KEY
from gitml.ci.yamltext import scalar

# An Environment of the forge that main alone may use.
ENVIRONMENT = "gitml-subjects"
_DAILY = '"47 2 * * *"'


def subjects(source: CiSource) -> str:
    on = [
        "schedule:",
        f"  - cron: {_DAILY}",
        "workflow_run: # zizmor: ignore[dangerous-triggers] it runs what main has, and reads nothing of the other run",
        f"  workflows: [{scalar(name_of(source, 'main'))}]",
        "  types: [completed]",
        "workflow_dispatch:",
    ]
    group = ["group: ${{ github.workflow }}", "cancel-in-progress: false"]
    return workflow(source, "subjects", on, group, [_job(source)])


def _job(source: CiSource) -> list[str]:
    application = source.application
    run = "github.event.workflow_run"
    ours = f"(github.event_name != 'workflow_run' || {run}.head_branch == github.event.repository.default_branch)"
    identity = {"id-token": "write"} if application.ci.oidc else {}
    sign_in, token = steps.app_token(source, {"contents": "write"})
    own = {"contents": "read"} if sign_in else {"contents": "write"}
    head = [
        f"if: ${{{{ {ON_MAIN} && {ours} }}}}",
        *small(source, minutes=120),
        f"environment: {ENVIRONMENT}",
        *mapping("permissions", {**own, **identity}),
    ]
    names = [*(application.traffic.secrets if application.traffic else ()), *application.ci.secrets]
    names += [application.subjects.key] if application.subjects else []
    secrets = {name: f"${{{{ secrets.{name} }}}}" for name in dict.fromkeys([*names, ERASURES_KEY])}
    body = [
        steps.checkout(whole=True),
        *steps.install(source, ()),
        *steps.sign_in(source, role="_SUBJECTS"),
        *sign_in,
        steps.run("gitml ci subjects", env={"GITHUB_TOKEN": token, **secrets}),
    ]
    return job_of("subjects", head, body)
