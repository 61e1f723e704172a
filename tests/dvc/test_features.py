"""docs/reference/dvc.md, line by line: what of DVC works, is cautioned of, is refused or differs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import dvc, git, write
from dvc import schema
from gitml.dvc.repository import Dvc
from gitml.errors import GitmlError
from gitml.project.check import check
from gitml.spec.dvcfiles import load_pipeline
from gitml.spec.dvcshape import DvcArtifact, DvcFile, OutOptions, PlotDefinition, StageBody
from gitml.spec.leftovers import PATTERNS

PAGE = Path(__file__).parents[2] / "docs/reference/dvc.md"
TESTS = Path(__file__).parents[1]
MODEL = "application: toy\nmodels:\n  m:\n    artifact: m.onnx\n    metrics: m.json\n    better: {auc: higher}\n"
TRAIN = """\
  train:
    cmd: python train.py
    deps: [train.py]
    outs: [m.onnx]
    metrics: [m.json: {cache: false}]
"""
MD5 = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Row:
    """``stages``: more of dvc.yaml; ``said``: parts of what `gitml check` says; ``test``: who shows it instead.

    ``fails``: DVC takes it for an error as well.
    """

    stages: str = ""
    top: str = ""
    train: str = TRAIN
    files: Mapping[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    fails: bool = False
    test: str = ""


WORKS = {
    "several commands": Row("  a:\n    cmd: [one, two]\n    outs: [o]\n"),
    "`wdir`": Row("  a:\n    cmd: x\n    wdir: sub\n    deps: [../train.py]\n    outs: [o]\n"),
    "`desc`, `meta`, `type` and `labels` of stages and outputs": Row(
        "  a:\n    desc: words of ${d}\n    meta: {day: 2013-01-31}\n    cmd: x\n"
        "    outs: [o: {desc: '${d}', type: t, labels: [l], meta: {k: 1}}]\n",
        files={"params.yaml": "d: 1\n"},
    ),
    "params of YAML, JSON, TOML and Python": Row(
        "  a:\n    cmd: x\n    params: [p.toml: [a], p.py: [b], p.json: [c], d, w.yaml: ]\n    outs: [o]\n",
        files={
            "p.toml": "a = 1\n",
            "p.py": "b = 1\n",
            "p.json": '{"c": 1}',
            "params.yaml": "d: 1\n",
            "w.yaml": "e: 1\n",
        },
    ),
    "`${…}` from `params.yaml`": Row(
        "  a:\n    cmd: x\n    outs: ['o-${p.q[1].r}', 'p-${p.q[-1].r}']\n",
        files={"params.yaml": "p: {q: [0, {r: 5}]}\n"},
    ),
    "`vars` of YAML, JSON and TOML": Row(
        "  a:\n    cmd: x\n    vars: [v.json, {z: 3}]\n    outs: ['o-${x}-${y}-${z}']\n",
        top="vars: [v.toml]\n",
        files={"v.toml": "x = 1\n", "v.json": '{"y": 2}'},
    ),
    "`vars` that give a part of a mapping, of one stage, or by name": Row(
        "  a:\n    cmd: x\n    wdir: sub\n    vars: ['v.yaml:z']\n    outs: ['o-${p.a}${p.b}${z}']\n",
        top="vars: [{p: {a: 5}}]\n",
        files={"params.yaml": "p: {b: 3}\n", "sub/v.yaml": "z: 1\np: 2\n"},
    ),
    "mappings as options of a command": Row(
        "  a:\n    cmd: x ${p} \\${HOME}\n    outs: [o]\n",
        files={"params.yaml": "p: {rate: 1, on: true, of: [1, 2]}\n"},
    ),
    "`foreach` over lists, of truth values and numbers too": Row(
        "  a:\n    foreach: [true, false, 1, 1.5, ~, x y]\n    do:\n      cmd: x\n      outs: ['o-${item}']\n"
    ),
    "`foreach` over mappings, and lists of mappings": Row(
        "  a:\n    foreach: {k: {v: 1}}\n    do: {cmd: x, outs: ['o-${key}-${item.v}']}\n"
        "  b:\n    foreach: [{v: 1}, {v: 2}]\n    do: {cmd: x, outs: ['b-${item.v}']}\n"
        "  c:\n    foreach: [[1], word]\n    do: {cmd: x, deps: [train.py]}\n"
    ),
    "`matrix`": Row(
        "  a:\n    matrix:\n      u: [true, 1.0, ~]\n      v: [{w: 1}, z]\n    cmd: x\n    outs: ['o-${key}']\n"
    ),
    "several `dvc.yaml`, in folders below": Row(
        files={"sub/dvc.yaml": "stages:\n  a:\n    cmd: x\n    deps: [../m.onnx]\n    outs: [o]\n"}
    ),
    "`metrics`, `params`, `plots`, `artifacts` and `datasets` at the top": Row(
        top="metrics: [m.json]\nparams: [p.yaml]\ndatasets: [{name: d, type: url, url: 's3://b/d'}]\n"
        "plots:\n  - roc.csv\n  - roc: {x: {roc.csv: a}, y: {roc.csv: [b, c]}, title: t, template: simple}\n"
        "artifacts:\n  it: {path: m.onnx, type: model, labels: [l], desc: d, meta: {k: 1}}\n"
    ),
    "`plots` of stages, with `template`, `x`, `y`, `title`, `header`": Row(
        "  a:\n    cmd: x\n    plots: [p.csv: {x: a, y: b, x_label: c, y_label: d, title: t, template: simple},"
        " q.csv: {header: false, cache: false}]\n"
    ),
    "`cache: false`, `push: false`, `remote`": Row(
        "  a:\n    cmd: x\n    outs: [o: {cache: false}, p: {push: false}, q: {remote: store}]\n"
    ),
    "data of `dvc add`": Row(
        "  a:\n    cmd: x\n    deps: [raw.csv, folder/part.csv]\n    outs: [o]\n",
        files={
            "raw.csv.dvc": f"outs:\n- md5: {MD5}\n  size: 1\n  hash: md5\n  path: raw.csv\n",
            "folder.dvc": f"outs:\n- md5: {MD5}.dir\n  size: 1\n  nfiles: 1\n  hash: md5\n  path: folder\n",
        },
    ),
    "one file or folder of what another stage makes": Row(test="dvc/test_expected.py::test_parts_of_what_others_make"),
    "a folder around what others make": Row(test="dvc/test_expected.py::test_parts_of_what_others_make"),
    "data of `dvc import` and `dvc import-url`": Row(
        test="dvc/test_imports.py::test_an_import_is_to_be_had_in_a_clone"
    ),
    "`always_changed`": Row(test="training/test_train_beliefs.py::test_a_stage_that_is_always_changed_runs"),
    "`dvc push`, `dvc pull`, `dvc status`": Row(test="training/test_train.py::test_a_clone_fetches_what_is_needed"),
    "`dvc plots show`": Row(test="application/test_evaluation.py::test_dvc_draws_the_curves_of_the_report_too"),
}
CAUTIONED = {
    "`persist: true`, `checkpoint: true`": Row(
        "  a:\n    cmd: x\n    outs: [o: {persist: true}]\n", said=("o stays from run to run",)
    ),
    "dependencies elsewhere: `https://`, `s3://`, `remote://`": Row(
        "  a:\n    cmd: x\n    deps: ['remote://store/x.csv', 'https://example.org/y.csv']\n    outs: [o]\n",
        said=("remote://store/x.csv is no part of a clone", "https://example.org/y.csv is no part of a clone"),
    ),
    "folders of code without bytecode in `.dvcignore`": Row(
        "  a:\n    cmd: x\n    deps: [src]\n    outs: [o]\n",
        files={"src/a.py": "", ".dvcignore": ""},
        said=("counts bytecode in src",),
    ),
    "entries of `dvc.lock` whose stage is gone": Row(
        files={"dvc.lock": "schema: '2.0'\nstages:\n  old: {cmd: x}\n"}, said=("dvc.yaml has no stage 'old'",)
    ),
    "`core.autocrlf`": Row(test="pipelines/test_clone.py::test_other_line_endings"),
    "files in a dependency that Git ignores": Row(test="pipelines/test_clone.py::test_files_that_count"),
}
REFUSED = {
    "data and lock files of DVC 2": Row(
        "  a:\n    cmd: x\n    deps: [raw.csv]\n    outs: [o]\n",
        files={"raw.csv": "", "raw.csv.dvc": f"outs:\n- md5: {MD5}\n  path: raw.csv\n"},
        said=("has digests of DVC 2",),
    ),
    "an artifact inside a folder that is an output": Row(
        train=TRAIN.replace("[m.onnx]", "[made]"),
        files={"gitml.yaml": MODEL.replace("m.onnx", "made/m.onnx")},
        said=("made/m.onnx is a part of the output made",),
    ),
    "dates in templates and params": Row(files={"params.yaml": "day: 2013-01-31\n"}, said=("a date, which DVC takes",)),
    "templates without a value, in commands too": Row(
        files={"sub/dvc.yaml": "stages: {a: {cmd: 'x ${size}', outs: [o]}}\n", "params.yaml": "size: 1\n"},
        said=("${size} has no value",),
    ),
    "`vars` that give a name another value, or read a file twice": Row(
        "  a: {cmd: x, vars: [{size: 2}]}\n  b: {cmd: x, vars: ['v.yaml:z', 'v.yaml:z']}\n"
        "  c: {cmd: x, vars: ['v.yaml:none']}\n  d: {foreach: [1], do: {cmd: x, vars: [{item: 2}]}}\n",
        files={"params.yaml": "size: 1\n", "v.yaml": "z: 1\n"},
        said=("size has a value already", "v.yaml was read before", "v.yaml has no 'none'", "item is the loop's own"),
        fails=True,
    ),
    "templates in `vars`": Row(
        top="vars: [{b: '${size}'}]\n", files={"params.yaml": "size: 1\n"}, said=("vars take no templates",), fails=True
    ),
    "a number as a whole path or param": Row(
        "  a: {cmd: x, outs: ['${year}']}\n",
        files={"params.yaml": "year: 2013\n"},
        said=("${year} is no text",),
    ),
    "lists in a command": Row(
        "  a: {cmd: 'x ${of}', outs: [o]}\n  b: {cmd: 'x ${p}', outs: [p]}\n",
        files={"params.yaml": "of: [1]\np: {a: [[1]]}\n"},
        said=("${of} is a list", "${p} has lists in a list"),
        fails=True,
    ),
    "`matrix` over what is no list": Row("  a: {matrix: {u: word}, cmd: x}\n", said=("must have a list",)),
    "`@` in a stage's name": Row("  a@b: {cmd: x, outs: [o]}\n", said=("has no @",), fails=True),
    "keys of older DVC: `live`, `xpath`": Row(
        "  a: {cmd: x, live: {p: }}\n  b: {cmd: x, metrics: [o: {xpath: a}]}\n",
        said=("unknown key 'live'", "unknown key 'xpath'"),
        fails=True,
    ),
    "outputs without options behind a colon, and plots with several sets of them": Row(
        "  a: {cmd: x, outs: [o: ]}\n  b: {cmd: x, plots: [p: [{x: a}, {x: b}]]}\n",
        said=(
            "the options of o must be a mapping, but are empty",
            "the options of p must be a mapping, but are a list",
        ),
        fails=True,
    ),
    "outputs that `.dvcignore` names, and files of DVC itself": Row(
        "  a: {cmd: x, deps: [dvc.yaml], outs: [o.tmp, .git/o, p.dvc]}\n",
        files={".dvcignore": "\n".join((*PATTERNS, "*.tmp"))},
        said=(
            "o.tmp is ignored by DVC",
            ".git/o is ignored",
            "p.dvc is a file of DVC's",
            "dvc.yaml is a file of DVC's",
        ),
        fails=True,
    ),
    "outputs elsewhere: `s3://`, `remote://`": Row(
        "  a: {cmd: x, outs: ['remote://store/o': {cache: false}]}\n", said=("remote://store/o lies outside",)
    ),
    "`vars` of Python": Row(top="vars: [v.py]\n", files={"v.py": "a = 1\n"}, said=("is Python, whose values",)),
    "keys of `foreach` that are no text": Row(
        "  a:\n    foreach: {true: 1}\n    do: {cmd: 'x ${key}'}\n", said=("a key must be text, but is 'true'",)
    ),
    "submodules as dependencies": Row(test="spec/test_unportable.py::test_submodules"),
    "symbolic links to nothing": Row(test="spec/test_unportable.py::test_links_to_nothing"),
    "absolute paths": Row(
        "  a:\n    cmd: x\n    deps: [/data/raw.csv, 'file:///data/x']\n    outs: [o]\n",
        said=("reads /data/raw.csv, which other machines", "reads file:///data/x, which other machines"),
    ),
    "outputs outside the folder, or inside one another": Row(
        "  a:\n    cmd: x\n    outs: [o, o/p, ../q]\n", said=("o/p lies inside o", "../q lies outside")
    ),
    "datasets as dependencies: `ds://`": Row(
        "  a: {cmd: x, deps: ['ds://d'], outs: [o]}\n",
        top="datasets: [{name: d, type: url, url: 's3://b/d'}]\n",
        said=("reads ds://d, of which dvc.lock keeps no digest",),
    ),
    "stages that read what they write, `deps: [.]` too": Row(
        "  a:\n    cmd: x\n    deps: [.]\n    outs: [o]\n", said=("wait for one another: a → a",)
    ),
    "a sparse checkout without records": Row(test="pipelines/test_clone.py::test_a_sparse_checkout_without_records"),
    "a sparse checkout with a part of what a stage reads": Row(
        test="pipelines/test_clone.py::test_a_sparse_checkout_with_a_part"
    ),
    "a `.dvc` above the application": Row(test="project/test_check.py::test_a_dvc_above_the_application"),
    "pipes, sockets and devices": Row(test="spec/test_unportable.py::test_what_is_neither_a_file_nor_a_folder"),
}
DIFFERS = {
    "`dvc.lock`": Row(test="training/test_train.py::test_a_forged_lock_entry_is_not_believed"),
    "`dvc repro`, `dvc commit`, `dvc exp run`": Row(test="training/test_train.py::test_a_forged_lock_entry"),
    "`frozen: true`": Row(test="training/test_train_beliefs.py::test_a_frozen_stage_does_not_vouch"),
    "params `1`, `1.0` and `true`": Row(test="training/test_train_beliefs.py::test_a_param_of_another_type"),
    "bytecode in a folder of code": Row(test="dvc/test_ignoring.py::test_leftovers_are_no_part"),
    "outputs of a stage that fails": Row(test="training/test_train.py::test_a_stage_that_does_not_end"),
    "a clone without data": Row(test="training/test_train.py::test_a_clone_fetches_what_is_needed"),
    "`dvc gc`": Row(test="training/test_gc.py::test_keeps_artifacts_that_only_a_record_names"),
    "remotes of `.dvc/config`": Row(test="dvc/test_addresses.py::"),
}
ROWS = {
    (feature, verdict): row
    for verdict, rows in {"works": WORKS, "caution": CAUTIONED, "refused": REFUSED, "differs": DIFFERS}.items()
    for feature, row in rows.items()
}
HERE = {key: row for key, row in ROWS.items() if not row.test}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty")
    git(folder, "init", "-q", "-b", "main")
    dvc(folder, "init")
    return folder


@pytest.fixture
def root(empty: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(empty, tmp_path / "app"))


def build(root: Path, row: Row) -> None:
    files = {"gitml.yaml": MODEL, "train.py": "", ".dvcignore": "\n".join(PATTERNS)}
    files |= {".dvc/config": "['remote \"store\"']\n    url = /tmp/store\n"}
    write(root, {**files, "dvc.yaml": f"{row.top}stages:\n{row.train}{row.stages}", **row.files})


def test_the_page_says_what_is_tested_here() -> None:
    lines = re.findall(
        r"^\| (.+?) \| (works|caution|refused|differs) \| .+ \|$", PAGE.read_text(encoding="utf-8"), re.M
    )
    assert sorted(lines) == sorted(ROWS)


@pytest.mark.parametrize("test", sorted({row.test for row in ROWS.values() if row.test}))
def test_the_others_are_tested_where_it_is_said(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name or 'test_'}" in (TESTS / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(("feature", "verdict"), HERE)
def test_each_line(root: Path, feature: str, verdict: str) -> None:
    row = HERE[feature, verdict]
    build(root, row)
    report = check(root)
    problems, cautions = ([p.message for p in found] for found in (report.problems, report.cautions))
    if verdict == "refused":
        assert all(any(said in message for message in problems) for said in row.said), problems
        assert all(p.hint for p in report.problems if any(said in p.message for said in row.said))
        assert not row.fails or fails(root)
        return
    assert not problems
    assert [said for message in cautions for said in row.said if said in message] == list(row.said)
    assert len(cautions) == len(row.said)
    assert ours(root) == dvcs(root)


def fails(root: Path) -> bool:
    """Whether DVC takes the pipeline for an error."""
    try:
        with Dvc(root) as repo:
            repo.producers()
            repo.check_graph()
    except (GitmlError, ValueError):
        return True
    return False


def test_what_dvc_may_say_of_stages_outputs_and_plots_is_known() -> None:
    """A key that a new DVC brings is seen here first. `cmd` and what follows a path are not optional in its schema."""
    wanted = {str(key) for key in schema.STAGE_DEFINITION}
    assert set(StageBody.model_fields) == wanted
    assert set(OutOptions.model_fields) == {str(key) for key in schema.PLOT_PROPS_SCHEMA}
    assert set(PlotDefinition.model_fields) == {str(key) for key in schema.PLOT_DEFINITION}
    assert set(DvcArtifact.model_fields) == {str(key) for key in schema.ARTIFACT_SCHEMA}
    assert set(DvcFile.model_fields) == {str(key) for key in schema.MULTI_STAGE_SCHEMA}


Read = dict[str, tuple[set[str], set[str]]]


def ours(root: Path) -> Read:
    """Stage → what it reads and what it makes, as our own reader has them."""
    return {name: (set(stage.deps), set(stage.outs)) for name, stage in load_pipeline(root).stages.items()}


def dvcs(root: Path) -> Read:
    """The same as DVC has them."""
    with Dvc(root) as repo:
        wanted = {*repo.producers().values(), *repo.lineage(list(ours(root)))}
        names = [name for name in wanted if repo.has_command(name)]
        return {name: (set(repo.reads(name)), set(repo.is_cached(name))) for name in names}
