"""Looks at live traffic: seen where there is no key, signed where nothing is read, told where there is neither.

What is due follows from main and the looks that are signed. Schedules come late, twice or not at all: the next run
makes up for it. The first job needs no more than Git, and ends the run before anything is installed when nothing is
new.
"""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.github import steps
from gitml.ci.github.layout import job_of, name_of, small, workflow
from gitml.ci.github.retrain import retrain
from gitml.ci.github.steps import ON_MAIN, mapping
from gitml.ci.wanted import (
    LOOKS_KEY,
    looking_locks,
    looks_often,
    rules_of,
    traffic_secrets,
    wants_collection,
    webhook_secrets,
)
from gitml.ci.yamltext import scalar

# Environments of the forge that main alone may use.
TRAFFIC, LOOKS = "gitml-traffic", "gitml-looks"
_HANDED = "gitml-looks"
# Not at the full hour, when everybody's schedules come; an hour after a window ended hosts have told their last rows.
_EVERY_HOUR, _FOUR_TIMES = '"37 * * * *"', '"37 1,7,13,19 * * *"'
_DUE = "needs.due.outputs.due == 'true'"

# Git asks the forge, with the job's token and without a checkout.
SIGNED_IN = """\
there="$GITHUB_SERVER_URL/$GITHUB_REPOSITORY.git"
basic=$(printf 'x-access-token:%s' "$GITHUB_TOKEN" | base64 | tr -d '\\n')
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=http.extraHeader GIT_CONFIG_VALUE_0="Authorization: Basic $basic"
git init -q .
"""

_LOOK = (
    f"""\
said=""
{SIGNED_IN}"""
    + """\
looks=$(git ls-remote "$there" refs/heads/gitml-looks | cut -f1)
if git fetch -q --depth=1 "$there" refs/heads/gitml-looked; then said=$(git log -1 --format=%B FETCH_HEAD); fi
next=$(printf '%s\\n' "$said" | sed -n 's/^Next look: //p')
main=$(printf '%s\\n' "$said" | sed -n 's/^Main: //p')
told=$(printf '%s\\n' "$said" | sed -n 's/^Looks: //p')
seconds=$(date +%s)
if [ -n "${GITML_CLOCK:-}" ]; then
  ahead=$(cat "$GITML_CLOCK")
  case "$ahead" in *s) unit=1 ;; *m) unit=60 ;; *h) unit=3600 ;; *d) unit=86400 ;; *) unit=604800 ;; esac
  seconds=$((seconds + ${ahead%?} * unit))
fi
now=$(date -u -d "@$seconds" +%Y-%m-%dT%H:%M:%SZ 2> /dev/null || date -u -r "$seconds" +%Y-%m-%dT%H:%M:%SZ)
due=true
if [ "$main" = "$GITHUB_SHA" ] && [ "$told" = "$looks" ] && [ "$next" \\> "$now" ]; then
  due=false
  echo "nothing is due before $next"
fi
# Who asks by hand is answered.
if [ "$GITHUB_EVENT_NAME" = workflow_dispatch ]; then due=true; fi
echo "due=$due" >> "$GITHUB_OUTPUT\""""
)


def monitor(source: CiSource) -> str:
    collects = ["collect"] if source.policy is not None and wants_collection(source.policy) else []
    listens = [scalar(name_of(source, kind)) for kind in ("main", *collects)]
    on = [
        "schedule:",
        f"  - cron: {_schedule(source)}",
        "workflow_run: # zizmor: ignore[dangerous-triggers] it runs what main has, and reads nothing of the other run",
        f"  workflows: [{', '.join(listens)}]",
        "  types: [completed]",
        "workflow_dispatch:",
    ]
    group = ["group: ${{ github.workflow }}", "cancel-in-progress: false"]
    jobs = [_due(source), _evaluate(source), _sign(source), _publish(source)]
    jobs += retrain(source, needs=("due", "sign"), when=f"!cancelled() && {_DUE}")
    return workflow(source, "monitor", on, group, jobs)


