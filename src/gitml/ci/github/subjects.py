"""Old traffic deleted, people in data indexed, erasures carried out: two jobs of main once a day, and after each merge.

Neither runs code of the repository. The Environment of the first has what reads and writes traffic and the keys that
ids are hashed with; that of the second has a key that signs what became of erasures, and nothing that finds a person.
"""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.github import steps
from gitml.ci.github.layout import job_of, name_of, small, workflow
from gitml.ci.github.steps import ON_MAIN, mapping
from gitml.ci.wanted import ERASURES_KEY
from gitml.ci.yamltext import scalar

# Environments of the forge that main alone may use.
ENVIRONMENT, SIGNING = "gitml-subjects", "gitml-erasures"
_HANDED = "gitml-erasures"
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
    return workflow(source, "subjects", on, group, [_carry_out(source), _sign(source)])


def _if() -> str:
    run = "github.event.workflow_run"
    ours = f"(github.event_name != 'workflow_run' || {run}.head_branch == github.event.repository.default_branch)"
    return f"{ON_MAIN} && {ours}"


def _carry_out(source: CiSource) -> list[str]:
    application = source.application
    identity = {"id-token": "write"} if application.ci.oidc else {}
    head = [
        f"if: ${{{{ {_if()} }}}}",
        *small(source, minutes=120),
        f"environment: {ENVIRONMENT}",
        *mapping("permissions", {"contents": "read", **identity}),
    ]
    names = [*(application.traffic.secrets if application.traffic else ()), *application.ci.secrets]
    names += [application.subjects.key] if application.subjects else []
    secrets = {name: f"${{{{ secrets.{name} }}}}" for name in dict.fromkeys(names)}
    token = "${{ github.token }}"  # noqa: S105 - an expression of GitHub's
    body = [
        steps.checkout(whole=True),
        *steps.install(source, ()),
        *steps.sign_in(source, role="_SUBJECTS"),
        steps.run("gitml ci subjects carry-out", env={"GITHUB_TOKEN": token, **secrets}),
        steps.upload(_HANDED, "erasures.json"),
    ]
    return job_of("carry-out", head, body)


def _sign(source: CiSource) -> list[str]:
    """Also where the first job says that not all is gone: that is what is signed then."""
    application = source.application
    identity = {"id-token": "write"} if application.ci.oidc else {}
    sign_in, token = steps.app_token(source, {"contents": "write"})
    own = {"contents": "read"} if sign_in else {"contents": "write"}
    head = [
        "needs: carry-out",
        f"if: ${{{{ !cancelled() && {_if()} }}}}",
        *small(source),
        f"environment: {SIGNING}",
        *mapping("permissions", {**own, **identity}),
    ]
    names = dict.fromkeys([*application.ci.secrets, ERASURES_KEY])
    said = {"name": _HANDED, "path": f"{steps.HANDOVER}/{_HANDED}"}
    body = [
        steps.checkout(whole=True),
        *steps.install(source, ()),
        *steps.sign_in(source),
        *sign_in,
        steps.use("actions/download-artifact", said, more=["continue-on-error: true"]),
        steps.run(
            "gitml ci subjects sign",
            env={"GITHUB_TOKEN": token, **{name: f"${{{{ secrets.{name} }}}}" for name in names}},
        ),
    ]
    return job_of("sign", head, body)
