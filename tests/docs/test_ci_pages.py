"""The pages on CI: what they say of gitml.yaml and of the commands is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from conftest import gitml
from gitml.cli.ci import COMMANDS
from gitml.spec import parse_application

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs/how-to/ci-github.md", ROOT / "docs/reference/ci.md"]
MODEL = "application: toy\nmodels:\n  m: {artifact: m.onnx, metrics: m.json}\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_every_piece_of_gitml_yaml_is_taken(page: Path) -> None:
    blocks = re.findall(r"^ *```yaml\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.M | re.S)
    assert blocks
    for block in blocks:
        keys = YAML(typ="safe", pure=True).load(block)
        lines = block.split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        app = parse_application((MODEL + "\n".join(line[indent:] for line in lines)).encode())
        assert set(keys) <= set(type(app).model_fields)


def test_the_files_in_the_how_to_are_the_rendered_ones(toy: Path) -> None:
    text = PAGES[0].read_text(encoding="utf-8")
    assert gitml(toy, "ci", "render").out in text


def test_every_command_for_jobs_is_in_the_reference() -> None:
    text = PAGES[1].read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"`gitml ci {name}" not in text] == []


def test_every_name_to_set_in_github_is_the_one_that_workflows_ask_for() -> None:
    source = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "src/gitml/ci").rglob("*.py"))
    asked = set(re.findall(r"(?:vars|secrets)\.([A-Z_]+)", source))
    assert asked
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert [name for name in asked if f"`{name}`" not in text] == []
