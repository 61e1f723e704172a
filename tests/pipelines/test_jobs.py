from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitml.errors import SpecError, UsageError
from gitml.pipelines.jobs import StageJob, jobs_of
from gitml.spec.application import Application
from gitml.spec.dag import needs
from gitml.spec.dvcfiles import Out, Pipeline, Stage
from gitml.spec.yamlfile import parse

DOCUMENT = parse(b"stages: {}\n", "dvc.yaml")
LABELS = {"cpu": ["ubuntu-latest"], "gpu": ["self-hosted", "gpu"], "big": ["self-hosted", "big"]}


def pipeline(stages: Mapping[str, Sequence[str]]) -> Pipeline:
    """Each stage reads the outputs of those it names and writes one file, named after it."""
    return Pipeline(
        {
            name: Stage(
                DOCUMENT,
                name,
                ("stages", name),
                "",
                {f"{read}.out": ("stages", name) for read in reads},
                (),
                {f"{name}.out": Out(f"{name}.out", "outs", True, ("stages", name))},
            )
            for name, reads in stages.items()
        },
    )


def application(models: Mapping[str, str], stages: Mapping[str, Any] | None = None) -> Application:
    """Models by name with the stage that leaves each of them."""
    return Application.model_validate(
        {
            "application": "app",
            "models": {
                name: {"artifact": f"{stage}.out", "metrics": f"{stage}.out", "format": "onnx"}
                for name, stage in models.items()
            },
            "hardware": LABELS,
            "stages": stages or {},
        }
    )


Drawn = tuple[dict[str, list[str]], dict[str, str]]


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    """A pipeline whose last stage reads all others, directly or not, and the hardware of each stage."""
    names = draw(st.permutations([f"s{n}" for n in range(draw(st.integers(1, 9)))]))
    stages = {
        name: draw(st.lists(st.sampled_from(names[:n]), unique=True)) if n else [] for n, name in enumerate(names)
    }
    stages["last"] = list(names)
    hardware = {name: draw(st.sampled_from(list(LABELS))) for name in stages}
    order = draw(st.permutations(list(stages)))
    return {name: stages[name] for name in order}, hardware


def cut(found: Drawn) -> tuple[StageJob, ...]:
    stages, hardware = found
    wanted = {name: {"hardware": where} for name, where in hardware.items()}
    return jobs_of(application({"m": "last"}, wanted), pipeline(stages))


@settings(deadline=None, max_examples=60)
@given(drawn())
def test_every_stage_is_in_one_job_on_its_hardware(found: Drawn) -> None:
    stages, hardware = found
    jobs = cut(found)
    assert sorted(s for j in jobs for s in j.stages) == sorted(stages)
    assert all(hardware[s] == j.hardware and j.labels == tuple(LABELS[j.hardware]) for j in jobs for s in j.stages)
    assert len({j.name for j in jobs}) == len(jobs)


@settings(deadline=None, max_examples=60)
@given(drawn())
def test_stages_and_jobs_follow_all_that_they_read(found: Drawn) -> None:
    graph = needs(pipeline(found[0]))
    jobs = cut(found)
    owner = {s: j.name for j in jobs for s in j.stages}
    seen: list[str] = []
    for number, job in enumerate(jobs):
        assert set(job.needs) <= {j.name for j in jobs[:number]}  # so there is no cycle
        for stage in job.stages:
            assert graph[stage] <= set(seen)
            seen.append(stage)
        assert set(job.needs) == {owner[r] for s in job.stages for r in graph[s]} - {job.name}


@settings(deadline=None, max_examples=60)
@given(drawn())
def test_a_job_starts_no_later_than_its_inputs_allow(found: Drawn) -> None:
    """As few hand-overs in a row as there are changes of hardware on the way from the first stage to the last."""
    stages, hardware = found

    def changes(name: str) -> int:
        return max((changes(read) + (hardware[read] != hardware[name]) for read in stages[name]), default=0)

    jobs = {j.name: j for j in cut(found)}

    def depth(name: str) -> int:
        return max((depth(n) + 1 for n in jobs[name].needs), default=0)

    assert max(depth(name) for name in jobs) <= changes("last")


@settings(deadline=None, max_examples=60)
@given(drawn(), st.sampled_from(list(LABELS)))
def test_one_kind_of_hardware_is_one_job(found: Drawn, where: str) -> None:
    stages, _ = found
    (job,) = cut((stages, dict.fromkeys(stages, where)))
    assert (job.name, job.needs) == (f"train-{where}", ())


