"""Where YAML 1.1 and 1.2 part: what PyYAML itself reads is the right value."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from gitml.spec.yaml11 import ambiguous_params, read_as

DVC = "stages:\n  s:\n    cmd: x\n    params: [a, b.c]\n"


@example("0:0")
@example(".nan")
@example("-.inf")
@example(".Inf")
@given(st.text("0123456789abcdefxoyns+-._:eE", min_size=1, max_size=7))
def test_text_without_quotes_is_read_as_pyyaml_reads_it(text: str) -> None:
    try:
        wanted = yaml.safe_load(f"key: {text}")
    except (yaml.YAMLError, ValueError):
        return
    if not isinstance(wanted, dict) or not isinstance(wanted["key"], str | int | float | None):
        return
    found = read_as(text)
    assert (type(found), repr(found)) == (type(wanted["key"]), repr(wanted["key"]))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("010", "write 10,"),
        ("1e-3", "write 0.001,"),
        ("1e30", "write 1.0e+30,"),
        ("no", "write 'no',"),
        ("on", "write 'on',"),
        ("1:30", "write '1:30',"),
        ("0o10", "write 8,"),
    ],
)
def test_values_that_are_read_differently_are_named_with_a_way_that_all_agree_on(
    tmp_path: Path, text: str, hint: str
) -> None:
    (tmp_path / "dvc.yaml").write_text(DVC)
    for place, line in ((f"a: {text}\n", 1), (f"b:\n  c: [1, {text}]\n", 2)):
        (tmp_path / "params.yaml").write_text(place)
        (problem,) = ambiguous_params(tmp_path)
        assert problem.line == line
        assert hint in problem.hint
        agreed = problem.hint.removeprefix("write ").partition(",")[0]
        (tmp_path / "params.yaml").write_text(place.replace(text, agreed))
        assert ambiguous_params(tmp_path) == []
    (tmp_path / "params.yaml").write_text(f"other: {text}\nb: {{d: {text}}}\na: '{text}'\n")
    assert ambiguous_params(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["1", "-3", "0.5", "1.0e-3", "true", "null", "~", "word", "2013-01-31", "1_000", "0x1f", ".nan", "-.inf"]
)
def test_values_that_are_read_alike_are_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "dvc.yaml").write_text(DVC)
    (tmp_path / "params.yaml").write_text(f"a: {text}\n")
    assert ambiguous_params(tmp_path) == []
