"""An application with a history on a forge in memory, for the site: promotions, a shut gate, looks, a canary, a hold.

It is no part of a package ``site``: Python has one of that name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from conftest import git
from evidence.canary_kit import part
from evidence.look_kit import FIRST, WEEK, stamp
from gitml.cijobs.record import RecordOrder, record
from gitml.control.place import Place
from gitml.control.signing import Signer, bound
from gitml.evidence.canaries import canary_details
from gitml.evidence.impacts import impact_details
from gitml.evidence.looks import FORMAT, ToldLook, digest_of, look_id
from gitml.evidence.statement import Statement
from gitml.git import ledger
from gitml.registry.record import Record
from gitml.reports import retraining
from gitml.serving.latencybuckets import SECONDS
from gitml.site.facts import SiteFacts
from gitml.site.gather import SiteSource, gather
from gitml.spec import Deployment
from gitml.spec.deployment import Canary
from promotion.gating import PURPOSES, RUN, Gated, copied_gated, keys
from promotion.promoting import POLICY, MemoryTown, pin

NOW = datetime(2026, 4, 20, 12, tzinfo=UTC)
APPLICATION = """\
application: flights
description: Will a flight arrive late?
models:
  delay:
    description: Gradient boosting on what is known at departure
    owner: Flight operations
    purpose: Passengers are told early when a flight will probably be late
    tier: high
    review: 26w
    artifact: model.skops
    metrics: metrics.json
    better: {auc: higher, cost: lower}
  fare:
    description: What a seat will cost next week
    needs:
      rain: {repository: "https://forge.example/acme/weather", in: production}
      delay: {what: answers, in: staging}
    artifact: fare.skops
    metrics: fare.json
    better: {mae: lower}
private: [seat_owner]
bias:
  delay:
    groups: {table: $PEOPLE, unit: passenger, sex: sex, race: race}
    output: late
    selected_from: 0.5
    source: Passengers of March
    audited: {on: 2026-01-15, by: Fair & Square LLC, report: "https://fair.example.org/flights"}
sites: {boards: {Grafana: "https://grafana.example.org/d/gitml/models?orgId=1"}}
kpis:
  on_time: {event: told, description: Passengers that were told in time, unit: USD, within: 1d}
monitors:
  models:
    delay: {environments: [production], window: 1w}
    fare: {watch: []}
"""
PIPELINE = """\
stages:
  ingest: {cmd: python ingest.py, deps: [data/flights.csv, ingest.py], outs: [data/raw]}
  prepare: {cmd: python prepare.py, deps: [data/raw, prepare.py], params: [window], outs: [data/features]}
  train: {cmd: python train.py, deps: [data/features, train.py], outs: [model.skops]}
  evaluate: {cmd: python evaluate.py, deps: [model.skops, data/features], metrics: [metrics.json]}
  fares: {cmd: python fares.py, deps: [data/features, fares.py], outs: [fare.skops]}
