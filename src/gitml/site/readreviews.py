"""When people looked at a model, by what is signed, and when they have to look again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from gitml.gates.facts import Proof
from gitml.gates.review_age import reviews
from gitml.site.versionfacts import SiteModel, SiteReview

_MOST, _MOST_TEXT = 50, 2000


def reviewed(model: SiteModel, proofs: Iterable[Proof], period: timedelta | None, now: datetime) -> SiteModel:
    """With its reviews, and the day of the next one where somebody said how often. A failed one is overdue at once."""
    found, model = reviews(proofs, model.name), replace(model, must_be_reviewed=period is not None)
    if not found:
        return model
    last = found[0]
    told = replace(model, reviews=tuple(_review(one) for one in found[:_MOST]), reviewed=f"{last.time:%Y-%m-%d}")
    if period is None:
        return replace(told, is_overdue=last.result != "passed")
    due = last.time + period if last.result == "passed" else last.time
    return replace(told, review_due=f"{due:%Y-%m-%d}", is_overdue=due < now)


def _review(proof: Proof) -> SiteReview:
    approvers, report = proof.details.get("approvers"), proof.details.get("report")
    people = tuple(map(str, approvers)) if isinstance(approvers, list | tuple) else (proof.by,)
    text = report[:_MOST_TEXT] if isinstance(report, str) else ""
    return SiteReview(f"{proof.time:%Y-%m-%dT%H:%M:%SZ}", proof.kind, proof.version, proof.result, people, text)
