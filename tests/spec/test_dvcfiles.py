from __future__ import annotations

import doctest
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from hypothesis import given
from hypothesis import strategies as st

from conftest import write
from gitml.errors import Problem, SpecError
from gitml.spec.application import Model
from gitml.spec.crosscheck import lock_is_current, lock_matches
from gitml.spec.dag import cycle_problems, needs, stages_of
from gitml.spec.dvcfiles import Out, Pipeline, load_locks, load_pipeline, pipeline_of
from gitml.spec.dvcplaces import pipeline_files
from gitml.spec.yamlfile import parse


def pipeline(text: str, files: Mapping[str, Any] | None = None) -> tuple[Pipeline, list[Problem]]:
    known = files or {}

    def reader(name: str) -> Mapping[str, Any]:
        if name not in known:
            raise SpecError([Problem(name, 0, "", "the file is missing")])
        return known[name]

    return pipeline_of(parse(text.encode(), "dvc.yaml"), reader)


def test_paths_are_taken_from_the_stages_folder() -> None:
    built, found = pipeline(
        "stages:\n"
        "  a:\n"
        "    cmd: [one, two]\n"
        "    wdir: sub\n"
        "    deps: [x.py, ../y.py, s3://b/z]\n"
        "    params: [seed, {other.yaml: [a.b]}, {whole.yaml: }]\n"
        "    outs: [big, {small: {cache: false, persist: true}}]\n"
        "    metrics: [m.json: {cache: false}]\n"
        "    plots: [p.json: {x: a, y: b}]\n"
    )
    assert not found
    stage = built.stages["a"]
    assert list(stage.deps) == ["sub/x.py", "y.py", "s3://b/z"]
    assert stage.deps["y.py"] == ("stages", "a", "deps", 1)
    assert [(p.file, p.name) for p in stage.params] == [
        ("sub/params.yaml", "seed"),
        ("sub/other.yaml", "a.b"),
        ("sub/whole.yaml", None),
    ]
    assert stage.outs["sub/small"] == Out("sub/small", "outs", False, ("stages", "a", "outs", 1), True)
    assert [(o.path, o.kind, o.cached) for o in stage.outs.values()] == [
        ("sub/big", "outs", True),
        ("sub/small", "outs", False),
        ("sub/m.json", "metrics", False),
        ("sub/p.json", "plots", True),
    ]


