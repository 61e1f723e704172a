"""``gitml ci subjects``: the two jobs that carry out erasures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from gitml.cli.common import as_json, examples, root_of, traffic_log
from gitml.cli.proposed import placed
from gitml.cli.subject import traffic_call
from gitml.output import note, paint, printable, show, show_json
from gitml.verdict import Verdict

if TYPE_CHECKING:
    from gitml.cijobs.erasing import SubjectsKept

VARIABLE = "GITML_ERASURES_KEY"


@click.group(
    epilog=examples(
        "gitml ci subjects carry-out    has the keys of ids, and nothing that signs",
        "gitml ci subjects sign         has the key, and nothing that finds a person",
    )
)
def subjects() -> None:
    """Keep what people asked for: the jobs of the rendered workflow gitml-subjects.yml, once a day."""


@subjects.command("carry-out")
@traffic_log
@as_json
@click.pass_context
def carry_out(ctx: click.Context, /, *, folder: str | None, as_json: bool) -> int:
    """Delete traffic that is older than policy.yaml allows, index data of people, and carry out merged erasures.

    What became of each request is handed to `gitml ci subjects sign`. It runs no code of the repository and sees no id
    but in the traffic. Exit code 0 also where not all is gone yet: `sign` ends with what is to be said of that.
    """
    from gitml import spec
    from gitml.cijobs.erasing import handed_over, keep_subjects
    from gitml.cijobs.erasurefile import write_erasures
    from gitml.cijobs.handover import folder_of
    from gitml.forges.table import job_of

    root = root_of(ctx)
    traffic = traffic_call(root, folder, list(spec.load_application(root).models))
    with placed(ctx) as place:
        done = keep_subjects(place, traffic)
        write_erasures(folder_of(place.root), handed_over(done, job_of(os.environ).run_url))
    if as_json:
        show_json(_json(done))
    else:
        _show(done)
    return 0


@subjects.command()
@as_json
@click.pass_context
def sign(ctx: click.Context, /, *, as_json: bool) -> int:
    """Sign what became of each request with GITML_ERASURES_KEY, which policy.yaml names with the purpose `erased`.

    What the job before handed over must fit main: its requests, and files of versions from which rows or counts were
    taken and to which none were added. Exit code 1: main's data still hold somebody who was to be erased, or the day of
    a request is over; 3: not all is gone yet, or something could not be looked into.
    """
    from gitml.cijobs.erasuresigning import ErasureSigning, sign_erasures
    from gitml.evidence.keys import signing_key
    from gitml.forges.table import job_of

    secret = os.environ.get(VARIABLE, "").strip()
    with placed(ctx) as place:
        order = ErasureSigning(signing_key(secret) if secret else None, job_of(os.environ).run_url)
        done = sign_erasures(place, order)
    if as_json:
        show_json(done)
    for event in () if as_json else done.events:
        show(event)
    if done.due and not done.events:
        note(f"{done.due} to sign, and {VARIABLE} is not set")
    return Verdict(done.phase, "").exit_code


def _json(done: SubjectsKept) -> dict[str, Any]:
    return {
        "expired": done.expired,
        "indexed": done.indexed,
        "problems": done.problems,
        "requests": [
            {"request": one.request, "phase": one.verdict.phase, "reason": one.verdict.reason,
             "emptied": one.verdict.measurements, "replaced": one.details.get("replaced", [])}
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
        emptied = one.verdict.measurements
        if any(emptied.values()):
            show(
                f"{one.request}: {emptied.get('requests', 0)} predictions and {emptied.get('labels', 0)} labels emptied"
            )
        show(printable(f"{one.request} {one.verdict.phase.value}: {one.verdict.reason}"))
