"""What KPIs did after a change: found where there is no key, signed where no fact is read, told on its pull request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml

from evidence.evidence_kit import key_pair
from forges.homes import JOBS
from gitml.cijobs.canarylooking import Judge
from gitml.cijobs.impactsigning import sign_impacts
from gitml.cijobs.lookfile import LookFile, read_impacts, write_looks
from gitml.cijobs.looking import LookRound, evaluate
from gitml.cijobs.lookposting import LooksTold, publish
from gitml.cijobs.looksigning import SignedLooks, SignOrder
from gitml.control.ledger import Here
from gitml.control.looks import heard_impacts
from gitml.control.mainline import Mainline
from gitml.control.served import served_changes
from gitml.control.signing import Signer, bound, heard, rules_of
from gitml.errors import IntegrityError, SpecError
from gitml.evidence.impacts import SignedImpact
from gitml.evidence.keys import SigningKey
from gitml.evidence.statement import SignedChange, Statement
from gitml.forges.job import ForgeJob
from gitml.gate.tree import blob_at
from gitml.inference.impact import ImpactCall, impacts
from gitml.inference.monitor import MonitorCall
from gitml.spec import Deployment
from gitml.spec.deployment import render_deployment
from promotion.promoting import GITML, POLICY, MemoryTown, new_town, pin
from sandbox.forge_kit import git
from success.impact_kit import noise

pytest.importorskip("statsmodels")
CHANGED = datetime(2026, 3, 16, 9, tzinfo=UTC)
RUN = "https://forge.example/runs/7"
KPIS = """\
monitors: {models: {delay: {watch: []}}}
kpis:
  revenue: {table: facts.csv, unit: USD, empty: zero}
