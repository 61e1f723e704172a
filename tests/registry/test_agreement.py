from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.dvc.lockentries import Content, Entry
from gitml.registry.agreement import input_differences, metric_disagreements
from gitml.registry.lineage import lineage_digest
from gitml.registry.record import Metric
from gitml.stats.refits import Refits

SOURCE = Entry((None,), (), {}, (Content("raw", "md5:r"),))  # type: ignore[arg-type]
TRAIN = Entry(
    ("python train.py",),
    (Content("raw/a.csv", "md5:a"), Content("train.py", "md5:t")),
    {"params.yaml": {"train": {"rate": 0.5, "depth": 3}}},
    (Content("model", "md5:m"),),
)
TEST = Entry(("python test.py",), (Content("model", "md5:m"),), {}, (Content("metrics.json", "md5:j"),))
STAGES = {"raw.dvc": SOURCE, "train": TRAIN, "test": TEST}


def changed(stage: str, **parts: Any) -> dict[str, Entry]:
    return {**STAGES, stage: replace(STAGES[stage], **parts)}


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (changed("train", cmd=("python other.py",)), "command of stage train"),
        (changed("train", deps=(TRAIN.deps[0], Content("train.py", "md5:u"))), "dependency train.py of stage train"),
        (changed("train", deps=TRAIN.deps[:1]), "dependency train.py of stage train"),
        (
            changed("train", params={"params.yaml": {"train": {"rate": 0.7, "depth": 3}}}),
            "param train.rate of stage train in params.yaml",
        ),
        (changed("raw.dvc", outs=(Content("raw", "md5:s"),)), "dependency raw of stage raw.dvc"),
        ({k: v for k, v in STAGES.items() if k != "test"}, "stage test"),
    ],
)
def test_what_changes_the_lineage_is_named(found: dict[str, Entry], what: str) -> None:
    assert next(input_differences(STAGES, found)).what == what
    assert next(input_differences(found, STAGES)).what == what
    assert lineage_digest("m", found) != lineage_digest("m", STAGES)


def test_bytes_that_a_stage_made_do_not_count() -> None:
    found = changed("train", outs=(Content("model", "md5:n"),), deps=(Content("raw/a.csv", "md5:b"), TRAIN.deps[1]))
    found["test"] = replace(TEST, deps=(Content("model", ""),))
    assert list(input_differences(STAGES, found)) == []
    assert lineage_digest("m", found) == lineage_digest("m", STAGES)


values = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(values, values, st.floats(0, 10))
def test_metrics_within_the_tolerance(old: float, new: float, tolerance: float) -> None:
    found = list(metric_disagreements({"m": Metric(value=old)}, {"m": Metric(value=new)}, tolerance))
    assert bool(found) == (abs(old - new) > tolerance)


def test_metrics_that_only_one_side_has() -> None:
    whole = {"m": Metric(value=1.0, low=0.5, high=1.5)}
    assert [d.what for d in metric_disagreements(whole, {}, 9)] == ["metric m"]
    assert [d.what for d in metric_disagreements({}, whole, 9)] == ["metric m"]
    assert [d.what for d in metric_disagreements(whole, {"m": Metric(value=1.0, high=1.5)}, 9)] == [
        "metric m, lower bound"
    ]


def test_refits_that_lie_otherwise_apart_are_told() -> None:
    old, new = ({"m": Metric(value=1.0, refits=Refits(5, deviation))} for deviation in (0.1, 0.2))
    assert [d.what for d in metric_disagreements(old, new, 0.05)] == ["metric m, deviation of refits"]
    assert not list(metric_disagreements(old, new, 0.2))
    assert list(metric_disagreements(old, {"m": Metric(value=1.0)}, 9))


@pytest.mark.parametrize(
    ("old", "new"), [(1, 1.0), (1, True), (0, False), (1, "1"), ([1], [1.0]), ({"a": 1}, {"a": True})]
)
def test_a_param_of_another_type_is_another_input(old: object, new: object) -> None:
    before = replace(TRAIN, params={"params.yaml": {"rate": old}})
    after = replace(TRAIN, params={"params.yaml": {"rate": new}})
    assert [str(d.what) for d in input_differences({"train": before}, {"train": after})]
    assert before != after
    assert before.inputs_digest() != after.inputs_digest()
    assert before == Entry.from_dict(before.to_dict())
