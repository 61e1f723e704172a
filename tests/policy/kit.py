"""Facts that pass everything, to be spoiled one at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gitml.evidence.statement import Binding, Statement
from gitml.evidence.trust import Believed
from gitml.gates.facts import (
    Commit,
    Facts,
    JudgedBeside,
    MonitorLook,
    Person,
    RulesOfTest,
    Unknown,
    UpstreamFact,
    Version,
)
from gitml.policy.facts import Case, CountedReview, Pull
from gitml.spec.deployment import Deployment, Pin
from gitml.spec.policy import Policy
from gitml.stats.comparison import Estimate
from gitml.verdict import Phase, Verdict

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
REPOSITORY = "acme/flights"
HEAD = "a" * 40
NEW, OLD = "20261124T120000Z-aaaaaaaa", "20261101T120000Z-bbbbbbbb"
NEW_FILE, OLD_FILE = "1" * 64, "2" * 64
ADA, OLGA, RITA, BOB = Person("ada", 1), Person("olga", 2), Person("rita", 3), Person("bob", 4)
BOT = Person("gitml[bot]", 99, bot=True)


def near(value: float, apart: float = 0.0005) -> Estimate:
    return Estimate(value, value - 0.01, value + 0.01, tuple(value + apart * (i - 20) for i in range(41)))


def version(name: str = NEW, artifact: str = NEW_FILE, **changes: Any) -> Version:
    start = Version(
        model="delay",
        version=name,
        digest=name[-8:] * 8,
        artifact=artifact,
        format="skops",
        size=1_500_000,
        verified="read from the cache",
        metrics={"auc": near(0.7), "cost": near(11.0)},
        better={"auc": "higher", "cost": "lower"},
        resamples="rows:7",
        slices=[
            {"column": "origin", "value": "EWR", "rows": 6000, "metrics": {"recall": {"value": 0.6}, "auc": 0.7}},
            {"column": "origin", "value": "JFK", "rows": 6000, "metrics": {"recall": {"value": 0.5}, "auc": 0.65}},
            {"column": "origin", "value": "TTN", "rows": 3, "too_small": True},
        ],
        signature={
            "inputs": [
                {"name": "carrier", "type": "string", "categories": ["AA", "UA"]},
                {"name": "age", "type": "float64", "nullable": True},
            ],
            "outputs": [{"name": "p_late", "type": "float64"}],
        },
        data_until=NOW - timedelta(days=30),
        bias_audited=NOW - timedelta(days=200),
        authors=(Commit("c" * 40, (ADA,)),),
    )
    return replace(start, **changes)


def proof(kind: str, **changes: Any) -> Believed:
    """A believed statement. ``changes`` are of it (``why_not``, ``owner``, ``details``), or of its binding."""
    own = {name: changes.pop(name) for name in ("why_not", "owner") if name in changes}
    details, new = changes.pop("details", {}), changes.pop("new", "")
    time = changes.pop("time", NOW - timedelta(days=1))
    change = {"path": "models/delay/production.yaml", "old": "", "new": new} if new else None
    about = {
        "kind": kind,
        "repository": REPOSITORY,
        "time": f"{time:%Y-%m-%dT%H:%M:%SZ}",
        "model": "delay",
        "version": NEW,
        "artifact": NEW_FILE,
        "change": change,
        **changes,
    }
    return Believed(Statement(Binding.model_validate(about), details), "ci", **{"why_not": "", **own})


def altered(one: Believed, **changes: Any) -> Believed:
    """The same with something else; what changes as for ``proof``."""
    told: dict[str, Any] = {} if one.binding is None else one.binding.model_dump(exclude={"format", "change", "time"})
    told |= {"time": one.time, "new": one.new, "details": one.details, "why_not": one.why_not, "owner": one.owner}
    return proof(**{**told, **changes})


PROOFS = (
    proof("trained", by="ada"),
    proof("evaluated", details={"latency_ms_p95": 4.5, "rows_per_second": 9000.0, "rows": 300, "parity": True}),
    proof("reproduced"),
    proof("promoted", environment="staging"),
    proof("reviewed", version=OLD, artifact=OLD_FILE, by="rita"),
)


def look(hours: float = 1, **changes: Any) -> MonitorLook:
    """Of a window that ended so many hours ago, at the candidate in staging."""
    until = NOW - timedelta(hours=hours)
    fine = {part: Verdict(Phase.SUCCESSFUL, f"{part} is fine") for part in ("quality", "drift", "harm")}
    start = MonitorLook(
        f"look-{hours}", until + timedelta(minutes=5), REPOSITORY, "delay", "staging", NEW, NEW_FILE, until, fine
    )
    return replace(start, **changes)


RULES = RulesOfTest("c" * 64, ("shadow", "split"))


def beside(hours: float = 1, phase: str = "successful", **changes: Any) -> JudgedBeside:
    """Up to so many hours ago, of the candidate in production beside the old champion."""
    until = NOW - timedelta(hours=hours)
    start = JudgedBeside(
        f"canary-{hours}", until + timedelta(minutes=5), REPOSITORY, "delay", "production", (NEW, NEW_FILE),
        (OLD, OLD_FILE), RULES.digest, "split", until, Phase(phase), "accuracy is not worse",
    )  # fmt: skip
    return replace(start, **changes)


def facts(**changes: Any) -> Facts:
    start = Facts(
        now=NOW,
        repository=REPOSITORY,
        environment="production",
        candidate=version(),
        champion=version(OLD, OLD_FILE),
        order=("staging", "production"),
        pinned=frozenset({"staging"}),
        proofs=PROOFS,
        looks=(look(),),
        judged_beside=(beside(),),
        test_rules=RULES,
        upstreams=(upstream(),),
        review_within=timedelta(days=365),
        changed={"use": (), "signature": (), "code": ("train.py",)},
    )
    return replace(start, **changes)


USED, OTHER = ("20261101T080000Z-dddddddd", "3" * 64), ("20261120T080000Z-eeeeeeee", "4" * 64)


def upstream(**changes: Any) -> UpstreamFact:
    """The candidate was made with what runs."""
    start = UpstreamFact("demand", "demand", "production", (USED,), USED, "its stages read demand.skops")
    return replace(start, **changes)


def review(person: Person, state: str = "APPROVED", commit: str = HEAD, minutes: int = 0) -> CountedReview:
    return CountedReview(person, state, commit, NOW - timedelta(hours=1) + timedelta(minutes=minutes))


def pull(**changes: Any) -> Pull:
    start = Pull(
        head=HEAD,
        author=BOT,
        pushers=(BOT,),
        number=7,
        asked_by=(ADA,),
        commits=(Commit(HEAD, (BOT,)),),
        reviews=(review(OLGA), review(RITA)),
    )
    return replace(start, **changes)


def pin(name: str = NEW, artifact: str = NEW_FILE) -> Pin:
    return Pin(version=name, digest=artifact)


def case(**changes: Any) -> Case:
    found = changes.pop("facts", None) or facts()
    known: Facts | Unknown = found
    start = Case(
        now=NOW,
        repository=REPOSITORY,
        model="delay",
        environment="production",
        old=Deployment(champion=pin(OLD, OLD_FILE)),
        new=Deployment(champion=pin()),
        candidates=(("champion", NEW, known),),
        pull=pull(),
        blob="f" * 40,
        proofs=PROOFS,
    )
    return replace(start, **changes)


def rules(**changes: Any) -> Policy:
    start: dict[str, Any] = {
        "roles": {
            "data-science": {"people": ["ada"]},
            "operations": {"people": ["olga", {"login": "bob", "id": 4}]},
            "risk": {"people": ["rita"]},
        },
        "environments": {
            "staging": {"approvals": {"operations": 1}},
            "production": {
                "approvals": {"operations": 1, "risk": 1},
                "canary": {},
                "gates": {
                    "format": ["skops", "safetensors"],
                    "metrics": {"auc": {"at_least": 0.65}},
                    "champion": {"auc": {"margin": 0.01}, "cost": {"margin": 0.2}},
                    "reproduced": True,
                    "signature": "compatible",
                    "data_age": "60d",
                    "size": "50MB",
                    "latency": "20ms",
                    "capacity": "500/s",
                    "slices": [{"column": "origin", "metric": "auc", "at_least": 0.6, "min_rows": 500}],
                    "fairness": [{"column": "origin", "metric": "recall", "ratio_at_least": 0.8, "min_rows": 500}],
                    "audit_age": "365d",
                    "review_age": True,
                    "substantial": {"of": ["use", "signature"]},
                    "quality": "2d",
                    "drift": {"within": "8d"},
                    "harm": {"within": "14d", "in": "staging"},
                    "canary": True,
                    "upstream": "required",
                    "evidence": {"trained": "90d", "evaluated": "30d"},
                },
            },
        },
    }
    return Policy.model_validate({**start, **changes})