def _schedule(source: CiSource) -> str:
    return _EVERY_HOUR if looks_often(source) else _FOUR_TIMES


def _due(source: CiSource) -> list[str]:
    run = "github.event.workflow_run"
    ours = f"(github.event_name != 'workflow_run' || {run}.head_branch == github.event.repository.default_branch)"
    head = [
        f"if: ${{{{ {ON_MAIN} && {ours} }}}}",
        *small(source, minutes=5),
        *mapping("permissions", {"contents": "read"}),
        *mapping("outputs", {"due": "${{ steps.look.outputs.due }}"}),
        # The folder of the application is not there: nothing is checked out.
        *(["defaults:", "  run:", "    working-directory: ."] if source.folder else []),
    ]
    look = steps.run(_LOOK, env={"GITHUB_TOKEN": "${{ github.token }}"}, more=["id: look"])
    return job_of("due", head, [look])


def _evaluate(source: CiSource) -> list[str]:
    """Reads the traffic, with rights that no job of a branch has: secrets and role of an Environment of its own."""
    application = source.application
    identity = {"id-token": "write"} if application.ci.oidc else {}
    head = [
        "needs: due",
        f"if: ${{{{ {_DUE} }}}}",
        *small(source, minutes=60),
        f"environment: {TRAFFIC}",
        *mapping("permissions", {"contents": "read", **identity}),
    ]
    body = [
        steps.checkout(whole=True),
        *_python_of_detectors(source),
        *steps.install(source, looking_locks(source), extra="serve,kpi" if application.kpis else "serve"),
        *steps.sign_in(source, role="_TRAFFIC"),
        steps.run("gitml ci monitor evaluate", env=steps.of_secrets(traffic_secrets(source))),
        steps.upload(_HANDED, "looks.json"),
    ]
    return job_of("evaluate", head, body)


def _python_of_detectors(source: CiSource) -> list[steps.Step]:
    """The real alibi-detect ends at this one. What comes after puts its own before it on PATH."""
    specs = [source.application.monitors.of(model) for model in source.application.models]
    if not any(entry.alibi for spec in specs for entry in spec.detectors):
        return []
    return [steps.use("actions/setup-python", {"python-version": '"3.11"'})]


def _sign(source: CiSource) -> list[str]:
    """What could be looked at is signed, also where something else was out of reach."""
    wanted = {"actions": "read", "contents": "write"}
    sign_in, token = steps.app_token(source, {"contents": "write"})
    head = [
        "needs: [due, evaluate]",
        f"if: ${{{{ !cancelled() && {_DUE} }}}}",
        *small(source),
        f"environment: {LOOKS}",
        *mapping("permissions", {"contents": "read"} if sign_in else wanted),
    ]
    said = {"name": _HANDED, "path": f"{steps.HANDOVER}/{_HANDED}"}
    body = [
        steps.checkout(whole=True),
        *steps.install(source, ()),
        *sign_in,
        steps.use("actions/download-artifact", said, more=["continue-on-error: true"]),
        steps.run("gitml ci monitor sign", env={"GITHUB_TOKEN": token, LOOKS_KEY: f"${{{{ secrets.{LOOKS_KEY} }}}}"}),
    ]
    return job_of("sign", head, body)


def _publish(source: CiSource) -> list[str]:
    # Whoever merges in the name of a job has to start what follows on main.
    starts = {"actions": "write"} if any(rules.merge for rules in rules_of(source)) else {}
    wanted = {**starts, "contents": "write", "pull-requests": "write", "statuses": "write"}
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
        steps.run(
            "gitml ci monitor publish",
            env={"GITHUB_TOKEN": token, **steps.of_secrets(webhook_secrets(source)), **steps.read_tokens(source)},
        ),
    ]
    return job_of("publish", head, body)
