"""The one style sheet: complete, small, readable in both schemes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from gitml_sandbox.web import routes as web


def test_files_of_the_package_are_complete_and_small() -> None:
    folder = Path(str(web.__file__)).parent
    names = {path.name for path in (folder / "static").iterdir()}
    assert names == set(web.STATIC)
    assert (folder / "static/gitml.css").stat().st_size < 25_000
    config = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert config["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/gitml_sandbox"]
    for template in (folder / "templates").iterdir():
        text = template.read_text()
        assert "<script" not in text
        assert not re.search(r"\sstyle=|\son[a-z]+=", text)


def _luminance(colour: str) -> float:
    full = "".join(c * 2 for c in colour) if len(colour) == 3 else colour
    parts = [int(full[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, success criterion 1.4.3."""
    dark, light = sorted((_luminance(one.lstrip("#")), _luminance(other.lstrip("#"))))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_aa(scheme: str) -> None:
    css = (Path(str(web.__file__)).parent / "static/gitml.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    sets = [dict(re.findall(r"--([\w-]+): (#[0-9a-fA-F]{3,6});", block)) for block in blocks[:2]]
    colours = sets[0] if scheme == "light" else {**sets[0], **sets[1]}
    texts = ("ink", "dim", "link", "good", "bad", "wait", "merged")
    pairs = [(text, ground) for text in texts for ground in ("ground", "sheet", "raised", "dim-bg")]
    pairs += [("good", "good-bg"), ("bad", "bad-bg"), ("merged", "merged-bg"), ("ink", "wait-bg"), ("ink", "bad-bg")]
    pairs += [("on-accent", "accent"), ("on-accent", "accent-hover"), ("ink", "add"), ("ink", "del"), ("dim", "hunk")]
    pairs += [("ink", "add-n"), ("ink", "del-n")]
    pairs += [(f"k-{name}", "sheet") for name in ("key", "str", "num", "com", "name", "fun")]
    weak = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}
    assert {pair: value for pair, value in weak.items() if value < 4.5} == {}
    assert all(contrast(colour, "#fff") >= 4.5 for colour in web.COLOURS)