costs: {currency: USD, serving_month: {delay: 40}, review_hour: 80}
"""


def facts(effect: float = 6.0) -> str:
    first, days = CHANGED.replace(hour=12) - timedelta(days=70), 100
    values = 100 + noise("iid", days, 1)
    values[71:] += effect
    rows = [f"u,{first + timedelta(days=n):%Y-%m-%d %H:%M:%S},{value:.4f}" for n, value in enumerate(values)]
    return "\n".join(["unit,time,value", *rows, ""])


@dataclass
class BusinessTown:
    town: MemoryTown
    key: SigningKey
    pull: int
    runs: int = 0

    def evaluate(self, days: int) -> LookRound:
        here = self.town.here
        self.town.now = CHANGED + timedelta(days=days)
        git(here, "fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*")
        git(here, "reset", "-q", "--hard", "origin/main")
        known = Here(here, {"GITML_FORGE": "memory", "GITML_MEMORY": str(self.town.forge.remote)})
        nobody: Judge = lambda one, at: {}  # noqa: E731
        return evaluate(here, known, MonitorCall("", at=self.town.now), RUN, nobody)

    def sign(self) -> SignedLooks:
        with self.town.place(f"job:{JOBS}") as place:
            return sign_impacts(place, SignOrder(self.key, RUN, self.town.branch("main")))

    def publish(self) -> LooksTold:
        self.runs += 1
        with self.town.place(f"job:{JOBS}") as place:
            return publish(place, ForgeJob(is_ci=True, run=self.runs, attempt=1), {"PATH": ""})

    def signed(self) -> tuple[SignedImpact, ...]:
        with self.town.place() as place:
            return heard_impacts(place, rules_of(place, place.newest().policy()))

    def handed(self) -> Path:
        return self.town.here / ".gitml-ci"


@pytest.fixture
def business(tmp_path: Path) -> BusinessTown:
    town = new_town(tmp_path)
    ci, looks = key_pair(), key_pair()
    keys = {
        "ci": {"public": ci[1], "owner": "CI", "purposes": ["promoted", "approved"], "from": "2025-01-01"},
        "looks": {"public": looks[1], "owner": "CI", "purposes": ["look"], "from": "2025-01-01"},
    }
    town.now = CHANGED
    policy = yaml.safe_dump({**POLICY, "keys": keys}, sort_keys=False)
    town.push({"policy.yaml": policy, "gitml.yaml": GITML + KPIS, "facts.csv": facts()}, "KPIs")
    old, new = town.train(1), town.train(2)
    town.put("production", Deployment(champion=pin(old)))
    text = render_deployment(Deployment(champion=pin(new)))
    number = town.pull_of({"models/delay/production.yaml": text}, "gitml/promote/delay/production/x", "ada")
    commit = town.merge(number)
    with town.place() as place:
        main = place.newest(whole=True)
        base = git(place.root, "rev-parse", f"{commit}^1").strip()
        path = "models/delay/production.yaml"
        change = SignedChange(path=path, old=blob_at(main.git, base, path), new=blob_at(main.git, commit, path))
        about = {
            "model": "delay", "environment": "production", "version": new.version, "change": change, "pull": number,
            "artifact": pin(new).digest, "head": commit, "base": base,
        }  # fmt: skip
        statement = Statement(bound(place, "promoted", RUN, **about), {"commit": commit})
        Signer(place, main.policy(), ci[0]).sign([statement])
    return BusinessTown(town, looks[0], number)


def test_a_change_is_told_on_its_pull_request_once_and_kept_up_to_date(business: BusinessTown) -> None:
    assert business.evaluate(8).impacts == (), "the seventh day is over, and not mature"
    (held,) = business.evaluate(9).impacts
    assert (held.due.days, held.later, held.due.change.kind) == (7, "", "promotion")
    assert len(business.sign().events) == 1
    assert business.sign().passed_over, "nothing is signed twice"
    assert business.publish().impacts[0].comments == {business.pull: "posted"}
    assert business.publish().impacts[0].comments == {business.pull: "updated"}, "by the newer run, and nothing new"
    assert business.evaluate(10).impacts == ()
    assert [one.due.days for one in business.evaluate(16).impacts] == [14]
    business.sign()
    assert business.publish().impacts[0].comments == {business.pull: "updated"}
    (body,) = business.town.comments(business.pull)
    assert "After 14 days `revenue` is better than the weeks before suggest" in body
    assert "An association: nobody chose by lot" in body
    assert "Told again when 28 days are over." in body
    assert "**Return.** It brings +1" in body
    said = git(business.town.forge.remote, "log", "-1", "--format=%B", "refs/heads/gitml-looked")
    # The 28 days after the 16th end with the 13th of April, and are mature a day later.
    assert "Next look: 2026-04-15T00:00:00Z" in said
    assert [one.details.days for one in business.signed()] == [7, 14]


def test_the_command_shows_the_same(business: BusinessTown, monkeypatch: pytest.MonkeyPatch) -> None:
    business.evaluate(9)
    monkeypatch.setenv("GITML_FORGE", "memory")
    monkeypatch.setenv("GITML_MEMORY", str(business.town.forge.remote))
    (found,) = impacts(business.town.here, ImpactCall(at=business.town.now)).changes
    assert [(one.kpi, one.days) for one in found.results] == [("revenue", 7)]
    assert found.waits == (14, 28)
    assert impacts(business.town.here, ImpactCall(environment="staging", at=business.town.now)).changes == ()


def test_what_cannot_be_read_stays_due_and_is_given_up_after_two_weeks(business: BusinessTown) -> None:
    business.town.push({"facts.csv": None}, "gone")
    (held,) = business.evaluate(9).impacts
    assert "the table facts.csv is not here" in held.later
    assert read_impacts(business.handed(), RUN, business.town.branch("main")) == ()
    assert [one.due.days for one in business.evaluate(20).impacts] == [7, 14]
    assert business.evaluate(60).impacts == ()


def test_a_hand_over_that_does_not_fit_is_not_signed(business: BusinessTown) -> None:
    business.evaluate(9)
    commit = business.town.branch("main")
    ((raw, details),) = read_impacts(business.handed(), RUN, commit)
    told = dict(raw["impact"])

    def hand(**changes: object) -> None:
        write_looks(business.handed(), LookFile(commit=commit, run=RUN, impacts=[{**raw, **changes}]))

    hand(configuration="0" * 64)
    with pytest.raises(IntegrityError, match="of other KPIs than main has"):
        business.sign()
    hand(at="2026-03-20T00:00:00Z")
    with pytest.raises(IntegrityError, match="days that are not over"):
        business.sign()
    hand(at="2027-03-20T00:00:00Z")
    with pytest.raises(IntegrityError, match="of the future"):
        business.sign()
    hand(impact={**told, "change": {**told["change"], "moment": "2026-03-01T00:00:00Z"}})
    with pytest.raises(IntegrityError, match="the ledger does not know"):
        business.sign()
    hand(impact={**told, "change": {**told["change"], "commit": "1" * 40}})
    with pytest.raises(SpecError, match="id is not that"):
        business.sign()
    hand(impact={**told, "results": [{**told["results"][0], "kpi": "other"}]})
    with pytest.raises(IntegrityError, match="does not tell of all KPIs"):
        business.sign()
    assert details.days == 7
    assert business.signed() == ()


def test_weights_and_holds(business: BusinessTown) -> None:
    """A hold changes nothing that serves."""
    with business.town.place() as place:
        main = Mainline(place.git, place.newest(whole=True).commit)
        (change,) = served_changes(heard(place, main.policy()).believed, main)
    assert (change.kind, change.pull, change.moment) == ("promotion", business.pull, CHANGED)
    assert np.all([change.before, change.version])
