"""The comment on a promotion or a retraining that says what alarms upstream of it; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gitml.reports.escape import code, link, prose


@dataclass(frozen=True)
class UpstreamLine:
    """An upstream that alarms. ``failed``: which verdicts of its monitor fail, and why."""

    model: str
    environment: str
    failed: Mapping[str, str]
    since: datetime
    until: datetime
    url: str


def alarms_comment(model: str, environments: Sequence[str], found: Sequence[UpstreamLine | str]) -> str:
    """One line for each upstream that alarms, with a link to its monitor; a text says why nothing is known of one."""
    head = f"**What {code(model)} is built on**, in {', '.join(map(code, environments))}"
    lines = [_line(one) for one in found]
    return "\n".join([head, "", *(lines or ["No upstream alarms any more."]), ""])


def _line(one: UpstreamLine | str) -> str:
    if isinstance(one, str):
        return f"- not known: {prose(one)}"
    what = "; ".join(f"{part}: {prose(reason, 160)}" for part, reason in one.failed.items())
    seen = (
        f"since the window that ended {one.since:%Y-%m-%d %H:%M} UTC, last looked at up to {one.until:%Y-%m-%d %H:%M}"
    )
    return f"- {code(one.model)} alarms in {code(one.environment)} {seen}: {what} ({link('its monitor', one.url)})"
