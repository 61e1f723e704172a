"""From main to a verdict: pins and rules of the repository, `gitml canary`, `gitml experiment`, `gitml replay`."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from conftest import gitml
from gitml.cijobs.canaryjudge import CanaryCall, ExperimentOrder, canary, experiment
from gitml.cli import main
from gitml.errors import InconclusiveError, UsageError
from gitml.evidence.canaries import canary_details
from gitml.inference.candidate import TrialPlace
from gitml.inference.replay import ReplayCall, replay
from gitml.rollout.evaluation import Evaluation
from gitml.traffic.events import BusinessEvent
from gitml.verdict import Phase
from rollout.candidate_town import POLICY, CandidateTown, build
from rollout.split_world import DAY, MONDAY, Served, SplitWorld, arms, part_of

AT = MONDAY + 10 * DAY + timedelta(hours=2)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> CandidateTown:
    return build(tmp_path_factory.mktemp("candidate") / "app")


@pytest.fixture
def town(template: CandidateTown, tmp_path: Path) -> CandidateTown:
    root = tmp_path / "app"
    shutil.copytree(template.root, root)
    text = (root / "gitml.yaml").read_text().replace(str(template.root), str(root))
    (root / "gitml.yaml").write_text(text)
    return replace(template, root=root)


def served(town: CandidateTown, *, count: int = 6_000, new: float = 0.91, days: float = 5) -> tuple[Served, Served]:
    old, candidate = arms(count, 0.9, new, days=days)
    return replace(old, version=town.old.version), replace(candidate, version=town.new.version)


def place(town: CandidateTown) -> TrialPlace:
    return TrialPlace(town.root, str(town.traffic))


def judged(town: CandidateTown, **more: object) -> Evaluation:
    (found,) = canary(place(town), replace(CanaryCall(at=AT), **more))  # type: ignore[arg-type]
    return found


def test_a_canary_of_main_is_judged_from_when_main_had_it(town: CandidateTown) -> None:
    town.split()
    town.commit(MONDAY - timedelta(hours=1))
    SplitWorld(town.traffic, output="p_late").serve(*served(town))
    found = judged(town)
    assert found.phase is Phase.SUCCESSFUL, found.reason
    assert (found.since, found.at, found.mode) == (MONDAY - timedelta(hours=1), AT, "split")
    assert part_of(found, "accuracy").margin == -0.03
    assert canary_details(found.to_dict())["evaluation"] == found.to_dict(), "it can be signed"


def test_rules_that_change_begin_a_new_test(town: CandidateTown) -> None:
    town.split()
    town.commit(MONDAY - timedelta(hours=1))
    town.write({"policy.yaml": POLICY.replace("0.03", "0.05")})
    town.commit(MONDAY + 2 * DAY)
    before = judged(town, at=MONDAY + DAY)
    SplitWorld(town.traffic, output="p_late").serve(*served(town))
    found = judged(town)
    assert found.rules != before.rules
    assert found.since == MONDAY + 2 * DAY
    assert found.notes[0] == "The rules changed on 2026-03-04 00:00 UTC: this is a new test."


def test_a_weight_that_changes_goes_on(town: CandidateTown) -> None:
    town.split(10)
    town.commit(MONDAY - timedelta(hours=1))
    first = judged(town, at=MONDAY)
    town.split(50)
    town.commit(MONDAY + 2 * DAY)
    found = judged(town)
    assert (found.rules, found.since) == (first.rules, first.since)
    assert (first.step.next, found.step.next) == (50, "champion")


def test_the_command_answers_with_the_verdicts_exit_code(town: CandidateTown) -> None:
    town.split()
    town.commit(MONDAY - timedelta(hours=1))
    SplitWorld(town.traffic, output="p_late").serve(*served(town, count=400))
    words = ["canary", "delay", "--in", "production", "--at", f"{AT:%Y-%m-%dT%H:%M:%SZ}"]
    done = CliRunner().invoke(main.gitml, ["-C", str(town.root), *words], standalone_mode=False)
    assert done.return_value == 3, done.output
    assert "days)" in done.output
    assert "Next look: 2026-03-12 03:00 UTC" in done.output
    assert "At 50 % of the traffic, not ready for champion" in done.output


@pytest.mark.nightly
def test_the_command_writes_the_report(town: CandidateTown) -> None:
    town.split()
    town.commit(MONDAY - timedelta(hours=1))
    SplitWorld(town.traffic, output="p_late").serve(*served(town, new=0.7))
    words = ("canary", "delay", "--in", "production", "--at", f"{AT:%Y-%m-%dT%H:%M:%SZ}")
    done = gitml(town.root, *words, "--report", str(town.root / "out" / "canary.md"))
    assert done.code == 1, done.out + done.err
    assert "split: failed" in done.out
    assert "accuracy" in done.out
    text = (town.root / "out" / "canary.md").read_text()
    assert "must not become champion" in text
    assert json.loads((town.root / "out" / "canary.json").read_text())[0]["phase"] == "failed"
    assert list((town.root / "out").glob("delay-production-*.png"))
    told = json.loads(gitml(town.root, *words, "--json").out)
    assert told[0]["phase"] == "failed"


def test_without_a_candidate_it_says_how_to_have_one(town: CandidateTown) -> None:
    with pytest.raises(InconclusiveError, match="no candidate stands beside a champion"):
        judged(town)
    town.write({"policy.yaml": POLICY.replace("canary:", "description: x #")})
    town.commit(MONDAY)
    with pytest.raises(InconclusiveError) as found:
        judged(town)
    assert "canary: {}" in found.value.hint


def test_traffic_that_cannot_be_read_is_an_error(town: CandidateTown) -> None:
    town.split()
    town.commit(MONDAY - timedelta(hours=1))
    SplitWorld(town.traffic, output="p_late").serve(*served(town, count=50))
    torn = next(town.traffic.glob("predictions/**/*.parquet"))
    torn.write_bytes(torn.read_bytes()[:100])
    found = judged(town)
    assert found.phase is Phase.ERROR
    assert "the traffic cannot be read" in found.reason
    assert canary_details(found.to_dict())


def test_an_experiment_is_judged_by_what_happened_to_units(town: CandidateTown) -> None:
    town.split()
    town.commit(MONDAY - timedelta(hours=1))
    old, new = served(town, days=9)
    old, new = (replace(arm, unit=[f"{arm.arm}{n}" for n in range(len(arm.when))]) for arm in (old, new))
    world = SplitWorld(town.traffic, output="p_late")
    world.serve(old, new)
    rng = np.random.default_rng(1)
    happened = [
        BusinessEvent(arm.unit[n], when + timedelta(hours=3), "rebooked")
        for arm, rate in ((old, 0.2), (new, 0.1))
        for n, when in enumerate(arm.when)
        if arm.unit and rng.random() < rate
    ]
    late = [
        BusinessEvent(unit, when + 2 * DAY, "rebooked") for unit, when in zip(new.unit or (), new.when, strict=True)
    ]
    world.happened(*happened, *late)
    (found,) = experiment(place(town), CanaryCall(at=AT), ExperimentOrder("rebooked"))
    part = part_of(found, "rebooked")
    assert found.phase is Phase.SUCCESSFUL, found.reason
    assert part.difference == pytest.approx(-0.1, abs=0.03), "what came after a day does not count"
    short = experiment(place(town), CanaryCall(at=MONDAY + 6 * DAY), ExperimentOrder("rebooked"))[0]
    assert short.phase is Phase.INCONCLUSIVE, "a full week"
    with pytest.raises(UsageError, match="there is no KPI sales"):
        experiment(place(town), CanaryCall(at=AT), ExperimentOrder("sales"))
    with pytest.raises(UsageError, match="is judged by a KPI"):
        experiment(place(town), CanaryCall(at=AT), ExperimentOrder())
    world.happened(BusinessEvent("canary1", MONDAY + DAY, "rebooked", 1e308))
    text = (town.root / "gitml.yaml").read_text()
    town.write({"gitml.yaml": text.replace("value: any", "value: sum")})
    town.commit(MONDAY - timedelta(minutes=30))
    (huge,) = experiment(place(town), CanaryCall(at=AT), ExperimentOrder("rebooked", 0.1))
    assert part_of(huge, "rebooked").reason.startswith("rebooked: 1 of its rows have a value that cannot be added up")


@pytest.mark.parametrize("margin", [float("nan"), float("inf"), -1.0])
def test_a_margin_that_is_none_is_refused(town: CandidateTown, margin: float) -> None:
    with pytest.raises(UsageError, match="is no margin"):
        experiment(place(town), CanaryCall(at=AT), ExperimentOrder("rebooked", margin))


def test_an_environment_that_is_not_there_is_named(town: CandidateTown) -> None:
    with pytest.raises(UsageError, match="there is no environment nowhere"):
        canary(place(town), CanaryCall(environment="nowhere"))


@pytest.mark.nightly
def test_a_replay_judges_before_anything_is_deployed(town: CandidateTown) -> None:
    town.ask()
    call = ReplayCall(f"delay@{town.new.version}", environment="production", since=timedelta(days=14), at=AT)
    found = replay(place(town), call)
    assert (found.mode, found.step.next) == ("replay", None)
    part = part_of(found, "accuracy")
    assert part.n.candidate == 1_500
    assert part.candidate is not None
    assert part_of(found, "errors").candidate == 0
    assert part_of(found, "answers").difference is not None
    same = replay(place(town), replace(call, champion="delay@production", environment=""))
    assert same == found


@pytest.mark.nightly
def test_a_replay_judges_what_decisions_cost_at_each_versions_own_threshold(town: CandidateTown) -> None:
    """Here `accuracy` holds it, which is .8 for both."""
    cost = "cost: {metric: dollars, false_negative: 60, false_positive: 20}"
    holdout = f"    holdout: {{rows: r.parquet, label: late, threshold: accuracy, {cost}}}\n"
    text = (town.root / "gitml.yaml").read_text().replace("kpis:", f"{holdout}kpis:")
    town.write({"gitml.yaml": text, "policy.yaml": POLICY.replace("{margin: 0.03}", "{name: dollars, margin: 0.2}")})
    town.ask(count=400)
    call = ReplayCall(f"delay@{town.new.version}", environment="production", at=AT)
    part = part_of(replay(place(town), call), "dollars")
    assert (part.n.candidate, part.margin) == (400, 0.2)
    assert part.champion is not None
    assert 0 < part.champion < 60
    town.write({"gitml.yaml": text.replace("threshold: accuracy", "threshold: cut")})
    told = part_of(replay(place(town), call), "dollars")
    assert told.phase is Phase.INCONCLUSIVE
    assert told.reason.startswith("dollars: the record of the champion lacks the metric that holds its threshold")


@pytest.mark.nightly
def test_a_replay_leaves_out_what_the_candidate_was_trained_on(town: CandidateTown) -> None:
    town.ask(count=200)
    record = next((town.root / "models/delay/versions").glob(f"{town.new.version}*"))
    record.write_text(record.read_text().replace("2026-01-31", "2026-03-03"))
    call = ReplayCall(f"delay@{town.new.version}", environment="production", since=timedelta(days=14), at=AT)
    found = replay(place(town), call)
    assert found.since == MONDAY + 2 * DAY
    assert found.notes[0].startswith("Requests before 2026-03-04 00:00 UTC are left out")


@pytest.mark.nightly
def test_a_replay_is_refused_where_a_feature_was_not_logged(town: CandidateTown) -> None:
    town.ask(count=50, features=False)
    with pytest.raises(UsageError, match="carrier was not logged"):
        replay(place(town), ReplayCall(f"delay@{town.new.version}", environment="production", at=AT))


def test_a_replay_is_refused_where_a_feature_is_private(town: CandidateTown) -> None:
    call = ReplayCall(f"delay@{town.new.version}", environment="production", at=AT)
    town.write({"gitml.yaml": (town.root / "gitml.yaml").read_text() + "private: [carrier]\n"})
    with pytest.raises(UsageError, match="carrier is private"):
        replay(place(town), call)
    with pytest.raises(UsageError, match="is the champion itself"):
        replay(place(town), replace(call, candidate="delay@production"))


def test_a_replay_of_a_time_that_cannot_be_says_so(town: CandidateTown) -> None:
    call = ReplayCall(f"delay@{town.new.version}", environment="production", at=AT)
    with pytest.raises(UsageError, match="is in the future"):
        replay(place(town), replace(call, at=AT.replace(year=2300)))
    with pytest.raises(UsageError, match="the window is empty"):
        replay(place(town), replace(call, since=AT + DAY))


@pytest.mark.nightly
def test_a_replay_without_traffic_names_the_champion(town: CandidateTown) -> None:
    found = replay(place(town), ReplayCall(f"delay@{town.new.version}", environment="production", at=AT))
    assert found.reason == f"no answer of {town.old.version} was logged in production in that time"


def test_a_replay_in_an_environment_that_is_none_names_those_that_are(town: CandidateTown) -> None:
    with pytest.raises(UsageError, match="delay does not run in nowhere") as found:
        replay(place(town), ReplayCall(f"delay@{town.new.digest[:8]}", environment="nowhere"))
    assert found.value.hint == "it runs in production"
