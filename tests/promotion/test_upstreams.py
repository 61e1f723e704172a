"""Models that are built on others: what the gate asks of those, the order of promotions, and what goes stale."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitml.cijobs.lookposting import publish
from gitml.cijobs.propose import propose
from gitml.cijobs.upstreamtelling import ToldUpstreams
from gitml.control.upstreams import Upstreams
from gitml.errors import InconclusiveError
from gitml.evidence.keys import generate, signing_key
from gitml.forges.base import State
from gitml.forges.job import ForgeJob
from gitml.gates.facts import Unknown, UpstreamFact
from gitml.registry.record import Record
from gitml.retraining.upstream import changed_upstream
from gitml.spec import Deployment, render_deployment
from gitml.verdict import Phase, Verdict
from promotion.gating import Gated, new_gated
from promotion.looking import sign_look
from promotion.promoting import MemoryTown, new_town, pin
from promotion.upstreaming import APPLICATION, made, reading

pytestmark = pytest.mark.slow
WAYS = {"production": {"approvals": {"operations": 1}, "gates": {"upstream": "required"}}}


@pytest.fixture
def g(new_gated_here: Callable[..., Gated[MemoryTown]]) -> Gated[MemoryTown]:
    made = new_gated_here(environments=WAYS)
    made.town.push({"gitml.yaml": APPLICATION})
    return made


def brought(g: Gated[MemoryTown], record: Record, *, folder: str = "", **files: str) -> Record:
    """A version on main with evidence that it was trained, and can be used."""
    g.town.push({f"{folder}models/{record.model}/versions/{record.version}.json": record.to_json(), **files})
    g.prove(record, "trained", "evaluated")
    return record


def deployed(g: Gated[MemoryTown], record: Record, *, folder: str = "", signed: str = "promoted") -> None:
    state = render_deployment(Deployment(champion=pin(record)))
    g.town.push({f"{folder}models/{record.model}/production.yaml": state})
    if signed:
        g.prove(record, signed, environment="production")


def promoting(g: Gated[MemoryTown], record: Record) -> int:
    number = g.town.promote(record, "production", anyway=True).pull.number
    g.approve(number)
    return number


def verdict(g: Gated[MemoryTown], number: int, gate: str = "upstream") -> Verdict:
    judged = g.one(number).judged
    assert judged is not None
    assert judged.decision is not None
    return judged.decision.verdicts[gate]


def facts(g: Gated[MemoryTown], record: Record) -> tuple[UpstreamFact, ...]:
    with g.place() as place:
        found = Upstreams(place, place.newest(whole=True)).facts(record, "production")
    assert not isinstance(found, Unknown)
    return found


def moved_on(g: Gated[MemoryTown], model: str = "pricing") -> list[tuple[str, str, str]]:
    """What a retraining would be asked for."""
    with g.place() as place:
        main = place.newest(whole=True)
        found = changed_upstream(main.git, main.commit, model, datetime.now(UTC) + timedelta(hours=1))
    return [(one.upstream, one.trained_with, one.runs) for one in found]


@pytest.mark.nightly
def test_it_opens_only_while_what_it_was_made_with_runs_by_signed_evidence(g: Gated[MemoryTown]) -> None:
    one, two = brought(g, made("demand", 1)), brought(g, made("demand", 2))
    price = brought(g, made("pricing", 3, reading(one)))
    number = promoting(g, price)
    assert verdict(g, number).reason == "demand in production: nothing is deployed there"
    assert g.one(number).state is State.PENDING
    deployed(g, one, signed="")
    assert "no signed evidence says that it came there" in verdict(g, number).reason
    g.prove(one, "promoted", environment="staging")
    assert verdict(g, number).phase is Phase.INCONCLUSIVE, "evidence of another environment is none"
    g.prove(one, "promoted", environment="production")
    assert g.one(number).state is State.SUCCESS
    assert verdict(g, number).measurements == {"demand": one.version}

    deployed(g, two)
    found = verdict(g, number)
    assert found.phase is Phase.FAILED
    assert f"it was made with {one.version} (its stages read demand.skops)" in found.reason
    assert g.one(number).state is State.FAILURE
    (comment,) = g.comments(number)
    assert "train this model again" in comment
    accepts = {"upstream": {"accept": {"demand": [two.version]}}}
    g.rules(environments={"production": {**WAYS["production"], "gates": accepts}})
    assert g.one(number).state is State.SUCCESS


def test_a_new_champion_upstream_makes_a_retraining_due_until_a_version_knows_it(g: Gated[MemoryTown]) -> None:
    one, two = made("demand", 1), made("demand", 2)
    price, newer = made("pricing", 3, reading(one)), made("pricing", 4, reading(two))
    for record in (one, two, price):
        g.town.push({f"models/{record.model}/versions/{record.version}.json": record.to_json()})
    deployed(g, one, signed="")
    assert moved_on(g) == [], "pricing runs nowhere"
    deployed(g, price, signed="")
    assert moved_on(g) == []
    deployed(g, two, signed="")
    assert moved_on(g) == [("demand", one.version, two.version)]
    assert moved_on(g, "demand") == moved_on(g, "nothing") == []
    g.town.push({f"models/pricing/versions/{newer.version}.json": newer.to_json()})
    assert moved_on(g) == []


@pytest.mark.nightly
def test_where_agents_report_the_word_of_one_is_needed(g: Gated[MemoryTown]) -> None:
    one, two = brought(g, made("demand", 1)), brought(g, made("demand", 2))
    number = promoting(g, brought(g, made("pricing", 3, reading(two))))
    deployed(g, one, signed="deployed")
    deployed(g, two)
    assert "no agent has said yet that it serves" in verdict(g, number).reason
    g.prove(two, "deployed", environment="production", result="failed")
    assert "the agent says that" in verdict(g, number).reason
    g.town.now = g.town.now.replace(hour=13)
    g.prove(two, "deployed", environment="production")
    assert verdict(g, number).phase is Phase.SUCCESSFUL


def test_without_a_file_that_it_read_what_ran_when_it_was_made_counts(g: Gated[MemoryTown]) -> None:
    one, two = brought(g, made("demand", 1)), brought(g, made("demand", 2))
    deployed(g, one)
    early = brought(g, made("pricing", 3))
    (told,) = facts(g, early)
    assert isinstance(told.used, Unknown)
    assert "no version of demand was in production when it was made" in told.used.reason
    late = brought(g, made("pricing", 4, created="2099-01-01T00:00:00Z"))
    (told,) = facts(g, late)
    assert told.used == ((one.version, pin(one).digest),)
    deployed(g, two)
    (told,) = facts(g, late)
    assert told.used == (told.running,), "as main's history has it at that time"
    g.town.push({"gitml.yaml": APPLICATION.replace("demand: answers", "demand: {in: staging}")})
    (told,) = facts(g, late)
    assert (told.environment, told.running) == ("staging", Unknown("nothing is deployed there"))
    g.town.push({"gitml.yaml": APPLICATION})
    unknown = brought(g, made("pricing", 5, reading(made("demand", 9))))
    (told,) = facts(g, unknown)
    assert isinstance(told.used, Unknown)
    assert "in bytes that are of no version of demand on main" in told.used.reason


def test_an_edited_record_of_the_upstream_makes_nobody_its_user(g: Gated[MemoryTown]) -> None:
    one, two = brought(g, made("demand", 1)), brought(g, made("demand", 2))
    price = brought(g, made("pricing", 3, reading(one)))
    lie = two.to_json().replace(two.contents()["demand.skops"].digest, one.contents()["demand.skops"].digest)
    g.town.push({f"models/demand/versions/{two.version}.json": lie})
    deployed(g, two)
    (told,) = facts(g, price)
    assert told.used == ((one.version, pin(one).digest),)


def test_downstream_waits_while_an_upstream_s_promotion_is_open_and_says_so(g: Gated[MemoryTown]) -> None:
    one = brought(g, made("demand", 1))
    price = brought(g, made("pricing", 3, reading(one)))
    g.town.home.let("gitml-bot[bot]", "write")

    def turns() -> dict[str, str]:
        with g.town.place("gitml-bot[bot]") as place:
            return {turn.model: turn.said for turn in propose(place)}

    said = turns()
    first = next(pull for pull in g.town.pulls())
    assert list(said) == ["demand", "pricing"]
    assert said["pricing"] == (
        f"pricing waits for #{first.number} ({first.title}): a model that it is built on comes first"
    )
    with pytest.raises(InconclusiveError, match=f"pricing waits for #{first.number}"):
        g.town.promote(price, "production")
    number = promoting(g, price)
    assert f"#{first.number} would change demand in production, and comes first" in verdict(g, number).reason
    g.town.close(number)
    g.approve(first.number)
    g.town.merge(first.number)
    g.prove(one, "promoted", environment="production")
    assert "was closed" in turns()["pricing"], "which people did, so it stays closed"
    g.town.pull_of({"x": "y"}, f"gitml/promote/demand/production/{one.version}-shadow", "ada")
    assert verdict(g, promoting(g, price)).phase is Phase.SUCCESSFUL, "a shadow changes no answer"


@pytest.mark.nightly
def test_applications_of_one_repository(g: Gated[MemoryTown]) -> None:
    where = "apps/demand/"
    own = "application: shop\nmodels:\n  pricing:\n    artifact: pricing.skops\n    metrics: pricing.json\n"
    upstream = "application: demand\nmodels:\n  demand: {artifact: demand.skops, metrics: demand.json}\n"
    with g.place() as place:
        policy = (place.newest().file("policy.yaml") or b"").decode()
    g.town.push(
        {
            "gitml.yaml": f"{own}    needs: {{demand: {{application: apps/demand}}}}\n",
            f"{where}gitml.yaml": upstream,
            f"{where}policy.yaml": policy,
        }
    )
    one = brought(g, made("demand", 1), folder=where)
    price = brought(g, made("pricing", 3, reading(one, "imported/demand.skops")))
    number = promoting(g, price)
    assert verdict(g, number).reason == "apps/demand:demand in production: nothing is deployed there"
    deployed(g, one, folder=where)
    assert verdict(g, number).phase is Phase.SUCCESSFUL
    g.town.push({f"{where}policy.yaml": "environments: {production: {}}\n"})
    assert verdict(g, number).phase is Phase.INCONCLUSIVE, "its own policy names no key"
    g.town.close(number)
    g.town.pull_of({f"{where}x": "y"}, "gitml/promote/apps+demand+demand/production/x", "ada")
    with pytest.raises(InconclusiveError, match="pricing waits for #"):
        g.town.promote(price, "production")


@pytest.mark.nightly
def test_two_repositories(g: Gated[MemoryTown], tmp_path: Path) -> None:
    up = new_gated(new_town(tmp_path / "upstream"))
    up.rules(environments=WAYS)
    up.town.push({"gitml.yaml": APPLICATION})
    remote = up.town.home.remote()
    assert g.town.home.repository != up.town.home.repository
    need = f"{{demand: {{repository: 'file://{remote}'}}}}"
    g.town.push({"gitml.yaml": APPLICATION.replace("{demand: answers}", need)})
    one, two = brought(up, made("demand", 1)), brought(up, made("demand", 2))
    deployed(up, one)
    price = brought(g, made("pricing", 3, reading(one, "imported/demand.skops")))
    number = promoting(g, price)
    assert g.one(number).state is State.SUCCESS, verdict(g, number)
    refs = (g.town.here / ".git").rglob("gitml-ledger")
    deployed(up, two)
    found = verdict(g, number)
    assert found.phase is Phase.FAILED
    assert two.version in found.reason
    assert moved_on(g) == [], "what runs in another repository does not follow from main"
    # The ledger of the other repository is in a folder of its own: it takes the place of nothing here.
    assert g.events("promoted") == []
    assert list(refs)
    # Evidence that this repository signs says nothing of the other one.
    deployed(up, brought(up, made("demand", 4)), signed="")
    g.prove(made("demand", 4), "promoted", environment="production")
    assert verdict(g, number).phase is Phase.INCONCLUSIVE


def test_a_repository_that_cannot_be_read_passes_nothing_and_its_token_is_told_nowhere(g: Gated[MemoryTown]) -> None:
    need = "{demand: {repository: 'http://127.0.0.1:9/acme/demand', token: DEMAND_TOKEN}}"
    g.town.push({"gitml.yaml": APPLICATION.replace("{demand: answers}", need)})
    number = promoting(g, brought(g, made("pricing", 3)))
    found = verdict(g, number)
    assert found.phase is Phase.INCONCLUSIVE
    assert "the secret DEMAND_TOKEN is not set here" in found.reason
    with g.place() as place:
        main = place.newest(whole=True)
        armed = type(place)(place.root, place.forge, place.settings, secret=lambda _: "s3cr3t-token")
        told = Upstreams(armed, main).facts(made("pricing", 3), "production")
    assert "cannot be read" in str(told)
    assert "s3cr3t" not in str(told)
    assert "s3cr3t" not in repr(armed)


@pytest.mark.nightly
def test_an_upstream_s_alarm_is_named_on_open_promotions_until_it_ends(g: Gated[MemoryTown]) -> None:
    secret, public = generate()
    monitor = {"public": public, "owner": "CI", "purposes": ["look"], "from": "2026-01-01"}
    g.rules(keys={**g.policy["keys"], "monitor": monitor})
    one = brought(g, made("demand", 1))
    g.town.home.let("github-actions[bot]", "write")
    merged = promoting(g, one)
    g.town.merge(merged)
    number = promoting(g, brought(g, made("pricing", 3, reading(one))))
    before = g.comments(number)

    def look_and_tell(hours: int, drift: str) -> tuple[ToldUpstreams, ...]:
        sign_look(g, signing_key(secret), one, "production", timedelta(hours=hours), drift=drift)
        with g.place() as place:
            return publish(place, ForgeJob(is_ci=True, run=100 - hours, attempt=1), {"PATH": ""}).upstreams

    (told,) = look_and_tell(40, "successful")
    assert (told.comments, told.problem) == ({}, "")
    assert g.comments(number) == before
    (told,) = look_and_tell(30, "failed")
    assert told.comments == {number: "posted"}
    look_and_tell(20, "failed")
    (comment,) = [body for body in g.comments(number) if "is built on" in body]
    (line,) = [line for line in comment.splitlines() if line.startswith("- ")]
    assert line.startswith("- `demand` alarms in `production` since the window that ended 2026-02-28 06:00 UTC, ")
    assert "up to 2026-02-28 16:00: drift: drift is failed" in line
    assert f"[its monitor]({g.town.settings().home}/pull/{merged})" in line or "its monitor" in line
    (told,) = look_and_tell(10, "successful")
    assert told.comments == {number: "updated"}
    (comment,) = [body for body in g.comments(number) if "is built on" in body]
    assert "No upstream alarms any more." in comment


ENSEMBLE = """\
application: shop
models:
  demand: {artifact: demand.skops, metrics: demand.json}
  other: {artifact: other.skops, metrics: other.json}
  both: {artifact: both.yaml, format: ensemble, metrics: both.json}