@settings(deadline=None, max_examples=60)
@given(drawn(), st.data())
def test_renaming_a_stage_moves_nothing(found: Drawn, data: st.DataObject) -> None:
    stages, hardware = found
    old = data.draw(st.sampled_from(sorted(set(stages) - {"last"})))
    new = data.draw(st.sampled_from(["a", "m", "s55", "zz"]))

    def renamed(name: str) -> str:
        return new if name == old else name

    after = cut(
        (
            {renamed(n): [renamed(r) for r in reads] for n, reads in stages.items()},
            {renamed(n): where for n, where in hardware.items()},
        )
    )
    assert [(j.name, j.needs, j.stages) for j in after] == [
        (j.name, j.needs, tuple(renamed(s) for s in j.stages)) for j in cut(found)
    ]


@settings(deadline=None, max_examples=60)
@given(drawn())
def test_a_stage_of_no_model_changes_nothing(found: Drawn) -> None:
    stages, hardware = found
    more = ({"alone": [], **stages, "after": ["last"]}, hardware)
    wanted = {name: {"hardware": where} for name, where in hardware.items()}
    assert jobs_of(application({"m": "last"}, wanted), pipeline(more[0])) == cut(found)


def test_models_that_are_not_asked_for_leave_their_stages_out() -> None:
    app = application({"a": "train-a", "b": "train-b"})
    built = pipeline({"read": [], "train-a": ["read"], "train-b": ["read"]})
    assert jobs_of(app, built, ["b"])[0].stages == ("read", "train-b")
    assert jobs_of(app, built)[0].stages == ("read", "train-a", "train-b")
    with pytest.raises(UsageError, match="no model c"):
        jobs_of(app, built, ["c"])


def test_a_job_has_the_packages_that_its_stages_depend_on() -> None:
    app = application({"a": "train-a", "b": "train-b"}, {"train-b": {"hardware": "gpu"}})
    locks = {"a": "a.lock.out", "b": "b.lock.out"}
    models = {n: m.model_copy(update={"packages": locks[n]}) for n, m in app.models.items()}
    built = pipeline({"read": ["a.lock"], "train-a": ["read", "a.lock"], "train-b": ["read", "b.lock"]})
    jobs = jobs_of(app.model_copy(update={"models": models}), built)
    assert [(j.name, j.packages) for j in jobs] == [("train-cpu", ("a.lock.out",)), ("train-gpu", ("b.lock.out",))]


def test_names_are_words_that_ci_systems_take() -> None:
    app = application({"m": "d"}, {"a": {"hardware": "4x.a100"}, "b": {"hardware": "4x-a100"}})
    labels = {"4x.a100": ("a",), "4x-a100": ("b",), "4x-a100-2": ("c",)}
    app = app.model_copy(update={"hardware": labels})
    jobs = jobs_of(app, pipeline({"a": [], "b": [], "c": ["a", "b"], "d": ["c"]}))
    assert [(j.name, j.stages) for j in jobs] == [
        ("train-4x-a100", ("a",)),
        ("train-4x-a100-2", ("b",)),
        ("train-4x-a100-3", ("c", "d")),
    ]


@pytest.mark.parametrize(
    ("stages", "minutes"),
    [
        ({"a": {"timeout": "30m"}, "b": {"timeout": "1h"}}, 105),
        ({"a": {"timeout": "30m"}}, 360),
        ({"a": {"timeout": "9h"}}, 555),
    ],
)
def test_a_job_has_the_time_of_its_stages(stages: dict[str, Any], minutes: int) -> None:
    (job,) = jobs_of(application({"m": "b"}, stages), pipeline({"a": [], "b": ["a"]}))
    assert job.timeout == timedelta(minutes=minutes)


def test_stages_that_wait_for_one_another_are_refused() -> None:
    with pytest.raises(SpecError, match="wait for one another"):
        jobs_of(application({"m": "a"}), pipeline({"a": ["b"], "b": ["a"]}))


def test_ten_thousand_stages_in_a_row_are_one_job() -> None:
    chain = {f"s{n}": [f"s{n - 1}"] if n else [] for n in range(10_000)}
    (job,) = jobs_of(application({"m": "s9999"}), pipeline(chain))
    assert job.stages == tuple(chain)