"""
VIEWS = {
    "risk": {
        "pages": ["inventory", "approvals", "audit", "policy", "changes", "kpis"],
        "without_columns": ["seat_owner"],
    },
    "operations": {"models": ["delay"], "without_columns": ["carrier"]},
}
COLUMNS = ("distance", "carrier", "seat_owner")


def facts_of(shown: Gated[MemoryTown], **changes: Any) -> SiteFacts:
    with shown.town.place("olga") as place:
        return gather(source_of(shown, place, **changes))


@dataclass(frozen=True)
class Gathered:
    """The facts, once more, without a forge, and where nothing says whose repository it is."""

    facts: SiteFacts
    again: SiteFacts
    clone: SiteFacts
    nameless: SiteFacts


def gathered_from(shown: Gated[MemoryTown]) -> Gathered:
    alone = source_of(shown, None)
    return Gathered(facts_of(shown), facts_of(shown), gather(alone), gather(replace(alone, env={})))


# As `gitml bias --json` tells it.
BIAS = {
    "model": "delay", "kind": "selection", "data": "logged answers of production", "source": "Passengers of March",
    "people": 1200, "median": None, "versions": [], "measures": [], "tables": [
        {"title": "Sex", "unknown": 12, "categories": [
            {"category": ["Female"], "people": 600, "selected": 150, "rate": 0.25, "rate_low": 0.22, "rate_high": 0.29,
             "impact_ratio": 0.8333, "ratio_low": 0.7, "ratio_high": 0.99, "note": ""},
            {"category": ["Other"], "people": None, "selected": None, "rate": 0.3, "impact_ratio": 1.0,
             "note": "count not shown"},
        ]},
    ],
}  # fmt: skip


def source_of(shown: Gated[MemoryTown], place: Place | None, **changes: Any) -> SiteSource:
    settings = shown.town.settings("olga")
    env = {"GITML_FORGE": "memory", "GITHUB_REPOSITORY": settings.repository, "PATH": os.environ["PATH"]}
    given = {"root": shown.town.here, "env": env, "place": place, "now": NOW, "bias": {"delay": BIAS}, **changes}
    return SiteSource(**given)


def dated(facts: SiteFacts) -> SiteFacts:
    """Its commits were made within a minute: here they lie between the evidence's first and last day."""
    step = timedelta(days=71) / max(len(facts.commits) - 1, 1)
    oldest_first = enumerate(reversed(facts.commits))
    when = {c.commit: f"{datetime(2026, 2, 2, 9) + place * step:%Y-%m-%dT%H:%M:%SZ}" for place, c in oldest_first}
    return replace(
        facts,
        time=when[facts.commit],
        commits=tuple(replace(one, time=when[one.commit]) for one in facts.commits),
        deployments=tuple(replace(one, time=when[one.commit]) for one in facts.deployments),
        policies=tuple(replace(one, time=when[one.commit]) for one in facts.policies),
        states=tuple(replace(one, since=when[one.commit]) for one in facts.states),
    )


def gallery(template: Gated[MemoryTown], folder: Path, *, whole: bool = False) -> Gated[MemoryTown]:
    """Built in order; each step leaves a state that people have. ``whole``: the first version came by evidence too."""
    made = copied_gated(template, folder)
    town = made.town
    town.now = datetime(2026, 2, 2, 9, tzinfo=UTC)
    town.push(
        {"gitml.yaml": APPLICATION, "dvc.yaml": PIPELINE, "params.yaml": "window: 30\n"}, "Describe the models (#3)"
    )
    purposes = [*PURPOSES, "look", "canary", "impact", "served"]
    public = keys("")["ci"] | {"public": made.policy["keys"]["ci"]["public"], "purposes": purposes}
    environments = {**POLICY["environments"], "production": {**POLICY["environments"]["production"], "canary": {}}}
    freeze = {"from": "2026-05-01", "until": "2026-05-04", "reason": "Long weekend", "environments": ["production"]}
    made.rules(keys={"ci": public}, environments=environments, views=VIEWS, freezes=[freeze])
    first = _version(town, 1, auc=0.71, rows=120_000)
    for environment, approvers in (("staging", ("olga",)), ("production", ("olga", "rita"))):
        if whole:
            _promoted(made, first, environment, approvers)
        else:
            town.put(environment, Deployment(champion=pin(first)))
    second = _version(town, 2, auc=0.74, rows=134_000)
    _promoted(made, second, "staging", ("olga",))
    _promoted(made, second, "production", ("olga", "rita"))
    town.train(7, model="fare", metrics={"mae": {"value": 12.5, "low": 12.1, "high": 12.9}})
    third = _version(town, 3, auc=0.745, rows=140_500, said=retraining.title("delay", "drift"))
    if whole:
        _promoted(made, third, "staging", ("olga",))
    else:
        town.put("staging", Deployment(champion=pin(third)))
    _waiting(made, third)
    _looks(made, second)
    _candidate(made, second, third)
    _impact(made, second)
    _hours(made, second)
    town.now = NOW
    _fetched(made)
    return made


