"""YAML as text, in the form in which people write files of CI systems."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

Yaml = str | int | bool | None | Sequence["Yaml"] | Mapping[str, "Yaml"]

# What YAML, GitHub's expressions, its globs and a shell all take as it stands.
_BARE = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"}


def scalar(text: str) -> str:
    """``text`` as a YAML value: bare where it stays text, else in double quotes."""
    number = re.match(r"\.?\d|\.(nan|inf)$", text.lower()) and "/" not in text  # a date, too
    bare = _BARE.fullmatch(text) and text.lower() not in _WORDS and not number
    return text if bare else json.dumps(text, ensure_ascii=False)


def dumped(value: Mapping[str, Yaml]) -> list[str]:
    """The lines of a mapping: keys and texts as ``scalar`` has them, texts of several lines as blocks.

    >>> dumped({"train": {"script": ["a", "b: c"], "needs": [], "when": "always", "tags": True}})
    ['train:', '  script:', '    - a', '    - "b: c"', '  needs: []', '  when: always', '  tags: true']
    """
    return [line for key, inner in value.items() for line in _entry(scalar(key), inner)]


def _entry(key: str, value: Yaml) -> list[str]:
    if isinstance(value, str) and "\n" in value:
        return [f"{key}: |", *(f"  {line}" if line else "" for line in value.split("\n"))]
    if isinstance(value, Mapping) and value:
        return [f"{key}:", *(f"  {line}" for line in dumped(value))]
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return [f"{key}:", *(f"  {line}" for item in value for line in _item(item))]
    return [f"{key}: {_plain(value)}"]


def _item(value: Yaml) -> list[str]:
    if isinstance(value, Mapping) and value:
        first, *rest = dumped(value)
        return [f"- {first}", *(f"  {line}" for line in rest)]
    if isinstance(value, str) and "\n" in value:
        return ["- |", *(f"  {line}" if line else "" for line in value.split("\n"))]
    return [f"- {_plain(value)}"]


def _plain(value: Yaml) -> str:
    if isinstance(value, str):
        return scalar(value)
    return json.dumps(value) if not isinstance(value, Mapping) else "{}"
