"""Labelled traffic becomes a data set: read where no token writes, proposed where there is no traffic.

Both are jobs of main. The first one has the rights of the environment `gitml-traffic`, which no job of a branch has;
what it hands over is the name of a data set in DVC's remote, and where that came from.
"""

from __future__ import annotations

from gitml.ci.base import CiSource
from gitml.ci.exporting import export_commands
from gitml.ci.github import steps
from gitml.ci.github.layout import job_of, small, workflow
from gitml.ci.github.monitor import TRAFFIC
from gitml.ci.github.steps import ON_MAIN, mapping

EXPORT_TOKEN = "GITML_EXPORT_TOKEN"  # noqa: S105 - the name of a secret
HANDED = "gitml-export"
# Not at the full hour, when everybody's schedules come; hosts have told of the day that is over by then.
_DAILY = '"41 5 * * *"'


def export(source: CiSource) -> str:
    on = ["schedule:", f"  - cron: {_DAILY}", "workflow_dispatch:"]
    group = ["group: ${{ github.workflow }}", "cancel-in-progress: false"]
    return workflow(source, "export", on, group, [_export(source), _propose(source)])


def _export(source: CiSource) -> list[str]:
    application, told = source.application, source.application.traffic
    identity = {"id-token": "write"} if application.ci.oidc else {}
    head = [
        f"if: ${{{{ {ON_MAIN} }}}}",
        *small(source, minutes=120),
        f"environment: {TRAFFIC}",
        *mapping("permissions", {"contents": "read", **identity}),
    ]
    secrets = {name: f"${{{{ secrets.{name} }}}}" for name in (told.secrets if told else ())}
    exports = told.export if told else {}
    body = [
        steps.checkout(whole=True),
        *steps.install(source, (), extra="serve"),
        *steps.sign_in(source, role="_TRAFFIC"),
        *(
            steps.run(export_commands(source, model, spec, "$RUNNER_TEMP/gitml"), env=secrets)
            for model, spec in exports.items()
        ),
        steps.upload(HANDED, "export/**"),
    ]
    return job_of("export", head, body)


def _propose(source: CiSource) -> list[str]:
    """What a job's own token opens starts no training, so the token is that of the app, or of the export."""
    wanted = {"contents": "write", "pull-requests": "write"}
    sign_in, token = steps.app_token(source, wanted)
    head = [
        "needs: export",
        f"if: ${{{{ {ON_MAIN} }}}}",
        *small(source),
        # For the token; main alone may use it, and it holds no key of the traffic.
        "environment: gitml-export",
        *mapping("permissions", {"contents": "read"} if sign_in else wanted),
    ]
    own = token if sign_in else f"${{{{ secrets.{EXPORT_TOKEN} || github.token }}}}"
    said = {"name": HANDED, "path": f"{steps.HANDOVER}/{HANDED}"}
    body = [
        steps.checkout(whole=True),
        *steps.install(source, ()),
        *sign_in,
        steps.use("actions/download-artifact", said, more=["continue-on-error: true"]),
        steps.run("gitml ci export", env={"GITHUB_TOKEN": own}),
    ]
    return job_of("propose", head, body)