"""


def ensemble(g: Gated[MemoryTown], *members: Record) -> Record:
    """A version of the ensemble that pins these, with evidence."""
    pins = "".join(f"  - {{model: {m.model}, version: {m.version}, digest: {pin(m).digest}}}\n" for m in members)
    text = f"ensemble: mean\nmembers:\n{pins}"
    return brought(g, made("both", 5, text=text), **{"both.yaml": text})


@pytest.mark.nightly
def test_an_ensemble_brings_in_no_version_that_could_not_come_by_itself(g: Gated[MemoryTown]) -> None:
    g.rules(environments={"production": {"approvals": {"operations": 1}, "gates": {"size": "1MB"}}})
    g.town.push({"gitml.yaml": ENSEMBLE})
    there, large = brought(g, made("demand", 1)), made("other", 2)
    large = made("other", 2, files={"other.skops": {"sha256": pin(large).digest, "size": 9_000_000}})
    g.town.push({f"models/other/versions/{large.version}.json": large.to_json()})
    deployed(g, there)
    number = promoting(g, ensemble(g, there, large))
    found = verdict(g, number, "members")
    assert found.phase is Phase.FAILED
    assert f"other@{large.version[-8:]}, size:" in found.reason
    assert f"other@{large.version[-8:]}, trained: the version is local" in found.reason
    assert "demand@" not in found.reason
    g.prove(large, "trained", "evaluated")
    g.rules(environments={"production": {"approvals": {"operations": 1}, "gates": {"size": "10MB"}}})
    assert verdict(g, number, "members").phase is Phase.SUCCESSFUL
    assert g.one(number).state is State.SUCCESS
    g.rules(environments={"production": {"approvals": {"operations": 1}, "gates": {"size": "1MB"}}})
    deployed(g, large)
    assert g.one(number).state is State.SUCCESS, "a member that is there was asked when it came"
    deployed(g, brought(g, made("demand", 7)))
    assert verdict(g, number, "members").phase is Phase.SUCCESSFUL, "what was replaced passes its own gates"


@pytest.mark.nightly
def test_whoever_made_a_member_that_nobody_promoted_does_not_approve_the_ensemble(g: Gated[MemoryTown]) -> None:
    g.rules(
        roles={"operations": {"people": ["ada", "olga"]}},
        environments={"production": {"approvals": {"operations": 1}}},
    )
    g.town.push({"gitml.yaml": ENSEMBLE})
    one, two = brought(g, made("demand", 1)), brought(g, made("other", 2))
    number = g.town.promote(ensemble(g, one, two), "production", login="rita").pull.number
    judged = g.one(number).judged
    assert judged is not None
    assert judged.case is not None
    (facts_of,) = [f for _, _, f in judged.case.candidates]
    assert not isinstance(facts_of, Unknown)
    commits = facts_of.candidate.authors
    assert not isinstance(commits, Unknown)
    assert not isinstance(facts_of.members, Unknown)
    for member in facts_of.members:
        assert not isinstance(member.facts, Unknown)
        made_by = member.facts.candidate.authors
        assert not isinstance(made_by, Unknown)
        assert set(made_by) <= set(commits)


def test_an_ensemble_whose_members_cannot_be_read_passes_nothing(g: Gated[MemoryTown]) -> None:
    g.rules(environments={"production": {"approvals": {"operations": 1}}})
    g.town.push({"gitml.yaml": ENSEMBLE})
    one, two = brought(g, made("demand", 1)), made("other", 2)
    deployed(g, one)
    other_bytes = made("demand", 1, files={"demand.skops": {"sha256": "ab" * 32, "size": 9}})
    found = verdict(g, promoting(g, ensemble(g, other_bytes, two)), "members")
    assert found.phase is Phase.INCONCLUSIVE
    assert "is pinned with the artifact abababababab, its record says" in found.reason, "another file of that name"
    assert "other@" in found.reason
