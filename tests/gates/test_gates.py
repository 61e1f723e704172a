"""Each gate by itself. What passes everything is in the kit; here one thing at a time is wrong."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.gates import (
    audit_age,
    capacity,
    champion,
    data_age,
    evidence,
    fairness,
    latency,
    metrics,
    reproduced,
    signature,
    size,
    slices,
    substantial,
)
from gitml.gates import format as format_gate
from gitml.gates.bounds import Bound
from gitml.gates.champion import Margin
from gitml.gates.exemption import Exemption
from gitml.gates.facts import Facts, Unknown
from gitml.gates.fairness import Fairness
from gitml.gates.slices import Slice
from gitml.gates.substantial import Substantial
from gitml.gates.table import GATES
from gitml.stats.comparison import Estimate
from gitml.verdict import Phase, Verdict
from policy.kit import NOW, OLD, OLD_FILE, PROOFS, altered, facts, near, proof, version

GOOD, BAD, OPEN = Phase.SUCCESSFUL, Phase.FAILED, Phase.INCONCLUSIVE
NOT_NUMBERS: list[Any] = [float("nan"), math.inf, -math.inf, "0.9", True, None, [0.9], {"x": 1}, 10**400]


def of(**changes: Any) -> Facts:
    return facts(candidate=version(**changes))


# metrics


@pytest.mark.parametrize(
    ("value", "bound", "phase"),
    [
        (0.65, Bound(at_least=0.65), GOOD),
        (0.6499, Bound(at_least=0.65), BAD),
        (0.65, Bound(at_most=0.65), GOOD),
        (0.66, Bound(at_least=0.1, at_most=0.65), BAD),
        (-0.0, Bound(at_least=0.0), GOOD),
    ],
)
def test_metrics_lie_within_bounds(value: float, bound: Bound, phase: Phase) -> None:
    found = metrics.judge(of(metrics={"auc": Estimate(value)}), {"auc": bound})
    assert found.phase is phase
    assert found.measurements == {"auc": value}


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_a_metric_that_is_no_number_is_inconclusive(value: Any) -> None:
    found = metrics.judge(of(metrics={"auc": Estimate(value)}), {"auc": Bound(at_least=0.0)})
    assert found.phase is OPEN
    assert found.measurements == {}


def test_a_failed_metric_is_not_hidden_by_a_missing_one() -> None:
    found = metrics.judge(of(metrics={"auc": Estimate(0.5)}), {"f1": Bound(at_least=0), "auc": Bound(at_least=0.6)})
    assert found.phase is BAD
    assert found.reason.startswith("auc is 0.5")
    assert "f1 is missing" in found.reason


# champion


def against(new: float, old: float, *, better: str = "higher", margin: float = 0.01, apart: float = 0.0005) -> Verdict:
    here = version(metrics={"m": near(new, apart)}, better={"m": better})
    there = version(OLD, OLD_FILE, metrics={"m": near(old)})
    return champion.judge(facts(candidate=here, champion=there), {"m": Margin(margin=margin)})


@pytest.mark.parametrize(
    ("new", "old", "better", "phase"),
    [
        (0.70, 0.70, "higher", GOOD),
        (0.695, 0.70, "higher", GOOD),
        (0.68, 0.70, "higher", BAD),
        (0.72, 0.70, "higher", GOOD),
        (0.72, 0.70, "lower", BAD),
        (0.705, 0.70, "lower", GOOD),
        (0.60, 0.70, "lower", GOOD),
    ],
)
def test_not_worse_than_the_champion_in_the_direction_that_is_better(
    new: float, old: float, better: str, phase: Phase
) -> None:
    assert against(new, old, better=better).phase is phase


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_the_interval_decides_and_not_the_point(better: str) -> None:
    """The point is within the margin, the interval is not: the data cannot tell."""
    found = against(0.70, 0.70, better=better, margin=0.005, apart=-0.0005)
    assert found.phase is OPEN
    assert "the data cannot tell" in found.reason
    assert against(0.70, 0.70, better=better, margin=0.02, apart=-0.0005).phase is GOOD


def test_unpaired_replicates_are_judged_on_the_wider_interval() -> None:
    here, there = version(resamples="rows:8"), version(OLD, OLD_FILE)
    found = champion.judge(facts(candidate=here, champion=there), {"auc": Margin(margin=0.005)})
    assert found.phase is OPEN
    assert "unpaired" in found.reason
    assert champion.judge(facts(), {"auc": Margin(margin=0.005)}).phase is GOOD
    nothing = replace(here, resamples=""), replace(there, resamples="")
    assert champion.judge(facts(candidate=nothing[0], champion=nothing[1]), {"auc": Margin(margin=0.005)}).phase is OPEN


def test_nothing_runs_there_yet() -> None:
    found = champion.judge(facts(champion=None), {"auc": Margin(margin=0)})
    assert found.phase is GOOD
    assert "nothing answers in production yet" in found.reason


def test_a_champion_that_is_not_known_is_not_beaten() -> None:
    assert champion.judge(facts(champion=Unknown("its record is gone")), {"auc": Margin(margin=1)}).phase is OPEN
    other = version(OLD, OLD_FILE, model="fares")
    assert champion.judge(facts(champion=other), {"auc": Margin(margin=1)}).phase is OPEN


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": {}},
        {"metrics": Unknown("no file")},
        {"metrics": {"auc": Estimate(float("nan"))}},
        {"metrics": {"auc": Estimate(0.7)}},  # no interval of any kind
        {"metrics": {"auc": replace(near(0.7), value=0.95)}},  # replicates of something else
        {"metrics": {"auc": Estimate(1e308, -1e308, 1e308)}},
    ],
)
def test_too_little_of_either_side_is_inconclusive(change: dict[str, Any]) -> None:
    margin = {"auc": Margin(margin=0.5)}
    assert champion.judge(of(**change), margin).phase is OPEN
    assert champion.judge(facts(champion=version(OLD, OLD_FILE, **change)), margin).phase is OPEN


def test_a_direction_that_nobody_gave() -> None:
    assert champion.judge(of(better={}), {"auc": Margin(margin=1)}).phase is OPEN


@given(st.floats(0.3, 0.9), st.floats(0.3, 0.9), st.floats(0, 0.2), st.sampled_from(["higher", "lower"]))
def test_a_worse_version_never_does_better(new: float, old: float, margin: float, better: str) -> None:
    rank = [BAD, OPEN, GOOD]
    worse = new - 0.05 if better == "higher" else new + 0.05
    one, other = (rank.index(against(v, old, better=better, margin=margin).phase) for v in (worse, new))
    assert one <= other


# evidence, reproduced, latency

SPOILED: list[dict[str, Any]] = [
    {"version": OLD},
    {"artifact": "9" * 64},
    {"model": "fares"},
    {"repository": "evil/x"},
    {"environment": "staging"},
    {"why_not": "the key ci expired"},
    {"result": "inconclusive"},
    {"kind": "gate"},
]
ASKING: dict[str, Callable[[Facts], Verdict]] = {
    "trained": lambda f: evidence.judge(f, {"trained": timedelta(days=90)}),
    "reproduced": lambda f: reproduced.judge(f, True),
    "evaluated": lambda f: latency.judge(f, 20.0),
}


@pytest.mark.parametrize("kind", list(ASKING))
def test_evidence_of_this_version_counts(kind: str) -> None:
    assert ASKING[kind](facts()).phase is GOOD


PAIRS = [(kind, change) for kind in ASKING for change in SPOILED if (kind, *change) != ("evaluated", "result")]


@pytest.mark.parametrize(("kind", "change"), PAIRS, ids=[f"{k}-{next(iter(c))}" for k, c in PAIRS])
def test_evidence_of_anything_else_does_not(kind: str, change: dict[str, Any]) -> None:
    proofs = tuple(altered(p, **change) if p.kind == kind else p for p in PROOFS)
    found = ASKING[kind](facts(proofs=proofs))
    assert found.phase is OPEN, found


@pytest.mark.parametrize("kind", list(ASKING))
def test_a_ledger_that_cannot_be_read(kind: str) -> None:
    found = ASKING[kind](facts(proofs=Unknown("the forge answers 502")))
    assert (found.phase, found.reason) == (OPEN, "the forge answers 502")


def test_evidence_may_be_too_old_by_a_second() -> None:
    wanted = {"trained": timedelta(days=90)}
    for seconds, phase in ((0, GOOD), (1, OPEN)):
        old = proof("trained", time=NOW - timedelta(days=90, seconds=seconds))
        assert evidence.judge(facts(proofs=(old,)), wanted).phase is phase


def test_a_failure_of_what_does_not_change_is_not_undone_by_trying_again() -> None:
    again = (proof("reproduced", result="failed", time=NOW - timedelta(days=3)), *PROOFS)
    assert reproduced.judge(facts(proofs=again), True).phase is BAD
    assert evidence.judge(facts(proofs=again), {"reproduced": timedelta(days=90)}).phase is BAD


def test_of_what_is_observed_in_an_environment_the_newest_decides() -> None:
    here = {"environment": "production"}
    older = proof("drift", result="failed", time=NOW - timedelta(days=3), **here)
    newer = proof("drift", **here)
    wanted = {"drift": timedelta(days=7)}
    assert evidence.judge(facts(proofs=(older, newer)), wanted).phase is GOOD
    worse = altered(newer, result="failed")
    assert evidence.judge(facts(proofs=(altered(older, result="passed"), worse)), wanted).phase is BAD


def test_what_ran_in_the_environment_before_counts_and_in_none_does_not() -> None:
    wanted = {"deployed": timedelta(days=7)}
    for environment, phase in (("staging", GOOD), ("production", GOOD), ("lab", OPEN), ("", OPEN)):
        assert evidence.judge(facts(proofs=(proof("deployed", environment=environment),)), wanted).phase is phase
    canary = proof("canary", environment="staging")
    assert evidence.judge(facts(proofs=(canary,)), {"canary": timedelta(days=7)}).phase is OPEN


def test_a_gate_that_is_not_asked_passes() -> None:
    assert reproduced.judge(facts(proofs=()), False).phase is GOOD


@pytest.mark.parametrize("value", [*NOT_NUMBERS, 0, -3.0])
def test_a_latency_that_is_no_time_is_inconclusive(value: Any) -> None:
    proofs = (proof("evaluated", details={"latency_ms_p95": value}),)
    assert latency.judge(facts(proofs=proofs), 20.0).phase is OPEN


@pytest.mark.parametrize(
    ("told", "phase"),
    [(500.0, GOOD), (499.9, BAD), (None, OPEN), (0, OPEN), (float("nan"), OPEN), ("500", OPEN), (True, OPEN)],
)
def test_a_core_answers_as_many_rows_as_are_wanted_or_nothing_is_known(told: Any, phase: Phase) -> None:
    proofs = (proof("evaluated", details={"rows_per_second": told}),)
    assert capacity.judge(facts(proofs=proofs), 500.0).phase is phase


def test_the_newest_measurement_of_latency_decides() -> None:
    quick = proof("evaluated", details={"latency_ms_p95": 4})
    slow = proof("evaluated", details={"latency_ms_p95": 40}, time=NOW)
    assert latency.judge(facts(proofs=(slow, quick)), 20.0).phase is BAD
    assert latency.judge(facts(proofs=(altered(slow, why_not="bad key"), quick)), 20.0).phase is GOOD


# size, format, data_age


@pytest.mark.parametrize(("value", "phase"), [(50, GOOD), (51, BAD), (0, OPEN), (True, OPEN), ("50", OPEN)])
def test_size(value: Any, phase: Phase) -> None:
    assert size.judge(of(size=value), 50).phase is phase


def test_formats_that_are_data() -> None:
    assert format_gate.judge(of(), ("skops",)).phase is GOOD
    assert format_gate.judge(of(), ("onnx",)).phase is BAD
    assert format_gate.judge(of(format=""), ("onnx",)).phase is BAD
    assert format_gate.judge(of(verified=Unknown("the remote is away")), ("skops",)).phase is OPEN


def exemption(until: datetime, model: str = "delay") -> Exemption:
    return Exemption.model_validate(
        {"allow": "pickle", "model": model, "reason": "legacy", "by": "rita", "until": until.isoformat()}
    )


def test_a_pickle_needs_an_exception_that_has_not_ended_even_where_it_is_listed() -> None:
    pickled = of(format="pickle")
    assert format_gate.judge(pickled, ("pickle",)).phase is BAD
    valid, ended = exemption(NOW + timedelta(days=1)), exemption(NOW)
    assert format_gate.judge(replace(pickled, exceptions=(valid,)), ("skops",)).phase is GOOD
    found = format_gate.judge(replace(pickled, exceptions=(ended,)), ("skops",))
    assert found.phase is BAD
    assert "ended" in found.reason
    other = exemption(NOW + timedelta(days=1), "fares")
    assert format_gate.judge(replace(pickled, exceptions=(other,)), ("skops",)).phase is BAD


def test_data_age() -> None:
    wanted = timedelta(days=30)
    for until, phase in (
        (NOW - wanted, GOOD),
        (NOW - wanted - timedelta(seconds=1), BAD),
        (NOW + timedelta(seconds=1), OPEN),
        (Unknown("nothing says"), OPEN),
        (datetime(2013, 3, 31, tzinfo=UTC), BAD),
    ):
        assert data_age.judge(of(data_until=until), wanted).phase is phase


def test_audit_age() -> None:
    """A year after the last independent audit the gate shuts; without one that is named it never opens."""
    year = timedelta(days=365)
    for audited, phase in (
        (NOW - year, GOOD),
        (NOW - year - timedelta(seconds=1), BAD),
        (NOW + timedelta(seconds=1), OPEN),
        (Unknown("nothing says"), OPEN),
    ):
        assert audit_age.judge(of(bias_audited=audited), year).phase is phase
    assert audit_age.judge(of(bias_audited=Unknown("none")), year).phase is OPEN


def test_a_substantial_modification_is_told_and_may_ask_for_a_review() -> None:
    changed: dict[str, tuple[str, ...]] = {"use": ("purpose",), "signature": (), "code": ("train.py",)}
    told = Substantial(of=("use", "signature"))
    found = substantial.judge(facts(changed=changed), told)
    assert (found.phase, found.measurements) == (GOOD, {"substantial": ["use"]})
    assert "use (purpose)" in found.reason
    assert substantial.judge(facts(changed={**changed, "use": ()}), told).measurements == {"substantial": []}
    assert substantial.judge(facts(changed=Unknown("a shallow clone")), told).phase is OPEN
    assert substantial.judge(facts(changed=changed, champion=None), told).phase is GOOD

    asks = Substantial(of=("use",), review=True)
    assert substantial.judge(facts(changed=changed), asks).phase is OPEN, "the review of another version is none"
    for result, phase in (("passed", GOOD), ("failed", BAD)):
        reviewed = proof("reviewed", by="rita", result=result)
        assert substantial.judge(facts(changed=changed, proofs=(*PROOFS, reviewed)), asks).phase is phase


# slices and fairness


def group(value: str, rows: Any, **found: Any) -> dict[str, Any]:
    return {"column": "origin", "value": value, "rows": rows, "metrics": found}


RULE = Slice(column="origin", metric="auc", at_least=0.6, min_rows=100)
RATIO = Fairness(column="origin", metric="recall", ratio_at_least=0.8, min_rows=100)


@pytest.mark.parametrize(
    ("groups", "phase"),
    [
        ([group("a", 100, auc=0.6), group("b", 99, auc=0.1)], GOOD),
        ([group("a", 100, auc={"value": 0.59})], BAD),
        ([group("a", 99, auc=0.9)], OPEN),
        ([group("a", 100)], OPEN),
        ([group("a", 100, auc=float("nan")), group("b", 100, auc=0.9)], OPEN),
        ([group("a", 100, auc="0.9")], OPEN),
        ([group("a", "100", auc=0.9)], OPEN),
        ([group("a", True, auc=0.9)], OPEN),
        ([group("a", 100, auc=0.9), group("a", 100, auc=0.9)], OPEN),
        ([{"column": "origin", "value": "a", "rows": 100, "metrics": None}], OPEN),
        ([{"column": "carrier", "value": "a", "rows": 100, "metrics": {"auc": 0.9}}], OPEN),
        (["nonsense", 3, None], OPEN),
        ([], OPEN),
    ],
)
def test_slices(groups: list[Any], phase: Phase) -> None:
    assert slices.judge(of(slices=groups), [RULE]).phase is phase


def test_slices_name_the_groups_that_fail() -> None:
    found = slices.judge(of(slices=[group("a", 100, auc=0.5), group("b", 100, auc=0.9)]), [RULE])
    assert found.reason == "auc of origin=a is 0.5, at least 0.6 is needed"
    assert found.measurements == {"auc of origin=a": 0.5, "auc of origin=b": 0.9}


@pytest.mark.parametrize(
    ("groups", "phase"),
    [
        ([group("a", 100, recall=0.4), group("b", 100, recall=0.5)], GOOD),
        ([group("a", 100, recall=0.39), group("b", 100, recall=0.5)], BAD),
        ([group("a", 100, recall=0.0), group("b", 100, recall=0.5)], BAD),
        ([group("a", 100, recall=0.39), group("b", 99, recall=0.5)], OPEN),
        ([group("a", 100, recall=0.0), group("b", 100, recall=0.0)], OPEN),
        ([group("a", 100, recall=-0.4), group("b", 100, recall=0.5)], OPEN),
        ([group("a", 100, recall=0.4), group("b", 100)], OPEN),
        ([group("a", 100, recall=0.4), group("b", 100, recall=math.inf)], OPEN),
    ],
)
def test_fairness(groups: list[Any], phase: Phase) -> None:
    assert fairness.judge(of(slices=groups), [RATIO]).phase is phase


def test_no_slices() -> None:
    assert slices.judge(of(slices=Unknown("none")), [RULE]).phase is OPEN
    assert fairness.judge(of(slices=Unknown("none")), [RATIO]).phase is OPEN


# signature


def changed(edit: Callable[[dict[str, Any]], object]) -> Verdict:
    new = copy.deepcopy(version().signature)
    assert isinstance(new, dict)
    edit(new)
    return signature.judge(of(signature=new), "compatible")


EXTRA = {"name": "wind", "type": "float64"}
SIGNATURES: list[tuple[str, Callable[[dict[str, Any]], object], Phase]] = [
    ("the same", lambda s: None, GOOD),
    ("inputs in another order", lambda s: s["inputs"].reverse(), GOOD),
    ("a new category", lambda s: s["inputs"][0]["categories"].append("B6"), GOOD),
    ("any category", lambda s: s["inputs"][0].pop("categories"), GOOD),
    ("may be missing now", lambda s: s["inputs"][0].update(nullable=True), GOOD),
    ("a new input that may be missing", lambda s: s["inputs"].append({**EXTRA, "nullable": True}), GOOD),
    ("described otherwise", lambda s: s["inputs"][0].update(description="x"), GOOD),
    ("data_until", lambda s: s.update(data_until="2013-03-10"), GOOD),
    ("a new input", lambda s: s["inputs"].append(EXTRA), BAD),
    ("an input gone", lambda s: s["inputs"].pop(), BAD),
    ("another type", lambda s: s["inputs"][1].update(type="int64"), BAD),
    ("must be there now", lambda s: s["inputs"][1].pop("nullable"), BAD),
    ("a category gone", lambda s: s["inputs"][0].update(categories=["AA"]), BAD),
    ("limited to categories", lambda s: s["inputs"][1].update(categories=[1.0]), BAD),
    ("another output", lambda s: s["outputs"][0].update(name="p"), BAD),
    ("another type of output", lambda s: s["outputs"][0].update(type="float32"), BAD),
    ("one output more", lambda s: s["outputs"].append(EXTRA), BAD),
    ("a shape of which no rule speaks", lambda s: s["inputs"][0].update(shape=[3]), OPEN),
    ("an input twice", lambda s: s["inputs"].append(s["inputs"][0]), OPEN),
    ("no outputs", lambda s: s.pop("outputs"), OPEN),
    ("no list", lambda s: s.update(inputs={"a": "b"}), OPEN),
    ("a name that is none", lambda s: s["inputs"][0].update(name=7), OPEN),
    ("categories that are none", lambda s: s["inputs"][0].update(categories="AA"), OPEN),
    ("nullable that is neither", lambda s: s["inputs"][0].update(nullable="yes"), OPEN),
]


@pytest.mark.parametrize(("edit", "phase"), [(e, p) for _, e, p in SIGNATURES], ids=[name for name, _, _ in SIGNATURES])
def test_whoever_calls_the_champion_can_call_it(edit: Callable[[dict[str, Any]], object], phase: Phase) -> None:
    assert changed(edit).phase is phase


def test_true_is_not_the_category_one() -> None:
    old = {"inputs": [{"name": "a", "type": "object", "categories": [1]}], "outputs": [EXTRA]}
    new = {"inputs": [{"name": "a", "type": "object", "categories": [True]}], "outputs": [EXTRA]}
    here, there = version(signature=new), version(OLD, OLD_FILE, signature=old)
    assert signature.judge(facts(candidate=here, champion=there), "compatible").phase is BAD


def test_signatures_that_are_not_there() -> None:
    assert signature.judge(of(signature=Unknown("none")), "compatible").phase is OPEN
    assert signature.judge(facts(champion=Unknown("gone")), "compatible").phase is OPEN
    assert (
        signature.judge(facts(champion=version(OLD, OLD_FILE, signature=Unknown("none"))), "compatible").phase is OPEN
    )
    assert signature.judge(facts(champion=None), "compatible").phase is GOOD


# whatever a file holds

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
entries = st.fixed_dictionaries(
    {"column": st.just("origin"), "value": json_values, "rows": json_values, "metrics": json_values}
)


@given(st.lists(entries | json_values, max_size=4))
def test_no_slices_file_breaks_a_gate(found: Any) -> None:
    for verdict in (slices.judge(of(slices=found), [RULE]), fairness.judge(of(slices=found), [RATIO])):
        assert isinstance(verdict, Verdict)


@given(st.dictionaries(st.sampled_from(["inputs", "outputs", "x"]), json_values | st.lists(json_values, max_size=3)))
def test_no_signature_file_breaks_the_gate(found: Any) -> None:
    assert signature.judge(of(signature=found), "compatible").phase is not GOOD


def test_every_gate_documents_its_configuration() -> None:
    for name, gate in GATES.items():
        text = gate.judge.__doc__ or ""
        assert f"{name}:" in text, name
        assert len(text) > 120


@pytest.mark.parametrize("first", ["passed", "failed"])
def test_of_two_statements_of_one_second_the_one_that_failed_decides(first: str) -> None:
    results = (first, *({"passed", "failed"} - {first}))
    told = tuple(proof("deployed", environment="production", result=result) for result in results)
    asked = {"deployed": timedelta(days=30)}
    assert evidence.judge(facts(proofs=told), asked).phase is Phase.FAILED
