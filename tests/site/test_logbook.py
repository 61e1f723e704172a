"""`gitml logbook`: what happened in an environment, from signed evidence alone. Over the application of the site."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

from gallery import NOW
from gitml.control.ledger import Here
from gitml.evidence.logbook import logbook
from gitml.git.ledger import Event
from gitml.promotion.logbook import read_logbook
from gitml.verdict import Phase
from policy.kit import proof
from promotion.gating import Gated
from promotion.promoting import MemoryTown


def test_deployments_alarms_and_candidates_by_environment(shown: Gated[MemoryTown]) -> None:
    env = {"GITML_FORGE": "memory", "GITHUB_REPOSITORY": shown.town.settings("olga").repository}
    here = Here(shown.town.here, {**env, "PATH": os.environ["PATH"]})
    found = read_logbook(here, NOW, "production")
    assert {line.environment for line in found.lines} == {"production"}
    told = [(line.what, line.result) for line in found.lines]
    drift = [result for what, result in told if what in ("drift", "drift over")]
    assert drift == ["failed", "passed"] * (len(drift) // 2) + ["failed"] * (len(drift) % 2), "begin and end, once each"
    assert {"promoted", "candidate judged"} <= {what for what, _ in told}
    assert [line.time for line in found.lines] == sorted(line.time for line in found.lines)
    (production,) = found.environments
    assert production.stoppers == {"operations": ("olga",), "risk": ("rita", "nobody-here")}
    assert production.verdict.phase is Phase.SUCCESSFUL
    assert read_logbook(here, NOW).verdict.phase is Phase.SUCCESSFUL
    assert read_logbook(here, NOW, model="nothing").lines == ()


def test_a_change_says_which_alarms_it_corrects_and_whether_it_was_substantial() -> None:
    start = NOW - timedelta(days=9)
    about = {"environment": "production", "new": "b" * 40}
    flagged = {"gates": {"champion 12345678: substantial": {"measurements": {"substantial": ["use"]}}}}
    events = [
        proof("gate", time=start, policy="c" * 64, details=flagged, **about),
        proof("promoted", time=start + timedelta(hours=1), by="olga", **about),
        proof("overridden", time=start, environment="production", by="rita", details={"reason": "=now"}),
        proof("deployed", time=start, environment="staging"),
        proof("reviewed", time=start + timedelta(days=1), by="rita", details={"report": "fine"}),
    ]
    events = [replace(one, event=Event(str(place), b"")) for place, one in enumerate(events)]
    lines = logbook(events, "production")
    assert [line.what for line in lines] == ["override", "promoted", "reviewed"]
    assert (lines[1].substantial, lines[1].corrects, lines[0].why) == (("use",), (), "=now")
    unbelieved = [replace(one, why_not="no key") for one in events]
    assert logbook(unbelieved, "production") == ()
