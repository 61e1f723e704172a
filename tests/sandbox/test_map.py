"""The map of the package names every module, and none that is gone."""

import re
from pathlib import Path

import gitml.sandbox


def test_every_module_is_on_the_map() -> None:
    text = gitml.sandbox.__doc__ or ""
    folder = Path(gitml.sandbox.__file__).parent
    there = {p.stem for p in folder.glob("*.py")} - {"__init__"}
    # An entry begins a line or follows two spaces; the names of like modules share a line.
    entries = set(re.findall(r"(?:^ {4}|  )([a-z_]+)(?= )", text, re.M))
    shared = {w for line in text.splitlines() for w in line.split() if set(line.split()[:3]) <= there}
    named = entries | shared | set(re.findall(r"\b[a-z]+_[a-z]+\b", text))
    assert there - named == set()
    assert {word for word in named if "_" in word} <= there
