"""What runs in other repositories, signed where a retraining follows from it: the gate derives its commit from that."""

from __future__ import annotations

from collections.abc import Sequence

from gitml.cijobs.retrainfacts import RetrainFacts
from gitml.control.signing import Signer, bound
from gitml.errors import UsageError
from gitml.evidence.keys import VARIABLE, SigningKey
from gitml.evidence.statement import Statement
from gitml.retraining.brakes import Situation
from gitml.retraining.observed import KIND, Downstream, ObservedUpstream, is_fresh, observed_in


def observations(facts: RetrainFacts, one: Situation, key: SigningKey | None) -> Sequence[tuple[str, Statement]]:
    """The events that say what ``one`` knows of other repositories, with their names; what lacks is signed.

    What was signed lately, maybe by a job that was killed since, is not signed again. Raises UsageError without a key.
    """
    down = facts.downstream(one.model)
    known = [
        (told, (b.name, b.statement))
        for b in facts.heard.believed
        if b and b.kind == KIND and b.statement and is_fresh(b.statement, one.at)
        if (told := observed_in(down, b.statement))
    ]
    found = {seen: next((event for told, event in known if told.says_as(seen)), None) for seen in one.observed}
    lacking = {seen: _statement(facts, down, seen) for seen, event in found.items() if event is None}
    if lacking and key is None:
        where = next(iter(lacking)).at
        raise UsageError(f"nothing signs that {where} has another champion", f"set {VARIABLE}, as the job does")
    names = Signer(facts.place, facts.main.policy(), key).sign(list(lacking.values())) if lacking and key else ()
    made = dict(zip(lacking, zip(names, lacking.values(), strict=True), strict=True))
    return [event or made[seen] for seen, event in found.items()]


def _statement(facts: RetrainFacts, down: Downstream, seen: ObservedUpstream) -> Statement:
    newest = down.newest
    assert newest is not None  # there is no such upstream without one
    about = bound(
        facts.place, KIND, "", model=newest.model, version=newest.version,
        artifact=newest.files[newest.artifact].sha256, head=facts.main.commit,
    )  # fmt: skip
    return Statement(about, seen.model_dump(mode="json"))
