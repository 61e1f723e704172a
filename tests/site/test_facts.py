"""What the site gathers from a repository, its ledger, its looks and its forge."""

from __future__ import annotations

from gallery import Gathered
from gitml.site.facts import SiteFacts
from gitml.verdict import Phase


def test_every_environment_says_what_is_wanted_and_what_runs(facts: SiteFacts) -> None:
    staging, production = facts.states
    assert (staging.environment, staging.sync, staging.health) == ("staging", "behind", "up")
    assert (production.sync, production.champion) == ("in step", production.live)
    assert [(pin.role, pin.share) for pin in production.others] == [("canary", 10.0)]
    assert facts.notes == ()


def test_a_promotion_that_waits_says_who_has_to_approve(facts: SiteFacts) -> None:
    (waiting,) = facts.pending
    assert (waiting.model, waiting.environment, waiting.author) == ("delay", "production", "ada")
    assert waiting.seats == (("operations", 1, ("olga",)), ("risk", 1, ()))
    assert [who for who, _ in waiting.steps] == ["risk"]
    assert all(gate.phase is Phase.SUCCESSFUL for gate in waiting.gates)
    assert facts.judged == (), "it only waits for people"


def test_open_pull_requests_have_their_checks(facts: SiteFacts) -> None:
    (pull,) = facts.pulls
    assert (pull.number, pull.author) == (3, "ada")
    assert pull.checks[0][:2] == ("gitml/gate", "pending")


def test_a_deployment_has_its_evidence(facts: SiteFacts) -> None:
    promoted = next(d for d in facts.deployments if d.environment == "production" and d.gate)
    assert (promoted.move, promoted.gate, promoted.approval, promoted.pull) == ("promotion", "passed", "passed", 2)
    assert promoted.approvers == ("olga", "rita")
    assert (promoted.seconds, promoted.recorded) == (3.25, "promoted")
    assert {gate.name for gate in promoted.gates} >= {"trained", "order"}
    canary = facts.deployments[0]
    assert (canary.move, canary.pull, canary.gate) == ("canary", 40, "")


def test_versions_say_what_changed_and_what_they_are_held_against(facts: SiteFacts) -> None:
    delay = facts.models[0]
    assert [v.metrics["auc"] for v in delay.versions] == [0.745, 0.74, 0.71]
    newest = delay.details[delay.versions[0].version]
    auc = newest.metrics[0]
    assert (auc.name, auc.value, auc.before, auc.champion) == ("auc", 0.745, 0.74, 0.74)
    assert (newest.champion_in, newest.data[0].rows, newest.data_until) == ("production", 140_500, "2026-03-28")
    assert {(s.column, s.value) for s in newest.slices} >= {("carrier", "UA")}

    assert [line.name for line in newest.changes["code"]] == ["train.py"]
    assert (delay.owner, delay.tier, delay.reviewed) == ("Flight operations", "high", "2026-02-20")
    assert [(one.kind, one.people) for one in delay.reviews[:1]] == [("approved", ("olga", "rita"))]
    assert not delay.is_overdue


def test_looks_and_candidates_are_those_that_are_signed(facts: SiteFacts) -> None:
    assert [look.phase.value for look in facts.looks].count("failed") == 2
    assert facts.looks[-1].drift[1].drifted
    assert [s.kind for s in facts.looks[-1].scores][-2:] == ["estimated", "estimated"]
    (trial,) = facts.trials
    assert (trial.mode, trial.phase, len(trial.points)) == ("split", Phase.INCONCLUSIVE, 11)
    assert facts.watched == (("delay", "production"),)


def test_hours_of_servers_are_added_up(facts: SiteFacts) -> None:
    (traffic,), (server,) = facts.traffic, facts.servers
    assert (traffic.variant, traffic.p50, traffic.p95) == ("champion", 0.00175, 0.007)
    assert [place for place, one in enumerate(traffic.hourly[-72:]) if one is None] == [*range(35, 42)]
    assert (server.agent, server.hours, server.restarts, server.memory) == ("server-1", 24, 1, 222_000_000)
    assert 0.999 < server.uptime < 1
    assert server.cpu == 0.1625
    assert [(one.environment, one.passed, one.seconds) for one in facts.attempts] == [
        ("production", True, 3.25), ("staging", True, 3.25),
    ]  # fmt: skip


def test_what_the_business_saw_is_what_is_signed(facts: SiteFacts) -> None:
    (impact,) = facts.impacts
    assert (impact.kpi, impact.days, impact.phase, impact.effect) == ("on_time", 14, Phase.SUCCESSFUL, 31.0)
    assert impact.a_month == (930.0, 360.0, 1500.0)
    assert [d.move for d in facts.deployments if d.key == (impact.commit, impact.model, impact.environment)] == [
        "promotion"
    ]
    assert [(kpi.name, kpi.points) for kpi in facts.kpis] == [("on_time", ())]


def test_pipelines_are_as_main_has_them(facts: SiteFacts) -> None:
    stages = {stage.name: stage for stage in facts.stages}
    assert (stages["train"].after, stages["train"].makes) == (("prepare",), ("delay",))
    assert stages["ingest"].models == ("delay", "fare")
    assert stages["ingest"].reads == ("data/flights.csv", "ingest.py")


def test_the_same_state_gives_the_same_facts(gathered: Gathered) -> None:
    assert gathered.facts == gathered.again


def test_without_a_forge_it_says_what_is_not_known(gathered: Gathered) -> None:
    found, facts = gathered.clone, gathered.facts
    assert (found.pending, found.pending_known) == ((), False)
    # What agents signed and what the ledger says of approvals is in the clone.
    assert [s.live for s in found.states] == [s.live for s in facts.states]
    assert found.deployments == facts.deployments


def test_without_a_repository_of_a_forge_there_is_no_evidence(gathered: Gathered) -> None:
    found = gathered.nameless
    assert "no repository of a forge" in found.ledger_problem
    assert found.verdict is None
    assert len(found.deployments) == 6
