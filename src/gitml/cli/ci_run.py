"""``gitml ci run``: the first half of training in CI."""

from __future__ import annotations

import os
import re

import click

from gitml.cijobs.context import push_of
from gitml.cijobs.run import cirun
from gitml.cli.common import as_json, examples, root_of, watch
from gitml.cli.train import tell
from gitml.output import note, paint, printable, seconds, show, show_json
from gitml.reports.redact import redact
from gitml.spec import load_application
from gitml.training.train import TrainCall

_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|PRIVATE|ACCESS_KEY|API_?KEY", re.IGNORECASE)


@click.command(
    epilog=examples(
        "gitml ci run train-cpu           in the job of that name of the rendered workflow",
        "gitml ci run --fork train-cpu    for a pull request of a fork: nothing is pushed",
    )
)
@click.argument("job")
@click.option("--fork", is_flag=True, help="The pull request comes from a fork: push nothing to the remote.")
@as_json
@click.pass_context
def run(ctx: click.Context, job: str, *, fork: bool, as_json: bool) -> int:
    """Run the stages of one CI job, and hand them over to the next.

    Stages that a recorded run covers do not run, and their data is fetched only when another stage reads it. Outputs
    go to the DVC remote; $GITML_CI/fragment-JOB.json says what happened, also when a stage failed (exit code 1).
    """
    root = root_of(ctx)
    hidden = _secrets(load_application(root).ci.secrets)
    call = TrainCall(watch, tell, note)
    fragment = cirun(root, job, push_of(fork=fork), call, lambda text: redact(text, hidden))
    if as_json:
        show_json(fragment.model_dump(mode="json", exclude={"files"}, exclude_none=True))
        return 0 if fragment.status == "successful" else 1
    for stage in fragment.stages:
        took = f"  {seconds(stage.seconds)}" if stage.seconds else ""
        show(printable(f"{stage.stage}: {stage.how}{took}"))
        for line in stage.log_tail.splitlines():
            show(f"  | {printable(line)}")
    if fragment.status == "failed":
        note(paint("failed: ", "red", "bold") + printable(fragment.error))
        return 1
    return 0


def _secrets(named: tuple[str, ...]) -> list[str]:
    """What a log must not show: the secrets that gitml.yaml names, and whatever the environment calls a secret."""
    return [value for name, value in os.environ.items() if value and (name in named or _SECRET.search(name))]