def test_templates_foreach_and_matrix() -> None:
    built, found = pipeline(
        "vars: [{years: [2013, 2014]}, 'v.yaml:place']\n"
        "stages:\n"
        "  get: {foreach: '${years}', do: {cmd: x, outs: ['${place}/${item}', 'raw-${key_}']}}\n".replace(
            ", 'raw-${key_}'", ""
        )
        + "  by: {foreach: {a: {n: 1}}, do: {cmd: x, outs: ['by/${key}-${item.n}']}}\n"
        "  grid: {matrix: {k: [1, 2], l: [{z: 0}]}, cmd: 'run ${item.k}', outs: ['g-${item.k}']}\n"
        "  plain: {cmd: 'echo \\${HOME}', vars: [{own: o}], outs: ['${own}${rate}${flag}']}\n",
        {"params.yaml": {"rate": 0.5, "flag": True}, "v.yaml": {"place": "data", "other": 1}},
    )
    assert not found
    assert {name: list(stage.outs) for name, stage in built.stages.items()} == {
        "get@2013": ["data/2013"],
        "get@2014": ["data/2014"],
        "by@a": ["by/a-1"],
        "grid@1-l0": ["g-1"],
        "grid@2-l0": ["g-2"],
        "plain": ["o0.5true"],
    }


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("stages:\n  a: {cmd: x, outs: ['${no}']}\n", 2, "stages.a", "${no} has no value"),
        ("stages:\n  a: {cmd: 'run ${n} ${no.such}'}\n", 2, "stages.a", "${no.such} has no value"),
        ("stages:\n  a: {foreach: '${n}', do: {cmd: x}}\n", 2, "stages.a", "foreach must go over"),
        ("stages:\n  a: {matrix: {k: 1}, cmd: x}\n", 2, "stages.a", "must have a list"),
        ("stages:\n  a: {cmd: x, outs: ['${d}']}\n", 2, "stages.a", "${d} is a mapping, not one value"),
        ("vars: [none.yaml]\nstages: {}\n", 1, "vars[0]", "none.yaml: the file is missing"),
        ("stages:\n  a:\n    cmd: x\n    outs: [o, o]\n", 4, "stages.a.outs[1]", "an output of this stage twice"),
    ],
)
def test_templates_that_have_no_value(text: str, line: int, key: str, words: str) -> None:
    _, (found,) = pipeline(text, {"params.yaml": {"n": 3, "d": {}}})
    assert (found.line, found.key) == (line, key)
    assert words in found.message


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        ("stage: {}\n", 1, "stage", "unknown key 'stage'"),
        ("stages:\n  a: {dep: [x], cmd: y}\n", 2, "stages.a.dep", "unknown key 'dep'"),
        ("stages:\n  a: {deps: [x]}\n", 2, "stages.a.cmd", "the key 'cmd' is missing"),
        ("stages:\n  a: {cmd: x, deps: y}\n", 2, "stages.a.deps", "must be a list, but is 'y'"),
        ("stages:\n  a:\n    cmd: x\n    outs:\n    - 5\n", 5, "stages.a.outs[0]", "must be a path, but is 5"),
        (
            "stages:\n  a:\n    cmd: x\n    outs:\n    - o: {cach: true}\n",
            5,
            "stages.a.outs[0].o.cach",
            "unknown key 'cach'",
        ),
        ("stages:\n  a: {foreach: [1], do: {comd: x, cmd: y}}\n", 2, "stages.a.do.comd", "unknown key 'comd'"),
        ("stages: [a]\n", 1, "stages", "must be a mapping of keys to values, but is a list"),
        ("stages:\n  a: run\n", 2, "stages.a", "must be a mapping of keys to values, but is 'run'"),
    ],
)
def test_the_shape_is_checked(text: str, line: int, key: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        pipeline(text)
    (found,) = caught.value.problems
    assert (found.line, found.key, found.message) == (line, key, message)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dvc_agrees_on_stages_and_paths(tmp_path: Path) -> None:
    """DVC itself reads the same file: same stages, same outputs."""
    from dvc.repo import Repo

    (tmp_path / "params.yaml").write_text("years: [2013, 2014]\nname: über uns\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "dvc.yaml").write_text(
        "vars: [{place: out}]\n"
        "stages:\n"
        "  get: {foreach: '${years}', do: {cmd: x, wdir: sub, outs: ['${place}/${item}']}}\n"
        "  grid: {matrix: {k: [a, b], n: [1]}, cmd: x, deps: [sub/out/2013], outs: ['${item.k}${item.n}']}\n"
        "  last: {cmd: x, deps: [a1], outs: ['${name}'], metrics: [m.json: {cache: false}]}\n"
    )
    ours = load_pipeline(tmp_path)
    with Repo.init(str(tmp_path), no_scm=True) as repo:
        theirs = {
            s.name: sorted(Path(o.fs_path).relative_to(tmp_path).as_posix() for o in s.outs) for s in repo.index.stages
        }
        edges = {s.name: {n.name for n in repo.index.graph.successors(s)} for s in repo.index.stages}
    assert {name: sorted(stage.outs) for name, stage in ours.stages.items()} == theirs
    assert needs(ours) == edges


CHAIN = """\
stages:
  ingest: {cmd: x, outs: [data]}
  prepare: {cmd: x, deps: [data/part.csv], outs: [tables/train, tables/test]}
  train: {cmd: x, deps: [tables/train], outs: [m.skops]}
  evaluate: {cmd: x, deps: [m.skops, tables], metrics: [m.json]}
  other: {cmd: x, deps: [data], outs: [o]}
"""


def test_a_model_is_made_by_its_producers_and_their_ancestors_in_order() -> None:
    built, _ = pipeline(CHAIN)
    assert stages_of(built, Model(artifact="m.skops", metrics="m.json")) == (
        "ingest",
        "prepare",
        "train",
        "evaluate",
    )
    assert stages_of(built, Model(artifact="elsewhere.skops", metrics="none.json")) == ()


def test_a_file_inside_an_output_belongs_to_its_stage() -> None:
    built, _ = pipeline("stages:\n  t: {cmd: x, outs: [artifacts/m]}\n")
    assert stages_of(built, Model(artifact="artifacts/m/a.onnx", metrics="none.json")) == ("t",)


def test_cycles_name_their_stages() -> None:
    built, _ = pipeline("stages:\n  a: {cmd: x, deps: [q], outs: [p]}\n  b: {cmd: x, deps: [p], outs: [q]}\n")
    (found,) = cycle_problems(built)
    assert "stages wait for one another" in found.message
    assert {"a", "b"} <= set(found.message.replace(":", "").split())
    with pytest.raises(SpecError, match="wait for one another"):
        stages_of(built, Model(artifact="p.onnx", metrics="q"))


words = st.sampled_from(
    [
        "cmd",
        "deps",
        "outs",
        "params",
        "foreach",
        "do",
        "matrix",
        "vars",
        "wdir",
        "a",
        "${a}",
        "${a.b}",
        "../x",
        "s3://y",
    ]
)
trees = st.recursive(
    words | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=10,
)


@given(
    st.dictionaries(
        words,
        st.fixed_dictionaries(
            {"cmd": st.just("x")}, optional=dict.fromkeys(("deps", "outs", "params", "matrix", "vars", "wdir"), trees)
        )
        | trees,
        max_size=3,
    ),
    trees,
)
def test_no_dvc_yaml_does_more_than_problems(stages: dict[str, Any], variables: Any) -> None:
    text = json.dumps({"vars": [variables], "stages": stages})
    try:
        built, _ = pipeline(text, {"params.yaml": {"a": {"b": [1]}}})
    except SpecError as exc:
        assert exc.problems  # noqa: PT017
    else:
        assert all(isinstance(path, str) for stage in built.stages.values() for path in [*stage.deps, *stage.outs])
        cycle_problems(built)


def test_doctests() -> None:
    for module in ("fields", "spec.dvcconfig", "spec.templates", "spec.validate", "spec.yamlfile"):
        result = doctest.testmod(importlib.import_module(f"gitml.{module}"))
        assert result.attempted
        assert not result.failed


TRAIN = "stages:\n  train:\n    cmd: x\n    deps: [make.py, ../up.csv]\n    params: [rate]\n    outs: ['m-${rate}']\n"


def test_each_folder_may_have_stages_of_its_own(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "dvc.yaml": "stages:\n  top:\n    cmd: x\n    wdir: one\n    outs: [../up.csv]\n",
            "one/dvc.yaml": TRAIN,
            "one/params.yaml": "rate: 3\n",
            "one/deep/dvc.yaml": "stages:\n  part:\n    foreach: [a, b]\n    do:\n      cmd: x\n",
            "one/dvc.lock": "schema: '2.0'\nstages:\n  train:\n    cmd: x\n  gone:\n    cmd: x\n",
        },
    )
    found = load_pipeline(tmp_path)
    parts = ["one/deep/dvc.yaml:part@a", "one/deep/dvc.yaml:part@b"]
    assert list(found.stages) == ["top", "one/dvc.yaml:train", *parts]
    stage = found.stages["one/dvc.yaml:train"]
    assert (list(stage.deps), list(stage.outs)) == (["one/make.py", "up.csv"], ["one/m-3"])
    assert [param.file for param in stage.params] == ["one/params.yaml"]
    assert needs(found)[stage.name] == {"top"}
    locks = load_locks(tmp_path)
    (old,) = lock_is_current(locks, found)
    assert (old.file, old.line, old.key) == ("one/dvc.lock", 5, "stages.gone")
    assert not lock_matches(locks, found)


