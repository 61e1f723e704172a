"""A class name means the same wherever it is read. The sandbox is a distribution of its own."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import gitml

SOURCE = Path(gitml.__file__).parent


def public_classes() -> dict[str, list[str]]:
    """Name → the modules that define a public class of that name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        where = path.relative_to(SOURCE).as_posix()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(where)
    return found


def test_no_two_public_classes_share_a_name() -> None:
    shared = {name: places for name, places in public_classes().items() if len(places) > 1}
    assert not shared
