"""Plain values that readers of YAML 1.1, PyYAML among them, take for something else than DVC and gitml do (YAML 1.2).

``010`` is ten here and eight there, ``1e-3`` a number here and text there, ``no`` text here and false there. A stage
that reads its params with such a reader runs on other values than the record names. Rules: https://yaml.org/type/, as
PyYAML implements them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from gitml.errors import Problem, SpecError
from gitml.spec.dvcfiles import load_pipeline
from gitml.spec.yamlfile import Document, read

_TRUTH = {**dict.fromkeys(("yes", "true", "on"), True), **dict.fromkeys(("no", "false", "off"), False)}
_INT = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]+|0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+][0-9]+)?|\.[0-9][0-9_]*([eE][-+][0-9]+)?)")
_SIXTIES = re.compile(r"[-+]?([1-9][0-9_]*(:[0-5]?[0-9])+|[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*)")
_ENDLESS = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NULL = {"", "~", "null", "Null", "NULL"}


def read_as(text: str) -> str | int | float | bool | None:
    """A plain scalar under YAML 1.1; dates stay text.

    >>> read_as("010"), read_as("1e-3"), read_as("1.0e-3"), read_as("no"), read_as("1:30"), read_as("0o10")
    (8, '1e-3', 0.001, False, 90, '0o10')
    """
    if text in _NULL:
        return None
    if text in (text.lower(), text.title(), text.upper()) and text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    digits = text.replace("_", "")
    if _INT.fullmatch(text):
        bare = digits.lstrip("+-")
        octal = len(bare) > 1 and bare[0] == "0" and bare[1].isdigit()
        return int(digits, 8 if octal else {"0b": 2, "0x": 16}.get(bare[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(digits)
    if _ENDLESS.fullmatch(text):
        return float(text.replace(".", ""))
    if _SIXTIES.fullmatch(text):
        total = 0.0
        for part in digits.lstrip("+-").split(":"):
            total = total * 60 + float(part)
        signed = -total if digits[0] == "-" else total
        return signed if "." in digits else int(signed)
    return text


def ambiguous_params(root: Path) -> list[Problem]:
    """The params of stages that the two versions of YAML read differently. A file that cannot be read holds none: what
    is wrong with it is for others to say."""
    read_by: dict[str, set[tuple[str, ...]]] = {}
    found: list[Problem] = []
    with suppress(SpecError):
        for param in (p for stage in load_pipeline(root).stages.values() for p in stage.params):
            if param.file.endswith((".yaml", ".yml")):
                read_by.setdefault(param.file, set()).add(tuple(param.name.split(".")) if param.name else ())
        for file, names in sorted(read_by.items()):
            found += _ambiguous(read(root / file, file, empty=True), names)
    return found


def _ambiguous(document: Document, names: Collection[tuple[str, ...]]) -> Iterator[Problem]:
    """Among the values at or below ``names``, each with a way to write it that all agree on."""
    for key, (text, value) in document.plain.items():
        place, other = tuple(map(str, key)), read_as(text)
        # By their texts, because NaN does not equal itself.
        is_same = type(other) is type(value) and repr(other) == repr(value)
        if is_same or not any(place[: len(name)] == name for name in names):
            continue
        told = f"{text} is {value!r} for DVC and the record, {other!r} for readers of YAML 1.1 such as PyYAML"
        written = f"'{text}'" if isinstance(value, str) else _unmistakable(value)
        yield document.problem(key, told, f"write {written}, which all read alike")


def _unmistakable(value: object) -> str:
    mantissa, exponent, power = str(value).lower().partition("e")
    if not exponent or not isinstance(value, float):
        return str(value).lower()
    return f"{mantissa}{'' if '.' in mantissa else '.0'}e{power}"