def test_pipelines_that_dvc_does_not_read(tmp_path: Path) -> None:
    stage = "stages:\n  train:\n    cmd: x\n"
    write(tmp_path, {f"{at}/dvc.yaml": stage for at in ("examples", "data", "sub", "a/b/old", "a", "a/b")})
    write(tmp_path, {".dvcignore": "/examples/\n", "a/.dvcignore": "old\n", "sub/.dvc/config": ""})
    write(tmp_path, {"data.dvc": "outs:\n- path: data\n  hash: md5\n  md5: d751713988987e9331980363e24189ce.dir\n"})
    assert pipeline_files(tmp_path) == ("a/dvc.yaml", "a/b/dvc.yaml")
    with Repo.init(str(tmp_path), no_scm=True) as repo:
        seen = {Path(s.path).relative_to(tmp_path).as_posix() for s in repo.index.stages if s.cmd}
    assert seen == {"a/dvc.yaml", "a/b/dvc.yaml"}


@pytest.mark.parametrize("value", ["a@b", ""])
def test_what_dvc_can_name_no_stage_with_is_refused(value: str) -> None:
    _, (found,) = pipeline(f"stages:\n  p:\n    foreach: ['{value}', fine]\n    do: {{cmd: x}}\n")
    assert (found.line, found.message) == (2, f"{value!r} cannot be a part of a stage's name")