def _fetched(made: Gated[MemoryTown]) -> None:
    """The clone has what the forge has, as after `git fetch`."""
    git(made.town.here, "fetch", "-q", "origin")
    with made.town.place("olga") as place:
        for branch in (ledger.BRANCH, ledger.LOOKS, ledger.SERVED):
            ledger.fetch(place.root, place.remote, branch)


def _version(town: MemoryTown, seed: int, *, auc: float, rows: int, said: str = "") -> Record:
    """A version with data, a signature and groups of rows."""
    town.now += timedelta(days=9)
    slices = [
        {"column": column, "value": value, "rows": 500 + seed, "metrics": {"auc": auc - 0.02}}
        for column, value in (("carrier", "UA"), ("carrier", "DL"), ("seat_owner", "Ada Lovelace"))
    ]
    text = json.dumps(slices)
    files = {
        "model.skops": {"sha256": f"{seed:064x}", "size": 1_500_000 + seed},
        "data/features": {
            "sha256": f"{seed + 100:064x}", "size": 8_000_000, "rows": rows,
            "missing": {"distance": 0.0, "carrier": 0.013},
        },
        "slices.json": {"sha256": hashlib.sha256(text.encode()).hexdigest(), "size": len(text)},
    }  # fmt: skip
    signature = {
        "inputs": [{"name": name, "type": "string" if name != "distance" else "double"} for name in COLUMNS],
        "outputs": [{"name": "late", "type": "double"}],
        "data_until": f"2026-0{seed}-28",
    }
    told = json.dumps(signature)
    files["signature.json"] = {"sha256": hashlib.sha256(told.encode()).hexdigest(), "size": len(told)}
    town.push({"slices.json": text, "signature.json": told}, f"{said or f'Train on {rows:,} rows'} (#{10 + seed})")
    metrics = {
        "auc": {"value": auc, "low": auc - 0.012, "high": auc + 0.012},
        "cost": {"value": 12.0 - seed, "low": 11.0 - seed, "high": 13.0 - seed},
    }
    roles = {"slices": "slices.json", "signature": "signature.json"}
    # A digest that differs where it is shown, at its beginning.
    return town.train(seed << 120, files=files, signature=signature, roles=roles, metrics=metrics)


def _promoted(made: Gated[MemoryTown], version: Record, to: str, approvers: tuple[str, ...]) -> int:
    """Proposed, judged, approved, merged, recorded, and served."""
    town = made.town
    town.now += timedelta(hours=3)
    made.prove(version, "trained", "evaluated")
    number = town.promote(version, to).pull.number
    for login in approvers:
        made.approve(number, login)
    made.one(number)
    town.now += timedelta(minutes=20)
    town.merge(number, "olga")
    with made.place() as place:
        record(place, RecordOrder(made.key, RUN, "1" * 40))
    town.now += timedelta(minutes=1)
    _served(made, version, to)
    return number


def _served(made: Gated[MemoryTown], version: Record, environment: str) -> None:
    with made.ground() as (place, known):
        artifact = version.files[version.artifact].sha256
        about = {"model": version.model, "version": version.version, "artifact": artifact, "environment": environment}
        said = bound(place, "deployed", RUN, head=known.main.commit, **about)
        Signer(place, known.policy, made.key).sign([Statement(said, {"reason": "serves", "seconds": 3.25})])


def _waiting(made: Gated[MemoryTown], version: Record) -> None:
    """One approval of two is there."""
    made.town.now += timedelta(hours=2)
    made.prove(version, "trained", "evaluated")
    number = made.town.promote(version, "production").pull.number
    made.approve(number, "olga")
    made.one(number)


def _looks(made: Gated[MemoryTown], version: Record) -> None:
    """Ten weeks: the third last and the newest fail."""
    statements = []
    with made.ground() as (place, known):
        for week in range(10):
            details = look_of(week, version, failed=week in (7, 9))
            made.town.now = FIRST + (week + 1) * WEEK + timedelta(hours=1)
            result = "failed" if details["look"]["phase"] == "failed" else "passed"
            about = {
                "model": "delay", "environment": "production", "version": version.version, "result": result,
                "artifact": version.files[version.artifact].sha256,
            }  # fmt: skip
            statements.append(Statement(bound(place, "look", RUN, **about), details))
        Signer(place, known.policy, made.key).sign(statements, branch=ledger.LOOKS, message="Looks\n")


