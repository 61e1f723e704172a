"""What KPIs did after a change: found where there is no key, signed where no fact is read, told on its pull request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from evidence.canary_kit import evaluation, part
from evidence.evidence_kit import key_pair
from evidence.look_kit import WEEK, look_details, stamp
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
from gitml.evidence.canaries import canary_details
from gitml.evidence.impacts import SignedImpact, signed_days
from gitml.evidence.keys import SigningKey
from gitml.evidence.statement import SignedChange, Statement
from gitml.forges.job import ForgeJob
from gitml.gate.tree import blob_at
from gitml.git.ledger import BRANCH as LEDGER
from gitml.git.ledger import LOOKS
from gitml.inference.impact import ImpactCall, impacts
from gitml.inference.monitor import MonitorCall
from gitml.registry.record import Record
from gitml.spec import Deployment
from gitml.spec.deployment import Canary, Hold, render_deployment
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
costs: {currency: USD, serving_month: {delay: 40}, review_hour: 80, runner_minute: {cpu: 0.5}}
"""


def facts(effect: float = 6.0) -> str:
    first, days = CHANGED.replace(hour=12) - timedelta(days=70), 100
    values = 100 + noise("iid", days, 1)
    values[71:] += effect
    rows = [f"u,{first + timedelta(days=n):%Y-%m-%d %H:%M:%S},{value:.4f}" for n, value in enumerate(values)]
    return "\n".join(["unit,time,value", *rows, ""])


@dataclass
class BusinessTown:
    """``pull`` brought ``new`` to production, where ``old`` was. ``key`` signs looks, ``ci`` what became of main."""

    town: MemoryTown
    key: SigningKey
    ci: SigningKey
    old: Record
    new: Record
    pull: int = 0
    runs: int = 0

    def bring(self, state: Deployment, kind: str = "promoted") -> int:
        """The deployment by a pull request, merged and recorded."""
        town, path = self.town, "models/delay/production.yaml"
        number = town.pull_of({path: render_deployment(state)}, f"gitml/promote/{town.branch('main')[:8]}", "ada")
        commit = town.merge(number)
        with town.place() as place:
            main = place.newest(whole=True)
            base = git(place.root, "rev-parse", f"{commit}^1").strip()
            change = SignedChange(path=path, old=blob_at(main.git, base, path), new=blob_at(main.git, commit, path))
            about = {
                "model": "delay", "environment": "production", "version": state.champion.version, "change": change,
                "pull": number, "artifact": state.champion.digest, "head": commit, "base": base,
            }  # fmt: skip
            approved = Statement(
                bound(place, "approved", RUN, **about), {"commit": commit, "approvers": ["olga", "rita"]}
            )
            statement = Statement(bound(place, kind, RUN, **about), {"commit": commit})
            Signer(place, main.policy(), self.ci).sign([approved, statement])
        return number

    def say(self, kind: str, details: Mapping[str, Any], version: Record | None = None, branch: str = LEDGER) -> None:
        """A statement about a version, by the key that may."""
        chosen = pin(version or self.new)
        with self.town.place() as place:
            main = place.newest()
            about = {"model": "delay", "version": chosen.version, "artifact": chosen.digest, "head": main.commit}
            where = {} if kind == "trained" else {"environment": "production"}
            signer = Signer(place, main.policy(), self.ci if kind == "trained" else self.key)
            signer.sign([Statement(bound(place, kind, RUN, **about, **where), details)], branch=branch)

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
        "ci": {
            "public": ci[1],
            "owner": "CI",
            "purposes": ["promoted", "rolled-back", "trained", "approved"],
            "from": "2025-01-01",
        },
        "looks": {"public": looks[1], "owner": "CI", "purposes": ["look", "canary"], "from": "2025-01-01"},
    }
    town.now = CHANGED
    policy = yaml.safe_dump({**POLICY, "keys": keys}, sort_keys=False)
    town.push({"policy.yaml": policy, "gitml.yaml": GITML + KPIS, "facts.csv": facts()}, "KPIs")
    old, new = town.train(1), town.train(2)
    town.put("production", Deployment(champion=pin(old)))
    made = BusinessTown(town, looks[0], ci[0], old, new)
    made.pull = made.bring(Deployment(champion=pin(new)))
    return made


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
    days = signed_days(business.signed())["revenue"]
    assert (min(days), max(days)) == ("2026-01-05", "2026-03-30")


