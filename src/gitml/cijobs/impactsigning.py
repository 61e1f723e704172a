"""``gitml ci monitor sign``, of changes: what KPIs did is signed where no fact is read.

What the job before handed over is a stranger's until it fits main and the ledger: a change that the ledger knows, days
that are over, the KPIs that main has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gitml.cijobs.impactdue import OLDEST, configuration_of, due_impacts, name_of, view_of
from gitml.cijobs.lookfile import read_impacts
from gitml.cijobs.looksigning import SignedLooks, SigningWork, SignOrder, sign_handed, signed
from gitml.control.looks import heard_impacts
from gitml.control.place import Place
from gitml.control.signing import bound, heard, rules_of
from gitml.errors import IntegrityError
from gitml.evidence.impacts import KIND, ImpactDetails, ToldChange
from gitml.evidence.looks import RESULTS
from gitml.evidence.statement import Statement
from gitml.evidence.trust import LEEWAY
from gitml.jsontext import plain
from gitml.success.looking import BusinessView


def sign_impacts(place: Place, order: SignOrder) -> SignedLooks:
    """Sign what the job before found, if nobody did meanwhile; called twice it signs nothing twice.

    Raises SpecError and IntegrityError for a hand-over that does not fit main, UsageError for a key that policy.yaml
    does not name for it.
    """
    return sign_handed(place, order, read_impacts, _Work)


class _Work(SigningWork):
    def run(self, handed: tuple[tuple[Mapping[str, Any], ImpactDetails], ...]) -> SignedLooks:
        policy, now = self.newest.policy(), self.place.clock()
        view = view_of(self.main, heard(self.place, policy).believed, now)
        before = heard_impacts(self.place, rules_of(self.place, policy), now - OLDEST)
        known = {one.details.id for one in before}
        statements, passed = [], []
        for raw, details in handed:
            if details.at > now + LEEWAY:
                raise IntegrityError(f"{_said(details)} is of the future", "set the clocks of the runners")
            if details.id in known:
                passed.append(f"{_said(details)} is signed already")
                continue
            self._fits(view, details)
            known.add(details.id)
            statements.append(self._statement(raw, details))
        return signed(self.place, self.newest, self.order, statements, passed)

    def _fits(self, view: BusinessView | None, details: ImpactDetails) -> None:
        told = details.impact
        change = next((one for one in view.served if name_of(one) == told.change.name), None) if view else None
        if view is None or change is None or ToldChange.model_validate(plain(change)) != told.change:
            raise IntegrityError(f"{_said(details)} is of a change that the ledger does not know")
        due = due_impacts(replace(view, at=details.at), ())
        if not any((name_of(one.change), one.days) == (told.change.name, details.days) for one in due):
            raise IntegrityError(f"{_said(details)} is of days that are not over, or were over long ago")
        if details.configuration != configuration_of(view.app):
            raise IntegrityError(f"{_said(details)} is of other KPIs than main has")
        wanted = set(view.kpis_of(change))
        if {one.kpi for one in told.results if one.days == details.days} != wanted:
            raise IntegrityError(f"{_said(details)} does not tell of all KPIs that the change may have moved")

    def _statement(self, raw: Mapping[str, Any], details: ImpactDetails) -> Statement:
        change = details.impact.change
        record = self.main.original_record(change.model, change.version)
        about = bound(
            self.place, KIND, self.order.run, model=change.model, environment=change.environment,
            version=change.version, artifact=record.files[record.artifact].sha256, head=self.main.commit,
            result=RESULTS[details.phase],
        )  # fmt: skip
        return Statement(about, raw)


def _said(details: ImpactDetails) -> str:
    change = details.impact.change
    short = change.version.rpartition("-")[2]
    return f"what happened {details.days} days after {change.kind} of {change.model}@{short} in {change.environment}"
