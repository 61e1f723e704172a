"""What a look signs: the figures of the report, the counts of its window, and digests of all that they follow from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gitml import __version__
from gitml.evidence.looks import FORMAT, MOST_DETAILS, LookDetails, Recount, Spent, ToldLook, digest_of, look_id
from gitml.inference.monitor import UNREADABLE, MonitorRound, counted, rows_counted
from gitml.inference.monitored import Monitored
from gitml.inference.watches import Watch
from gitml.jsontext import canonical, plain
from gitml.sketches.coarse import FEW, coarse
from gitml.sketches.form import layout_digest, sketch_digest, sketch_form
from gitml.sketches.reference import reference_digest
from gitml.traffic.erasure import ERASED
from gitml.traffic.reader import Window
from gitml.traffic.stored import storing
from gitml.traffic.windowsketch import inputs_digest


def configuration_digest(watch: Watch) -> str:
    """Of what decides the counts: columns, their grids and strata, the reference, the schedule. Not floors, mutes or
    the quality rules: they are judged from the same counts."""
    subject = watch.subject
    reference = subject.reference.parts if subject and subject.reference else ()
    return digest_of(
        {
            "columns": sorted(subject.fields) if subject else [],
            "layout": layout_digest(subject.layout) if subject else "",
            "reference": [reference_digest(part) for part in reference],
            "window": watch.spec.window.total_seconds(),
        }
    )


def look_details(
    watch: Watch, job: MonitorRound, found: Monitored, spent: Spent, recounts: tuple[Recount, ...] = ()
) -> dict[str, Any]:
    """As ``gitml.evidence.looks.LookDetails`` has it. Raises what reading traffic raises."""
    told, configuration = found.to_dict(), configuration_digest(watch)
    details = {
        "format": FORMAT,
        "id": look_id(ToldLook.model_validate(told), configuration),
        "configuration": configuration,
        "inputs": {"traffic": _traffic(watch, job, found), "settings": _settings(watch, job)},
        "spent": spent.model_dump(mode="json"),
        "look": told,
        "sketch": None,
        "disagrees": [one.model_dump(mode="json") for one in recounts],
    }
    form = _sketch(found)
    fits = form is not None and size_of(details) + size_of(form) <= MOST_DETAILS
    return {**details, "sketch": form if fits else None}


def _traffic(watch: Watch, job: MonitorRound, found: Monitored) -> str:
    if watch.subject is None:
        return ""
    window = Window(found.since, found.until, found.at)
    return inputs_digest(job.call.traffic, watch.model, window, watch.subject.layout, rows_counted(watch))


def _settings(watch: Watch, job: MonitorRound) -> str:
    monitors = job.app.monitors
    whole = [monitors.years, monitors.promotions, job.columns, len(job.watches)]
    judging = watch.spec.model_copy(update={"tell": None})  # whom it is told changes nothing of what is found
    return digest_of([plain(judging), *whole, watch.record.version, watch.lacking, __version__])


def _sketch(found: Monitored) -> dict[str, Any] | None:
    """Of few rows it would tell of people, and of no distribution."""
    if found.rows < FEW:
        return None
    form: dict[str, Any] = plain(sketch_form(coarse(found.looks[-1].sketch)))
    return form


def size_of(value: object) -> int:
    """Bytes in a statement."""
    return len(canonical(value))


def recount(watch: Watch, job: MonitorRound, signed: LookDetails) -> Recount | None:
    """Whether the traffic of an earlier look, as it was known at the look's moment, still gives what it signed; None
    where it does, or is not there any more."""
    subject, look = watch.subject, signed.look
    since, until = look.since, look.until
    if subject is None or signed.sketch is None or signed.configuration != configuration_digest(watch):
        return None
    at = min(look.at, job.at)
    try:
        if not _is_there(watch, job, since):
            return None
        sketch = counted(subject, watch, job.call, Window(since, until, at))
    except UNREADABLE:
        return None
    found, expected = sketch_digest(coarse(sketch)), look.looks[-1].sketch
    # Rows of somebody who was erased meanwhile are there, and empty: what was signed was true then.
    was_erased = any(outcome == ERASED for _, _, outcome in sketch.routes)
    return None if found == expected or was_erased else Recount(id=signed.id, signed=expected, counted=found)


def _is_there(watch: Watch, job: MonitorRound, since: datetime) -> bool:
    """Whether rows are kept from the window's first day, or from before it: then retention took none of the window."""
    with storing(job.call.traffic, "predictions", watch.model, job.at) as stored:
        return any(stored.known(day) for day in reversed(stored.days(last=f"{since.astimezone(UTC):%Y-%m-%d}")))
