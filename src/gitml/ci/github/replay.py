"""Versions that promotions propose answer logged requests again: on the hardware of their training, without a key.

What is due follows from main, branches of promotions and what is signed. Where none proposes a version, the run ends
before anything is installed. The jobs are those of looks, in a workflow of their own: a runner that is away holds up no
look at what serves.
"""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.github import steps
from gitml.ci.github.layout import job_of, name_of, small, workflow
from gitml.ci.github.main import runner_of
from gitml.ci.github.monitor import LOOKS, SIGNED_IN, TRAFFIC
from gitml.ci.github.steps import ON_MAIN, mapping
from gitml.ci.wanted import LOOKS_KEY, ModelGroup, groups_of
from gitml.ci.yamltext import scalar

# Not at the full hour, when everybody's schedules come.
_EVERY_HOUR = '"47 * * * *"'
_LONGEST = 360
# Branches of promotions, whoever asked for them.
PROMOTIONS = "refs/heads/gitml/promote/*"
_SOME = "steps.look.outputs.some == 'true'"
_DUE = "needs.due.outputs.models != '[]' && needs.due.outputs.models != ''"

_LOOK = (
    SIGNED_IN
    + f"""\
some=false
if git ls-remote --exit-code "$there" '{PROMOTIONS}'; then some=true; fi
echo "some=$some" >> "$GITHUB_OUTPUT\""""
)
_TELL = """\
models=$(gitml ci replay due --json | tr -d '\\n')
echo "models=$models" >> "$GITHUB_OUTPUT\""""


def replay(source: CiSource) -> str:
    on = [
        "schedule:",
        f"  - cron: {_EVERY_HOUR}",
        "workflow_run: # zizmor: ignore[dangerous-triggers] it runs what main has, and reads nothing of the other run",
        f"  workflows: [{scalar(name_of(source, 'main'))}]",
        "  types: [completed]",
        "workflow_dispatch:",
    ]
    group = ["group: ${{ github.workflow }}", "cancel-in-progress: false"]
    replays = [_replay(source, one) for one in groups_of(source)]
    names = [job[0].removesuffix(":") for job in replays]
    return workflow(source, "replay", on, group, [_due(source), *replays, _sign(source, names), _publish(source)])


def _due(source: CiSource) -> list[str]:
    run = "github.event.workflow_run"
    ours = f"(github.event_name != 'workflow_run' || {run}.head_branch == github.event.repository.default_branch)"
    head = [
        f"if: ${{{{ {ON_MAIN} && {ours} }}}}",
        *small(source),
        *mapping("permissions", {"contents": "read"}),
        *mapping("outputs", {"models": "${{ steps.tell.outputs.models }}"}),
    ]
    # The folder of the application is not there yet.
    here = ["working-directory: ${{ runner.temp }}"]
    look = steps.run(_LOOK, env={"GITHUB_TOKEN": "${{ github.token }}"}, more=["id: look", *here])
    body = [
        steps.checkout(whole=True),
        *steps.install(source, (), extra="serve"),
        steps.run(_TELL, more=["id: tell"]),
    ]
    only = [f"if: ${{{{ {_SOME} }}}}"]
    return job_of("due", head, [look, *([*step, *only] for step in body)])


def _replay(source: CiSource, group: ModelGroup) -> list[str]:
    """Reads the traffic and the model's file; what it loads has neither the rights of the job nor a network."""
    identity = {"id-token": "write"} if source.application.ci.oidc else {}
    mine = " || ".join(f"contains(fromJSON(needs.due.outputs.models), '{model}')" for model in group.models)
    head = [
        "needs: due",
        f"if: ${{{{ {_DUE} && ({mine}) }}}}",
        runner_of(source, group),
        f"timeout-minutes: {_LONGEST}",
        f"environment: {TRAFFIC}",
        *mapping("permissions", {"contents": "read", **identity}),
    ]
    names = source.application.traffic.secrets if source.application.traffic else ()
    body = [
        steps.checkout(whole=True),
        *steps.install(source, group.packages, extra="serve"),
        *steps.sign_in(source, role="_TRAFFIC"),
        steps.run(
            f"gitml ci replay evaluate {' '.join(group.models)}",
            env=steps.of_secrets(names),
        ),
        steps.upload(f"gitml-replay-{group.name}", "replay.json"),
    ]
    return job_of(f"replay-{group.name}", head, body)


def _sign(source: CiSource, names: list[str]) -> list[str]:
    wanted = {"actions": "read", "contents": "write"}
    sign_in, token = steps.app_token(source, {"contents": "write"})
    head = [
        f"needs: [due, {', '.join(names)}]",
        f"if: ${{{{ !cancelled() && {_DUE} }}}}",
        *small(source),
        f"environment: {LOOKS}",
        *mapping("permissions", {"contents": "read"} if sign_in else wanted),
    ]
    # Each artifact into a folder of its own name: a job cannot speak for another.
    said = {"pattern": "gitml-replay-*", "path": steps.HANDOVER}
    body = [
        steps.checkout(whole=True),
        *steps.install(source, ()),
        *sign_in,
        steps.use("actions/download-artifact", said, more=["continue-on-error: true"]),
        steps.run("gitml ci replay sign", env={"GITHUB_TOKEN": token, LOOKS_KEY: f"${{{{ secrets.{LOOKS_KEY} }}}}"}),
    ]
    return job_of("sign", head, body)


def _publish(source: CiSource) -> list[str]:
    wanted = {"contents": "write", "pull-requests": "write", "statuses": "write"}
    sign_in, token = steps.app_token(source, wanted)
    head = [
        "needs: [due, sign]",
        f"if: ${{{{ !cancelled() && {_DUE} }}}}",
        *small(source),
        *mapping("permissions", {"contents": "read"} if sign_in else wanted),
    ]
    body = [
        steps.checkout(whole=True),
        *steps.install(source, (), extra="report"),
        *steps.cml(source),
        *sign_in,
        steps.run("gitml ci replay publish", env={"GITHUB_TOKEN": token}),
    ]
    return job_of("publish", head, body)
