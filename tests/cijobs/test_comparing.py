"""What main's job `verify` finds out for gate `champion`: the newest version beside the one that serves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from gitml.cijobs.comparing import VersionPair, answered_by_both, compare_pair, pairs_due
from gitml.control.mainline import Mainline
from gitml.control.signing import BelievedEvents
from gitml.gates.samerows import KIND
from gitml.git.commands import Git
from gitml.inference.clone import loader
from gitml.spec import load_application, parse_policy
from gitml.training.trialfile import Tried
from inference.flight_versions import GITML, POLICY, Versions, build
from policy.kit import proof

pytestmark = pytest.mark.slow
COST = "cost: {metric: cost_per_flight, false_negative: 60, false_positive: 20}, "
ASKS = "operations: 1}, gates: {champion: {cost_per_flight: {margin: 0.2, same_rows: true}}}}"


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    made = build(tmp_path_factory.mktemp("flights"))
    text = GITML.replace("slices:", f"{COST}slices:").replace("better: {", "better: {cost_per_flight: lower, ")
    (made.root / "gitml.yaml").write_text(text)
    (made.root / "policy.yaml").write_text(POLICY.replace("operations: 1}}", ASKS))
    made.run("commit", "-qam", "A cost, and a gate that asks for it")
    return made


def main_of(versions: Versions) -> Mainline:
    git = Git(versions.root)
    return Mainline(git, git.resolve("HEAD") or "")


def due(versions: Versions, known: tuple[Any, ...] = ()) -> Any:
    main = main_of(versions)
    return pairs_due(main, main.policy(), BelievedEvents(known), ["delay"])


def both(versions: Versions, pair: VersionPair) -> Tried:
    """Without the process that tries models first, which takes seconds to start."""
    app = load_application(versions.root)
    through = loader(versions.root, app.models)
    return answered_by_both(versions.root, main_of(versions), pair, lambda record: through.opened(record).model)


def test_two_versions_are_compared_once_and_by_what_the_owner_pays(versions: Versions) -> None:
    (pair,) = due(versions)
    assert (pair.new.version, pair.old.version, pair.environment) == (
        versions.new.version,
        versions.old.version,
        "production",
    )
    tried = both(versions, pair)
    assert (tried.kind, tried.result, tried.details["units"]) == (KIND, "passed", 30)
    cost = tried.details["metrics"][0]
    assert cost["metric"] == "cost_per_flight"
    assert cost["low"] < cost["value"] < cost["high"]
    about = {"version": tried.version, "artifact": tried.artifact, "environment": ""}
    assert due(versions, (proof(KIND, details=tried.details, **about),)) == ()
    later = {**tried.details, "rules": "f" * 64}
    assert len(due(versions, (proof(KIND, details=later, **about),))) == 1, "what the owner pays has changed"


def test_what_is_out_of_reach_is_inconclusive_and_tried_again(versions: Versions) -> None:
    (pair,) = due(versions)
    files = {name: file for name, file in pair.new.files.items() if name != "holdout.parquet"}
    tried = both(versions, replace(pair, new=pair.new.model_copy(update={"files": files})))
    assert (tried.result, "has no holdout.parquet" in tried.details["reason"]) == ("inconclusive", True)
    about = {"version": tried.version, "artifact": tried.artifact, "environment": "", "result": "inconclusive"}
    assert len(due(versions, (proof(KIND, details=tried.details, **about),))) == 1


@pytest.mark.nightly
def test_the_job_tries_both_in_quarantine_first(versions: Versions) -> None:
    (pair,) = due(versions)
    main = main_of(versions)
    assert compare_pair(versions.root, main, pair) == both(versions, pair)


def test_nothing_is_compared_that_no_gate_asks_for(versions: Versions) -> None:
    main = main_of(versions)
    silent = parse_policy(POLICY.encode())
    assert pairs_due(main, silent, BelievedEvents(()), ["delay"]) == ()


def test_an_answer_that_is_no_number_is_a_reason_and_stops_no_job(versions: Versions) -> None:
    (pair,) = due(versions)
    app = load_application(versions.root)
    through = loader(versions.root, app.models)

    class Broken:
        """A version that answers with NaN."""

        def __init__(self, model: Any) -> None:
            self.signature = model.signature
            self.model = model

        def answers(self, rows: Any) -> Any:
            return self.model.answers(rows) * float("nan")

    tried = answered_by_both(
        versions.root, main_of(versions), pair, lambda record: cast("Any", Broken(through.opened(record).model))
    )
    assert (tried.result, tried.details["reason"]) == ("inconclusive", "a label or an answer is not a finite number")
