"""``gitml status``"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import click

from gitml.cli.common import as_json, examples, root_of
from gitml.cli.proposed import names_forge, placed
from gitml.errors import GitmlError
from gitml.jsontext import picked
from gitml.output import note, paint, printable, show, show_json, table
from gitml.policy.freezes import moment
from gitml.promotion.live import LiveReport
from gitml.promotion.status import DeploymentStatus, WantedVersion, status_of_clone
from gitml.promotion.status import status as run_status
from gitml.reports.promotion import short
from gitml.spec.deployment import Deployment, Hold
from gitml.spec.policy import Freeze


@click.command(
    epilog=examples(
        "gitml status",
        "gitml status delay --json",
        "gitml status --agent http://10.0.0.7:8470    ask a running agent itself, not the forge",
    )
)
@click.argument("model", default="")
@click.option("--agent", "agents", multiple=True, metavar="URL", help="Ask this agent what it runs; may be repeated.")
@as_json
@click.pass_context
def status(ctx: click.Context, /, model: str, *, agents: tuple[str, ...], as_json: bool) -> None:
    """What the default branch wants to run where, since when, by whose approval; what runs; what is pending.

    What runs is what agents reported to the forge's deployments. In a clone that names no forge, as one with a folder
    as origin, it is what the commit that is checked out wants. GITML_AGENT_TOKEN is sent to agents that ask for one.
    """
    if names_forge(root_of(ctx)):
        with placed(ctx) as place:
            found = run_status(place, model)
    else:
        found = status_of_clone(root_of(ctx), model)
    if agents:
        found = _asked(found, agents)
    if as_json:
        show_json(_json(found))
        return
    rows = [_row(w) for w in found.wanted]
    show(table(rows, ["model", "environment", "wanted", "since", "by", "approved by", "live"]) if rows else "no model")
    _notes(found)


def _asked(found: DeploymentStatus, agents: tuple[str, ...]) -> DeploymentStatus:
    """With what the agents themselves say where they were asked; one that does not answer is noted."""
    from gitml.promotion.agentask import answers

    told: dict[tuple[str, str], LiveReport] = {}
    notes = list(found.notes)
    for url in agents:
        try:
            told |= answers(url, os.environ.get("GITML_AGENT_TOKEN", ""))
        except GitmlError as exc:
            notes.append(f"{url} does not say what it runs: {exc.message}")
    wanted = tuple(replace(w, live=told.get((w.model, w.environment), w.live)) for w in found.wanted)
    return replace(found, wanted=wanted, notes=tuple(notes))


def _row(wanted: WantedVersion) -> list[str]:
    state = "unreadable" if wanted.problem else (_wanted(wanted.state) if wanted.state else "–")
    return [
        wanted.model,
        wanted.environment,
        state,
        wanted.since.replace("T", " ").removesuffix("Z")[:16],
        f"#{wanted.pull}" if wanted.pull else wanted.commit[:8],
        ", ".join(wanted.approved_by) or ("–" if not wanted.commit else "nobody known"),
        _live(wanted.live),
    ]


def _wanted(state: Deployment) -> str:
    parts = [f"retired, last {short(state.champion.version)}" if state.retired else short(state.champion.version)]
    parts += [f"canary {short(state.canary.version)} {state.canary.weight:g} %"] if state.canary else []
    parts += [f"shadow {short(pin.version)}" for pin in state.shadow]
    return ", ".join(parts)


def _live(live: LiveReport | None) -> str:
    if live is None:
        return "not reported"
    return short(live.version) if live.is_up else f"{live.state} {short(live.version)}"


def _notes(found: DeploymentStatus) -> None:
    for wanted in found.wanted:
        place = f"{wanted.model} in {wanted.environment}"
        if wanted.hold:
            show(paint("held    ", "yellow") + printable(f"{place}, {_hold(wanted.hold)}"))
        for one in wanted.state.held if wanted.state else ():
            said = f"{wanted.model}@{short(one.version)} in {wanted.environment}, {_hold(one)}"
            show(paint("held    ", "yellow") + printable(said))
        if wanted.problem:
            show(paint("problem ", "red") + printable(wanted.problem))
    for freeze in found.freezes:
        show(paint("freeze  ", "yellow") + printable(_freeze(freeze)))
    for pending in found.pending:
        show(paint("pending ", "cyan") + printable(f"#{pending.number} {pending.title}, by {pending.author}"))
    for text in found.notes:
        note(printable(text))


def _hold(hold: Hold) -> str:
    end = f" until {moment(hold.until)}" if hold.until else ""
    return f"by {hold.by}{end}: {hold.reason}"


def _freeze(freeze: Freeze) -> str:
    where = ", ".join(freeze.environments) or "everywhere"
    return f"{where}, from {moment(freeze.since)} to {moment(freeze.until)}: {freeze.reason}"


def _json(found: DeploymentStatus) -> dict[str, Any]:
    return {
        "commit": found.commit,
        "wanted": [_wanted_json(w) for w in found.wanted],
        **picked(found, "pending", "freezes", "notes"),
    }


def _wanted_json(wanted: WantedVersion) -> dict[str, Any]:
    return {
        **picked(wanted, "model", "environment", "state", "pull", "approved_by", "hold", "live"),
        "since": wanted.since or None,
        "commit": wanted.commit or None,
        "approvals_from": wanted.approvals_from or None,
        "frozen": bool(wanted.freezes),
        "problem": wanted.problem or None,
    }
