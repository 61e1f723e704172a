"""What DVC takes and another clone has otherwise: refused or told with its line, before anything runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import write
from gitml.errors import SpecError
from gitml.spec.dvcfiles import load_pipeline
from gitml.spec.leftovers import PATTERNS
from gitml.spec.unportable import counted_bytecode, kept_outputs, unportable_problems

STAGE = "stages:\n  train:\n    cmd: x\n    deps: [src, data.csv]\n    outs: [m]\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    ignored = "\n".join(PATTERNS)
    write(tmp_path, {"dvc.yaml": STAGE, "src/a.py": "", "data.csv": "", ".dvcignore": ignored})
    return tmp_path


def problems(root: Path) -> list[tuple[str, int, str]]:
    return [(p.file, p.line, p.message) for p in unportable_problems(root, load_pipeline(root))]


def cautions(root: Path) -> list[tuple[str, int, str]]:
    found = load_pipeline(root)
    return [(p.file, p.line, p.message) for p in (*kept_outputs(found), *counted_bytecode(root, found))]


def test_nothing_is_said_of_an_ordinary_pipeline(root: Path) -> None:
    assert (problems(root), cautions(root)) == ([], [])


@pytest.mark.parametrize("link", ["src/gone", "src/deep/gone"])
def test_links_to_nothing(root: Path, link: str) -> None:
    (root / link).parent.mkdir(exist_ok=True)
    (root / link).symlink_to("nowhere")
    assert problems(root) == [("dvc.yaml", 4, f"{link} is a symbolic link to nothing: nowhere")]


def test_what_is_neither_a_file_nor_a_folder(root: Path) -> None:
    """DVC would read a pipe without end."""
    os.mkfifo(root / "src/pipe")
    assert problems(root) == [("dvc.yaml", 4, "src/pipe is neither a file nor a folder")]


def test_links_that_lead_somewhere_and_those_in_outputs_are_nobodys_business(root: Path) -> None:
    (root / "src/to").symlink_to("a.py")
    write(root, {"dvc.yaml": STAGE.replace("outs: [m]", "outs: [src/made]")})
    (root / "src/made").mkdir()
    (root / "src/made/gone").symlink_to("nowhere")
    assert problems(root) == []


def test_submodules(root: Path) -> None:
    write(root, {".git/HEAD": "", ".gitmodules": '[submodule "s"]\n\tpath = src/lib\n\turl = ../lib\n'})
    ((file, line, message),) = problems(root)
    assert (file, line) == ("dvc.yaml", 4)
    assert message.startswith("src/lib is a submodule of Git")
    write(root, {".gitmodules": '[submodule "s"]\n\tpath = other\n'})
    assert problems(root) == []


def test_data_that_dvc_2_took_in(root: Path) -> None:
    write(root, {"data.csv.dvc": f"outs:\n- md5: {'0' * 32}\n  size: 1\n  path: data.csv\n"})
    assert problems(root) == [("data.csv.dvc", 2, "has digests of DVC 2, which leave line endings out")]
    write(root, {"data.csv.dvc": f"outs:\n- md5: {'0' * 32}\n  hash: md5\n  path: data.csv\n"})
    assert problems(root) == []


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"params.yaml": "a: 1\nday: 2013-01-31\n"}, ("params.yaml", 2)),
        ({"params.yaml": "a: [1, {b: 2013-01-31 10:00:00}]\n"}, ("params.yaml", 1)),
        ({"dvc.yaml": STAGE + "    params: [o.yaml: [day]]\n", "o.yaml": "x: 1\nday: 2013-01-31\n"}, ("o.yaml", 2)),
        ({"dvc.yaml": STAGE + "    params: [{o.yaml: }]\n", "o.yaml": "x: 1\nday: 2013-01-31\n"}, ("o.yaml", 2)),
        ({"dvc.yaml": "vars: [v.yaml]\n" + STAGE, "v.yaml": "day: 2013-01-31\n"}, ("v.yaml", 1)),
    ],
)
def test_dates_where_dvc_refuses_them(root: Path, files: dict[str, str], place: tuple[str, int]) -> None:
    write(root, files)
    assert problems(root) == [(*place, "a date, which DVC takes for no value of a param")]


def test_dates_where_dvc_takes_them(root: Path) -> None:
    write(root, {"dvc.yaml": STAGE + "    meta: {day: 2013-01-31}\n    params: [o.yaml: [x]]\n"})
    write(root, {"o.yaml": "x: 1\nday: 2013-01-31\n", "params.yaml": "day: '2013-01-31'\n"})
    assert problems(root) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("stages:\n  p:\n    foreach: [2013-01-31]\n    do: {cmd: 'x ${item}'}\n", 3),
        ("stages:\n  p:\n    foreach: {a: 1, b: 2013-01-31}\n    do: {cmd: 'x ${item}'}\n", 3),
        ("stages:\n  p:\n    matrix: {day: [2013-01-31]}\n    cmd: x\n", 3),
        ("vars:\n- day: 2013-01-31\nstages: {}\n", 2),
    ],
)
def test_dates_in_dvc_yaml_itself(tmp_path: Path, text: str, line: int) -> None:
    write(tmp_path, {"dvc.yaml": text})
    with pytest.raises(SpecError) as caught:
        load_pipeline(tmp_path)
    (found,) = caught.value.problems
    assert (found.line, found.message) == (line, "a date, which DVC takes for no value of a param")


def test_vars_of_toml_are_read_and_those_of_python_refused(tmp_path: Path) -> None:
    stage = "stages:\n  train:\n    cmd: x\n    outs: ['m-${a.b}']\n"
    write(tmp_path, {"dvc.yaml": "vars: [v.toml]\n" + stage, "v.toml": "[a]\nb = 3\n"})
    assert list(load_pipeline(tmp_path).stages["train"].outs) == ["m-3"]
    write(tmp_path, {"v.toml": "a = \n"})
    with pytest.raises(SpecError, match="is not TOML"):
        load_pipeline(tmp_path)
    write(tmp_path, {"dvc.yaml": "vars: [v.py]\n" + stage, "v.py": "a = {'b': 3}\n"})
    with pytest.raises(SpecError, match="is Python, whose values are known only to who runs it") as caught:
        load_pipeline(tmp_path)
    assert caught.value.problems[0].line == 1


@pytest.mark.parametrize("option", ["persist", "checkpoint"])
def test_outputs_that_stay_from_run_to_run(root: Path, option: str) -> None:
    write(root, {"dvc.yaml": STAGE.replace("outs: [m]", f"outs: [m: {{{option}: true}}]")})
    ((file, line, message),) = cautions(root)
    assert (file, line) == ("dvc.yaml", 5)
    assert message.startswith("m stays from run to run")
    write(root, {"dvc.yaml": STAGE.replace("outs: [m]", f"outs: [m: {{{option}: false}}]")})
    assert cautions(root) == []


def test_bytecode_that_only_the_dvc_command_counts(root: Path) -> None:
    write(root, {".dvcignore": ""})
    ((file, _, message),) = cautions(root)
    assert file == ".dvcignore"
    assert "counts bytecode in src" in message
    write(root, {"dvc.yaml": STAGE.replace("src, ", "src/a.py, ")})
    assert cautions(root) == []
