"""``gitml ci monitor evaluate``, of changes: each that is due is held against its KPIs where there is no key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gitml.cijobs.impactdue import OLDEST, DueImpact, configuration_of, due_impacts, view_of
from gitml.cijobs.lookfile import MOST_LOOKS
from gitml.control.ledger import Here
from gitml.control.looks import read_looks
from gitml.control.mainline import Mainline
from gitml.errors import GitmlError
from gitml.evidence.impacts import KIND, impact_details, impacts_of
from gitml.evidence.looks import MOST_DETAILS
from gitml.evidence.reader import EvidenceRules
from gitml.git.ledger import LOOKS
from gitml.inference.impact import evidence_of_clone, with_evidence
from gitml.jsontext import canonical, plain
from gitml.success.facts import FactPlace
from gitml.success.impact import HORIZONS, ChangeImpact
from gitml.success.looking import BusinessView, change_impacts


@dataclass(frozen=True)
class HeldAgainst:
    """``told`` is what KPIs did after a change. ``later``: why it was not told for good, so that it stays due."""

    due: DueImpact
    told: Mapping[str, Any]
    details: Mapping[str, Any] | None = None
    later: str = ""


def impacts_due(here: Here, main: Mainline, facts: FactPlace, at: datetime) -> tuple[HeldAgainst, ...]:
    """As the clone has main, ledger and looks. One that cannot be told does not keep the others back."""
    if not main.application().kpis:
        return ()
    evidence = evidence_of_clone(here, at)
    view = view_of(main, evidence.told, at)
    if view is None:
        return ()
    heads = here.heads(LOOKS)
    rules = EvidenceRules(main.policy(), here.repository, at, here.settings.host)
    signed = (
        impacts_of(one for one in read_looks(here.root, heads[0], rules, at - OLDEST, KIND) if one) if heads else ()
    )
    due = due_impacts(view, signed)[:MOST_LOOKS]
    return tuple(_held(facts, view, one, lambda found: with_evidence(found, view.app, evidence)) for one in due)


def _held(
    facts: FactPlace, view: BusinessView, due: DueImpact, finish: Callable[[ChangeImpact], ChangeImpact]
) -> HeldAgainst:
    horizons = [days for days in HORIZONS if days <= due.days]
    try:
        (found,) = change_impacts(facts, view, [due.change], horizons)
    except GitmlError as exc:
        return HeldAgainst(due, {}, later=exc.message.splitlines()[0])
    except ModuleNotFoundError as exc:
        # Workflows from before KPIs were held against changes do not install it, and looks go on.
        return HeldAgainst(due, {}, later=f"{exc.name} is not installed: render the workflows again, `gitml ci render`")
    told = plain(finish(found))
    unread = [one.reason for one in found.results if one.reason.startswith("the KPI cannot be read")]
    if unread:
        return HeldAgainst(due, told, later=unread[0])
    try:
        details = impact_details(told, due.days, configuration_of(view.app), view.at)
        size = len(canonical(details))
    except ValueError as exc:
        return HeldAgainst(due, told, later=f"it cannot be signed: {exc}")
    if size > MOST_DETAILS:
        return HeldAgainst(due, told, later="it is too large for a statement: name `models` of KPIs")
    return HeldAgainst(due, told, details)