def test_the_command_shows_the_same(business: BusinessTown, monkeypatch: pytest.MonkeyPatch) -> None:
    business.evaluate(9)
    monkeypatch.setenv("GITML_FORGE", "memory")
    monkeypatch.setenv("GITML_MEMORY", str(business.town.forge.remote))
    (found,) = impacts(business.town.here, ImpactCall(at=business.town.now)).changes
    assert [(one.kpi, one.days) for one in found.results] == [("revenue", 7)]
    assert found.waits == (14, 28)
    assert impacts(business.town.here, ImpactCall(environment="staging", at=business.town.now)).changes == ()


def test_what_a_change_took_and_what_the_split_found_before(
    business: BusinessTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = {
        name: {"version": one.version, "artifact": pin(one).digest}
        for name, one in (("candidate", business.new), ("champion", business.old))
    }
    parts = [part("errors", of="guardrail"), part("revenue (USD)", of="kpi")]
    trial = evaluation(model="delay", parts=parts, **arms)
    business.say("trained", {"seconds": {"train": 600.0}})
    business.say("canary", canary_details(trial), branch=LOOKS)
    weeks = [{"since": stamp(CHANGED - n * WEEK), "until": stamp(CHANGED - (n - 1) * WEEK)} for n in range(10, 0, -1)]
    measured = [{**week, "measured": [{"metric": "auc", "value": 0.7 + (n % 3) / 100}]} for n, week in enumerate(weeks)]
    look = look_details(0, version=business.old.version, model="delay")
    look["look"]["performance"] = {"series": measured}
    business.say("look", look, business.old, LOOKS)
    business.evaluate(9)
    monkeypatch.setenv("GITML_FORGE", "memory")
    monkeypatch.setenv("GITML_MEMORY", str(business.town.forge.remote))
    found = impacts(business.town.here, ImpactCall(at=business.town.now))
    (change,) = found.changes
    assert [(one.kpi, one.difference) for one in change.causal] == [("revenue", 0.02)]
    assert change.returns is not None
    assert (change.returns.once, change.returns.monthly, change.returns.unknown) == (10 * 0.5 + 2 * 0.5 * 80, 40, ())
    (beside,) = found.beside
    assert (beside.kpi, beside.metric, beside.found.windows) == ("revenue", "auc", 9)


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


def test_what_changes_nothing_that_serves_is_no_change(business: BusinessTown) -> None:
    """A hold is none; the weight of a canary, its end and a rollback are."""
    old, new = pin(business.old), pin(business.new)
    hold = Hold(by="olga", reason="holidays")
    canary = Canary(version=old.version, digest=old.digest, weight=10)
    states = [
        (Deployment(champion=new, hold=hold), "promoted"),
        (Deployment(champion=new, hold=hold, canary=canary), "promoted"),
        (Deployment(champion=new), "promoted"),
        (Deployment(champion=old, hold=hold), "rolled-back"),
    ]
    for hour, (state, kind) in enumerate(states, 1):
        business.town.now = CHANGED + timedelta(hours=hour)
        business.bring(state, kind)
    with business.town.place() as place:
        main = Mainline(place.git, place.newest(whole=True).commit)
        found = served_changes(heard(place, main.policy()).believed, main)
    told = [(one.kind, one.version, one.before, (one.moment - CHANGED) / timedelta(hours=1)) for one in found]
    first, second = business.old.version, business.new.version
    assert told == [
        ("promotion", second, first, 0),
        ("canary", first, second, 2),
        ("canary", first, second, 3),
        ("rollback", first, second, 4),
    ]