def look_of(week: int, version: Record, *, failed: bool = False) -> dict[str, Any]:
    since = FIRST + week * WEEK
    sketch = {"rows": [1000 + week]}
    places = enumerate(COLUMNS)
    drift = [_drift(name, 0.02 + 0.004 * week * (0, 1, 0.5)[n], drifted=failed and n == 1) for n, name in places]
    series = [_scored(FIRST + one * WEEK, one, week) for one in range(week + 1)]
    rule = {"rule": "unseen", "column": "carrier", "expected": "at most 1.0%", "seen": "22.6%", "since": stamp(since)}
    word = "failed" if failed else "successful"
    verdicts = {
        "quality": _verdict(word, "carrier: unseen: 22.6%" if failed else "every rule is kept"),
        "drift": _verdict(word, "carrier has drifted" if failed else "no column has drifted"),
        "harm": _verdict("inconclusive", "too few labels to tell"),
    }
    look = {
        "model": "delay", "environment": "production", "version": version.version, "since": stamp(since),
        "until": stamp(since + WEEK), "at": stamp(since + WEEK), "next_look": stamp(since + 2 * WEEK),
        "scheduled": True, "phase": word, "verdicts": verdicts, "rows": 14_000 + 37 * week,
        "looks": [{"since": stamp(since), "rows": 10, "sketch": digest_of(sketch)}],
        "quality": [rule] if failed else [], "drift": drift,
        "performance": {"metrics": [], "series": series},
    }  # fmt: skip
    return {
        "format": FORMAT, "id": look_id(ToldLook.model_validate(look), "c" * 64), "configuration": "c" * 64,
        "inputs": {"traffic": "a" * 64, "settings": "d" * 64}, "look": look, "sketch": sketch, "disagrees": [],
        "spent": {"year": 2026, "looks": week + 1, "share": round(0.02 * (week + 1), 6)},
    }  # fmt: skip


def _verdict(phase: str, reason: str) -> Mapping[str, Any]:
    return {"phase": phase, "reason": reason, "measurements": {}}


def _drift(column: str, effect: float, *, drifted: bool) -> dict[str, Any]:
    values = {"estimate": effect, "low": effect - 0.01, "high": effect + 0.01, "floor": 0.05, "drifted": drifted}
    return {
        "column": column,
        "output": False,
        "drifted": drifted,
        "values": values,
        "moved": "UA 33 % → 0 %",
        "muted": "",
    }


def _scored(since: datetime, place: int, newest: int) -> dict[str, Any]:
    """Labels of the newest two weeks have not come."""
    value = 0.74 - 0.004 * place
    score = {"metric": "auc", "value": value, "low": value - 0.02, "high": value + 0.02, "evaluated": 0.74}
    kind = "measured" if place < newest - 1 else "estimated"
    return {"since": stamp(since), "until": stamp(since + WEEK), "labels": 900, kind: [score]}


def _impact(made: Gated[MemoryTown], version: Record) -> None:
    """What a KPI did in the two weeks after the second version came to production."""
    with made.ground() as (place, known):
        states = known.main.history("models/delay/production.yaml")
        past = next(one for one in states if version.version in str(one.content) and "canary" not in str(one.content))
        change = {
            "moment": "2026-02-20T15:00:00Z", "model": "delay", "environment": "production", "kind": "promotion",
            "version": version.version, "before": "", "commit": past.commit, "pull": 2,
        }  # fmt: skip
        result = {
            "kpi": "on_time", "unit": "USD", "days": 14, "phase": "successful", "before": 410.0, "effect": 31.0,
            "low": 12.0, "high": 50.0, "a_month": [930.0, 360.0, 1500.0], "currency": "USD",
            "reason": "rose by 31 a day than the weeks before suggest, which is better: an association, not a cause",
        }  # fmt: skip
        paid = {
            "currency": "USD", "once": 142.5, "training": 52.5, "review": 90.0, "monthly": 120.0,
            "gain": [930.0, 360.0, 1500.0], "pays_back": 142.5 / 810, "unknown": [],
        }  # fmt: skip
        causal = [
            {
                "kpi": "on_time",
                "phase": "successful",
                "reason": "higher by unit",
                "difference": 0.4,
                "low": 0.1,
                "high": 0.7,
            }
        ]
        found = {"change": change, "results": [result], "causal": causal, "returns": paid}
        told = impact_details(found, 14, "c" * 64, place.clock())
        about = {"model": "delay", "environment": "production", "version": version.version}
        said = bound(place, "impact", RUN, head=past.commit, **about)
        Signer(place, known.policy, made.key).sign([Statement(said, told)], branch=ledger.LOOKS)


