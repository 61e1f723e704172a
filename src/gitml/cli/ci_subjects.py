"""``gitml ci subjects``"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from gitml.cli.common import as_json, examples, root_of, traffic_log
from gitml.cli.proposed import placed
from gitml.cli.subject import traffic_call
from gitml.output import note, paint, printable, show, show_json

if TYPE_CHECKING:
    from gitml.cijobs.erasing import SubjectsKept

VARIABLE = "GITML_ERASURES_KEY"


@click.command(epilog=examples("gitml ci subjects    in the rendered workflow gitml-subjects.yml, once a day"))
@traffic_log
@as_json
@click.pass_context
def subjects(ctx: click.Context, /, *, folder: str | None, as_json: bool) -> int:
    """Delete traffic that is older than policy.yaml allows, index data of people, and carry out merged erasures.

    What became of each request is signed with GITML_ERASURES_KEY, which policy.yaml names with the purpose `erased`.
    It runs no code of the repository and sees no id but in the traffic. Exit code 1: main's data still hold somebody
    who was to be erased; 3: not all is gone yet, or something could not be looked into.
    """
    from gitml import spec
    from gitml.cijobs.erasing import ErasingOrder, keep_subjects
    from gitml.evidence.keys import signing_key
    from gitml.forges.table import job_of

    root = root_of(ctx)
    secret = os.environ.get(VARIABLE, "").strip()
    traffic = traffic_call(root, folder, list(spec.load_application(root).models))
    with placed(ctx) as place:
        key = signing_key(secret) if secret else None
        done = keep_subjects(place, ErasingOrder(traffic, key, job_of(os.environ).run_url))
    if as_json:
        show_json(_json(done))
    else:
        _show(done)
    codes = [one.verdict.exit_code for one in done.requests]
    return max(codes, key=[0, 3, 4, 1].index, default=0) or (3 if done.problems else 0)


def _json(done: SubjectsKept) -> dict[str, Any]:
    return {
        "expired": done.expired,
        "indexed": done.indexed,
        "problems": done.problems,
        "requests": [
            {"request": one.request, "phase": one.verdict.phase, "reason": one.verdict.reason,
             "emptied": one.verdict.measurements, "event": one.event}
            for one in done.requests
        ],
    }  # fmt: skip


def _show(done: SubjectsKept) -> None:
    for kind, count in done.expired.items():
        show(f"{count} files of {kind} were too old")
    show(f"{done.indexed} indexes made")
    for text in done.problems:
        note(paint("not known: ", "yellow") + printable(text))
    for one in done.requests:
        signed = f" ({one.event})" if one.event else ""
        emptied = one.verdict.measurements
        if any(emptied.values()):
            show(
                f"{one.request}: {emptied.get('requests', 0)} predictions and {emptied.get('labels', 0)} labels emptied"
            )
        show(printable(f"{one.request} {one.verdict.phase.value}: {one.verdict.reason}{signed}"))
