"""``gitml ci monitor sign``, of selections: counts are signed where neither traffic nor the table of groups is read.

What the job before handed over is a stranger's until it fits main: a window of the schedule, the configuration, and a
verdict that follows from its counts and from the first ones that were signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitml.cijobs.biasdue import CountedModel, counted_models, held_against
from gitml.cijobs.lookfile import read_biases
from gitml.cijobs.looksigning import SignedLooks, SigningWork, SignOrder, sign_handed, signed
from gitml.control.looks import heard_biases
from gitml.control.place import Place
from gitml.control.signing import bound, rules_of
from gitml.errors import IntegrityError
from gitml.evidence.biases import KIND, BiasDetails, SignedBias
from gitml.evidence.looks import RESULTS
from gitml.evidence.statement import Statement
from gitml.evidence.trust import LEEWAY


def sign_biases(place: Place, order: SignOrder) -> SignedLooks:
    """Sign what the job before counted, if nobody did meanwhile; called twice it signs nothing twice.

    Raises SpecError and IntegrityError for a hand-over that does not fit main, UsageError for a key that policy.yaml
    does not name for it.
    """
    return sign_handed(place, order, read_biases, _Work)


class _Work(SigningWork):
    def run(self, handed: tuple[tuple[Mapping[str, Any], BiasDetails], ...]) -> SignedLooks:
        now = self.place.clock()
        counted = {one.name: one for one in counted_models(self.main, self.main.application())}
        before = heard_biases(self.place, rules_of(self.place, self.newest.policy()))
        known = {one.details.id for one in before}
        statements, passed = [], []
        for raw, details in handed:
            if details.at > now + LEEWAY:
                raise IntegrityError(f"{_said(details)} is of the future", "set the clocks of the runners")
            if details.id in known:
                passed.append(f"{_said(details)} is signed already")
                continue
            _fits(counted, details, raw, before)
            known.add(details.id)
            statements.append(self._statement(raw, details))
        return signed(self.place, self.newest, self.order, statements, passed)

    def _statement(self, raw: Mapping[str, Any], details: BiasDetails) -> Statement:
        record = self.main.original_record(details.count.model, details.version)
        about = bound(
            self.place, KIND, self.order.run, model=details.count.model, environment=details.environment,
            version=details.version, artifact=record.files[record.artifact].sha256, head=self.main.commit,
            result=RESULTS[details.phase],
        )  # fmt: skip
        return Statement(about, raw)


def _fits(
    counted: Mapping[tuple[str, str, str], CountedModel],
    details: BiasDetails,
    raw: Mapping[str, Any],
    before: tuple[SignedBias, ...],
) -> None:
    one = counted.get(details.monitor)
    if one is None or one.version != details.version:
        raise IntegrityError(f"{_said(details)} is of a model or configuration that main does not count there")
    if one.monitor.last_window(details.at) != (details.since, details.until):
        raise IntegrityError(f"{_said(details)} is of no window that was due")
    against, verdict = held_against(one, raw["count"], before)
    if (details.against, details.phase, details.reason) != (against, verdict.phase, verdict.reason[:2000]):
        raise IntegrityError(f"{_said(details)} says another verdict than its counts give")


def _said(details: BiasDetails) -> str:
    return f"whom {details.count.model} selected in {details.environment} until {details.until:%Y-%m-%d}"
