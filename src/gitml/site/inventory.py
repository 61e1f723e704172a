"""The inventory of models, as regulators of banks ask for one (SR 26-2, formerly SR 11-7): one line a model, a pure
function of the facts. `gitml inventory`, the page of the site and its exports show the same lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from gitml.jsontext import plain
from gitml.site.facts import SiteDeployment, SiteFacts
from gitml.site.versionfacts import SiteModel, VersionDetail
from gitml.verdict import Phase, Verdict


@dataclass(frozen=True)
class InventoryLine:
    """One model. Days are of UTC; what nobody says is empty.

    ``inputs`` and ``outputs`` are columns of the version that runs last in the order of promotion, or else the newest.
    ``depends_on`` are models, ``runs_in`` environments with their champions, ``monitored`` environments with what the
    monitor said last. ``validated_by`` looked at it on the day ``validated``, at the version ``validated_version``, and
    ``is_independent``: none of them made it, as the gate or `gitml review` held against who did; None where nobody
    looked. ``is_due``: somebody said how often it is reviewed, and it runs.
    """

    name: str
    description: str
    purpose: str
    owner: str
    users: str
    tier: str
    vendor: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    depends_on: tuple[str, ...]
    limits: str
    runs_in: tuple[str, ...]
    monitored: tuple[str, ...]
    validated: str
    validated_by: tuple[str, ...]
    validated_version: str
    validation: str
    validation_report: str
    is_independent: bool | None
    review_due: str
    is_due: bool
    is_overdue: bool
    last_change: str
    last_change_kind: str
    last_change_commit: str
    retire_by: str
    is_retired: bool
    is_late: bool
    versions: int
    newest: str
    findings: int

    def to_dict(self) -> dict[str, Any]:
        return {one.name: plain(getattr(self, one.name)) for one in fields(self)}


COLUMNS = tuple(one.name for one in fields(InventoryLine))


def inventory(facts: SiteFacts, today: str = "") -> tuple[InventoryLine, ...]:
    """In the order of gitml.yaml. ``today`` is a day such as 2026-04-01, by default that of main's newest commit."""
    found = open_findings(facts)
    return tuple(_line(facts, model, today or facts.time[:10], found[model.name]) for model in facts.models)


def open_findings(facts: SiteFacts) -> Mapping[str, int]:
    """How many findings of the audit are about each model."""
    found = Counter(m.name for one in facts.findings for m in facts.models if f"models/{m.name}/" in one.subject)
    return {model.name: found[model.name] for model in facts.models}


def _line(facts: SiteFacts, model: SiteModel, today: str, findings: int) -> InventoryLine:
    states = [one for one in facts.states if one.model == model.name and one.champion]
    running = [one for one in states if not one.is_retired]
    columns = _shown(model, [one.champion for one in running]).columns
    review = model.reviews[0] if model.reviews else None
    change = _last_change(facts, model.name)
    return InventoryLine(
        name=model.name,
        description=model.description,
        purpose=model.purpose,
        owner=model.owner,
        users=model.users,
        tier=model.tier,
        vendor=model.vendor,
        inputs=tuple(column.name for column in columns if column.side == "input"),
        outputs=tuple(column.name for column in columns if column.side == "output"),
        depends_on=tuple(feed.source for feed in facts.feeds if feed.model == model.name),
        limits=model.limits,
        runs_in=tuple(f"{one.environment}={one.champion}" for one in running),
        monitored=tuple(_monitored(facts, model.name)),
        validated=model.reviewed,
        validated_by=review.people if review else (),
        validated_version=review.version if review else "",
        validation=review.result if review else "",
        validation_report=review.report if review else "",
        is_independent=True if review else None,
        review_due=model.review_due,
        is_due=bool(running) and model.must_be_reviewed,
        is_overdue=bool(running) and model.is_overdue,
        last_change=change.time[:10] if change else "",
        last_change_kind=f"{change.move} in {change.environment}" if change else "",
        last_change_commit=change.commit if change else "",
        retire_by=model.retire_by,
        is_retired=bool(states) and not running,
        is_late=bool(running) and bool(model.retire_by) and model.retire_by < today,
        versions=len(model.versions),
        newest=model.versions[0].version if model.versions else "",
        findings=findings,
    )


def _shown(model: SiteModel, champions: list[str]) -> VersionDetail:
    """The version that runs last in the order of promotion, or else the newest, in full."""
    wanted = [*reversed(champions), *(version.version for version in model.versions)]
    none = VersionDetail(model.name, "", "", "", "", "", "", (), "", "", 0, "")
    return next((model.details[name] for name in wanted if name in model.details), none)


def _last_change(facts: SiteFacts, model: str) -> SiteDeployment | None:
    return next((one for one in facts.deployments if one.model == model), None)


def _monitored(facts: SiteFacts, model: str) -> Iterator[str]:
    newest = {(look.model, look.environment): look for look in facts.looks}
    for name, environment in facts.watched:
        if name == model:
            look = newest.get((name, environment))
            yield f"{environment}={look.phase.value} until {look.until[:10]}" if look else f"{environment}=no look yet"


def judged(lines: tuple[InventoryLine, ...], problem: str = "") -> Verdict:
    """Whether every model that runs was reviewed in time and is not kept longer than its date. ``problem``: why the
    evidence is not known."""
    late = [f"{one.name}: {why}" for one in lines for why in _reasons(one)]
    unknown = [one.name for one in lines if one.is_due and not one.validated]
    counts = {"models": len(lines), "overdue": len(late), "never_reviewed": len(unknown)}
    if late:
        return Verdict(Phase.FAILED, "; ".join(late), counts)
    due = sum(one.is_due for one in lines)
    if not lines:
        return Verdict(Phase.INCONCLUSIVE, problem or "no model is known here", counts)
    if problem and due:
        return Verdict(Phase.INCONCLUSIVE, problem, counts)
    if unknown:
        return Verdict(Phase.INCONCLUSIVE, f"no review is signed of: {', '.join(unknown)}", counts)
    if not due:
        return Verdict(Phase.SUCCESSFUL, "no model that runs has to be reviewed", counts)
    return Verdict(Phase.SUCCESSFUL, f"{due} of {len(lines)} models have to be reviewed, and were in time", counts)


def _reasons(line: InventoryLine) -> Iterator[str]:
    if line.is_overdue and line.validation != "passed":
        yield f"its review of {line.validated} failed"
    elif line.is_overdue:
        yield f"its review was due on {line.review_due}"
    if line.is_late:
        yield f"it was to be retired by {line.retire_by}"
