"""``gitml ci monitor evaluate``, of candidates: each that is due is judged where there is no key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gitml.cijobs.canarydue import WatchedCandidate, candidates_of, due_moment, needed_since
from gitml.cijobs.lookfile import MOST_LOOKS
from gitml.control.ledger import Here
from gitml.control.looks import read_looks
from gitml.control.mainline import Mainline
from gitml.errors import GitmlError
from gitml.evidence.canaries import KIND, Canaries, canaries_of, canary_details
from gitml.evidence.looks import MOST_DETAILS
from gitml.evidence.reader import EvidenceRules
from gitml.git.ledger import LOOKS
from gitml.jsontext import canonical

# The judgement of one candidate at a moment of the schedule, as ``gitml.rollout`` tells it.
Judge = Callable[[WatchedCandidate, datetime], Mapping[str, Any]]


@dataclass(frozen=True)
class JudgedNow:
    """``told`` is the evaluation. ``later``: why it was not judged for good, so that it stays due."""

    watched: WatchedCandidate
    told: Mapping[str, Any]
    details: Mapping[str, Any] | None = None
    later: str = ""


def judge_due(here: Here, main: Mainline, judge: Judge, at: datetime) -> tuple[JudgedNow, ...]:
    """Every candidate that is due. One that cannot be judged does not keep the others back."""
    policy = main.policy()
    if not policy.judges_candidates:
        return ()
    watched = candidates_of(main, main.application(), policy)
    canaries = _canaries(here, main, watched, at)
    due = ((one, moment) for one in watched if (moment := due_moment(one, canaries, at)))
    return tuple(_judged(one, moment, judge) for one, moment in list(due)[:MOST_LOOKS])


def _canaries(here: Here, main: Mainline, watched: tuple[WatchedCandidate, ...], at: datetime) -> Canaries:
    """As the clone has them: two runs that judge the same sign it once."""
    heads = here.heads(LOOKS)
    if not heads or not watched:
        return Canaries()
    rules = EvidenceRules(main.policy(), here.repository, at, here.settings.host)
    return canaries_of(one for one in read_looks(here.root, heads[0], rules, needed_since(watched), KIND) if one)


def _judged(one: WatchedCandidate, moment: datetime, judge: Judge) -> JudgedNow:
    told: Mapping[str, Any] = {}
    try:
        told = judge(one, moment)
        details = canary_details(told)
    except GitmlError as exc:
        return JudgedNow(one, told, later=exc.message.splitlines()[0])
    except ValueError as exc:
        return JudgedNow(one, told, later=f"its evaluation cannot be signed: {exc}")
    if len(canonical(details)) > MOST_DETAILS:
        return JudgedNow(one, told, later="its evaluation is too large for a statement")
    return JudgedNow(one, told, details)