def _candidate(made: Gated[MemoryTown], champion: Record, candidate: Record) -> None:
    """A canary in production that has not passed yet."""
    town = made.town
    state = town.state("production")
    given = {"version": candidate.version, "digest": candidate.files[candidate.artifact].sha256}
    beside = Deployment(champion=state.champion, canary=Canary(**given, weight=10))
    town.put("production", beside, "Try it on 10 % (#40)")
    began = town.now - timedelta(days=3)
    arms = [{"version": pin(one).version, "artifact": pin(one).digest} for one in (candidate, champion)]
    points = [_point(began + timedelta(hours=6 * n), 0.001 * n, 0.05 / n) for n in range(1, 12)]
    both = {"champion": 900, "candidate": 100}
    told = {
        "model": "delay", "environment": "production", "mode": "split", "scheduled": True, "candidate": arms[0],
        "champion": arms[1], "rules": "c" * 64, "since": stamp(began), "until": stamp(town.now), "at": stamp(town.now),
        "next_look": stamp(town.now + timedelta(hours=6)), "phase": "inconclusive",
        "reason": "too few requests: about 1,200 more, 3 days",
        "parts": [part("errors", of="guardrail"), part("auc", "inconclusive")],
        "epochs": [{"weight": 10, "since": stamp(began), "until": stamp(town.now), "units": both}],
        "labels": {"coverage": {"champion": 0.9, "candidate": 0.9}, "delay_days": 0.5}, "series": points,
        "step": {"weight": 10, "next": 50, "ready": False},
    }  # fmt: skip
    with made.ground() as (place, known):
        about = {"model": "delay", "environment": "production", **arms[0]}
        said = bound(place, "canary", RUN, result="inconclusive", **about)
        Signer(place, known.policy, made.key).sign([Statement(said, canary_details(told))], branch=ledger.LOOKS)


def _point(at: datetime, difference: float, width: float) -> dict[str, Any]:
    return {"at": stamp(at), "difference": difference, "low": difference - width, "high": difference + width}


def _hours(made: Gated[MemoryTown], version: Record) -> None:
    """Three days of an agent, with a night in which it was gone; the newest hour has errors."""
    buckets = (30, 90, 160, 90, 25, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    statements = []
    with made.ground() as (place, known):
        for ago in range(72, 0, -1):
            if 30 < ago < 38:
                continue
            until = NOW - timedelta(hours=ago - 1)
            busy = 1 + (until.hour % 12)
            count = {
                "model": "delay", "version": version.version, "variant": "champion", "rows": 400 * busy,
                "errors": 7 if ago == 1 else 0, "refused": busy, "buckets": [n * busy for n in buckets],
            }  # fmt: skip
            details = {
                "format": 1, "agent": "server-1", "since": stamp(until - timedelta(hours=1)), "until": stamp(until),
                "watched": 3600.0, "up": 3590.0 if ago == 1 else 3600.0, "restarts": int(ago == 1), "cpu": 90.0 * busy,
                "memory": 210_000_000 + 1_000_000 * busy, "bounds": list(SECONDS), "counts": [count],
            }  # fmt: skip
            made.town.now = until
            said = bound(place, "served", RUN, head=known.main.commit, environment="production")
            statements.append(Statement(said, details))
        Signer(place, known.policy, made.key).sign(statements, branch=ledger.SERVED, message="Hours\n")
