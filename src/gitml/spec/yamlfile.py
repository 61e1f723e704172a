"""YAML files with the line of every key, read as DVC reads them (YAML 1.2); odd ones are refused."""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gitml.errors import Problem, SpecError

Key = tuple[str | int, ...]

MAX_BYTES = 16_000_000
MAX_VALUES = 500_000
MAX_DEPTH = 50
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True)
class Document:
    """A parsed file: plain values, and the line (from 1) of each key, such as ``("models", "delay")``.

    ``plain`` holds the text and the value of each scalar without quotes; ``dates`` are where dates and times stand.
    """

    file: str
    data: dict[str, Any]
    lines: Mapping[Key, int]
    plain: Mapping[Key, tuple[str, Any]] = field(default_factory=dict)
    dates: frozenset[Key] = frozenset()

    def line(self, key: Key) -> int:
        """The line of ``key``, or of the nearest key around it that the file has; 0 when there is none."""
        for end in range(len(key), 0, -1):
            if key[:end] in self.lines:
                return self.lines[key[:end]]
        return 0

    def problem(self, key: Key, message: str, hint: str = "") -> Problem:
        return Problem(self.file, self.line(key), dotted(key), message, hint)


def dotted(key: Key) -> str:
    """A key path as people write it.

    >>> dotted(("stages", "train", "outs", 0))
    'stages.train.outs[0]'
    """
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


# At the root, and nowhere else.
_FIRST = ("gitml.yaml", "policy.yaml", "dvc.yaml", "params.yaml")


def read(path: Path, file: str, *, empty: bool = False) -> Document:
    """The file at ``path``, called ``file`` in problems. Raises SpecError with all that is wrong."""
    try:
        # A device or pipe in place of the file would be read without end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise SpecError([Problem(file, 0, "", "is no regular file")])
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        hint = "gitml init writes a first one" if file in _FIRST else "write it, or take its name out where it is named"
        raise SpecError([Problem(file, 0, "", "the file is missing", hint)]) from None
    except ValueError:
        raise SpecError([Problem(file, 0, "", "no file can have this name")]) from None
    except OSError as exc:
        raise SpecError([Problem(file, 0, "", f"cannot be read: {exc.strerror}")]) from exc
    return parse(content, file, empty=empty)


def parse(content: bytes, file: str, *, empty: bool = False) -> Document:
    """Values and lines of one YAML mapping; ``empty`` says that a file without content is fine.

    Raises SpecError: not UTF-8, not YAML, no mapping, duplicate or odd keys, NaN, tags, aliases that explode.
    """
    node = _compose(_decode(content, file), file)
    if node is None or (isinstance(node, ScalarNode) and node.value == "" and node.style is None):
        if empty:
            return Document(file, {}, {})
        raise SpecError([Problem(file, 0, "", "the file is empty")])
    if not isinstance(node, MappingNode):
        line = node.start_mark.line + 1
        hint = "start with lines such as 'key: value'"
        raise SpecError([Problem(file, line, "", f"must be a mapping of keys to values, but is {_kind(node)}", hint)])
    reader = _Reader(file)
    data = reader.mapping(node, (), 1)
    if reader.problems:
        raise SpecError(list(dict.fromkeys(reader.problems)))
    return Document(file, data, reader.lines, reader.plain, frozenset(reader.dates))


def with_scalars(content: bytes, file: str, values: Mapping[str, str]) -> bytes:
    """``content`` with other texts in place of single values, by their dotted keys; all else stays to the byte.

    The texts are JSON. Raises SpecError for a key that the file does not have, or that is not a single value on one
    line, and for one whose value an alias gives to other keys too.

    >>> with_scalars(b"window: {last: '2026-01-01'}  # days\\n", "params.yaml", {"window.last": '"2026-02-01"'})
    b'window: {last: "2026-02-01"}  # days\\n'
    """
    wanted = parse(content, file).data
    text = _decode(content, file)
    root = _compose(text, file)
    spans = {key: _span(root, key, file) for key in values}
    for key, (start, end) in sorted(spans.items(), key=lambda one: -one[1][0]):
        text = text[:start] + values[key] + text[end:]
        wanted = _with_value(wanted, key.split("."), json.loads(values[key]))
    made = (b"\xef\xbb\xbf" if content.startswith(b"\xef\xbb\xbf") else b"") + text.encode()
    if not _says(made, file, wanted):
        hint = "write the values out, without anchors and aliases"
        raise SpecError([Problem(file, 0, ", ".join(values), "cannot be set without a change of other values", hint)])
    return made


def _with_value(data: dict[str, Any], key: Sequence[str], value: Any) -> dict[str, Any]:
    # Copied on the way down: aliases make one mapping of several.
    return {**data, key[0]: value if len(key) == 1 else _with_value(data[key[0]], key[1:], value)}


def _says(content: bytes, file: str, wanted: Mapping[str, Any]) -> bool:
    try:
        return parse(content, file).data == wanted
    except SpecError:
        return False


def _span(root: Node | None, key: str, file: str) -> tuple[int, int]:
    node = root
    for part in key.split("."):
        inner = node.value if isinstance(node, MappingNode) else ()
        node = next((value for name, value in inner if name.value == part), None)
    is_single = isinstance(node, ScalarNode) and node.style not in ("|", ">")
    if node is None or not is_single or node.start_mark.line != node.end_mark.line or _is_empty(node):
        line = node.start_mark.line + 1 if node else 0
        raise SpecError([Problem(file, line, key, "is not a single value that could be set", "write one there first")])
    return node.start_mark.index, node.end_mark.index


def _is_empty(node: Node) -> bool:
    # Its place is that of the next token, which may be lines away.
    return bool(node.start_mark.index == node.end_mark.index)


def _decode(content: bytes, file: str) -> str:
    if len(content) > MAX_BYTES:
        raise SpecError([Problem(file, 0, "", f"larger than {MAX_BYTES // 1_000_000} MB", "is this the right file?")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        message = f"byte 0x{content[exc.start]:02x} is not UTF-8"
        raise SpecError([Problem(file, line, "", message, "save the file as UTF-8")]) from None


def _compose(text: str, file: str) -> Node | None:
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = MAX_DEPTH
    yaml.composer.warn_double_anchors = False
    try:
        return yaml.compose(text)  # type: ignore[no-any-return]
    except MarkedYAMLError as exc:
        conflict = _conflict(text)
        if conflict:
            hint = "keep what is right of both sides and remove the marker lines"
            if file.rpartition("/")[2] == "dvc.lock":
                hint = "runs write it: `gitml resolve` takes main's, and the next training writes it anew"
            raise SpecError([Problem(file, conflict, "", "an unfinished merge: conflict markers", hint)]) from None
        mark = exc.problem_mark or exc.context_mark
        raise SpecError([_syntax(file, mark.line + 1 if mark else 0, exc)]) from None
    except YAMLError as exc:
        line = text.count("\n", 0, getattr(exc, "position", 0) or 0) + 1
        raise SpecError([Problem(file, line, "", f"not YAML: {_first_line(str(exc))}")]) from None
    except (
        ValueError,
        ArithmeticError,
        LookupError,
        TypeError,
        AttributeError,
        AssertionError,
        NotImplementedError,
        RecursionError,
    ):
        # ruamel's scanner fails in its own ways on texts that no person writes (odd escapes and directives).
        raise SpecError([Problem(file, 0, "", "not YAML")]) from None


def _conflict(text: str) -> int:
    """The line of the first marker that git left, or 0."""
    marks = ("<<<<<<< ", "||||||| ", ">>>>>>> ")
    return next((n for n, line in enumerate(text.split("\n"), 1) if line.startswith(marks)), 0)


def _syntax(file: str, line: int, exc: MarkedYAMLError) -> Problem:
    words = _first_line(str(exc.problem or exc.context or "not YAML"))
    if "'\\t'" in words:
        return Problem(file, line, "", "a tab where YAML wants spaces", "indent with spaces")
    if "depth" in words:
        return Problem(file, line, "", f"nested more than {MAX_DEPTH} levels deep")
    if "another document" in words:
        return Problem(file, line, "", "a second document starts here", "one file holds one document; remove the '---'")
    hint = "quote values that hold ': ', ' #' or start with a sign" if "mapping values" in words else ""
    return Problem(file, line, "", f"not YAML: {words}", hint)


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0][:200]


def _kind(node: Node) -> str:
    return "a list" if isinstance(node, SequenceNode) else "a mapping" if isinstance(node, MappingNode) else "one value"


@dataclass
class _Reader:
    """One walk over the nodes: values, lines and problems."""

    file: str
    lines: dict[Key, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    plain: dict[Key, tuple[str, Any]] = field(default_factory=dict)
    dates: list[Key] = field(default_factory=list)
    values: int = 0

    def value(self, node: Node, key: Key, depth: int) -> Any:
        self._count(node, depth)
        if isinstance(node, MappingNode):
            return self.mapping(node, key, depth)
        if isinstance(node, SequenceNode):
            return [self._item(child, (*key, i), depth) for i, child in enumerate(node.value)]
        return self._scalar(node, key)

    def _count(self, node: Node, depth: int) -> None:
        self.values += 1
        if self.values > MAX_VALUES or depth > MAX_DEPTH:
            # Aliases: ten lines can stand for a billion values, or for themselves.
            hint = "write the values out, without anchors and aliases"
            problem = Problem(self.file, node.start_mark.line + 1, "", "aliases make this file too large", hint)
            raise SpecError([*dict.fromkeys(self.problems), problem])

    def _item(self, node: Node, key: Key, depth: int) -> Any:
        self.lines[key] = node.start_mark.line + 1
        return self.value(node, key, depth + 1)

    def mapping(self, node: MappingNode, key: Key, depth: int) -> dict[str, Any]:
        self._tag(node, key, ("map", "omap"))
        data: dict[str, Any] = {}
        for name, child in self._pairs(node, key, depth):
            if name not in data:
                data[name] = self.value(child, (*key, name), depth + 1)
        return data

    def _pairs(self, node: MappingNode, key: Key, depth: int) -> Iterator[tuple[str, Node]]:
        """Own keys first, then those that ``<<`` merges in, which give way."""
        yield from self._keys([(k, v) for k, v in node.value if str(k.tag) != _MERGE], key)
        for name_node, child in node.value:
            if str(name_node.tag) != _MERGE:
                continue
            for source in child.value if isinstance(child, SequenceNode) else [child]:
                self._count(source, depth)
                if isinstance(source, MappingNode):
                    yield from self._pairs(source, key, depth + 1)
                else:
                    self._wrong(name_node, key, "'<<' must name a mapping")

    def _keys(self, pairs: list[tuple[Node, Node]], key: Key) -> Iterator[tuple[str, Node]]:
        seen: dict[str, int] = {}
        for name_node, child in pairs:
            line, name = name_node.start_mark.line + 1, name_node.value
            if not (isinstance(name_node, ScalarNode) and str(name_node.tag).endswith(":str") and _joined(name)):
                self._odd_key(name_node, key)
            elif name in seen:
                message = f"duplicate key, first on line {seen[name]}"
                self.problems.append(Problem(self.file, line, dotted((*key, name)), message, "keep one of the two"))
            else:
                seen[name] = line
                self.lines.setdefault((*key, name), line)
                yield name, child

    def _odd_key(self, node: Node, key: Key) -> None:
        shown = repr(node.value) if isinstance(node, ScalarNode) else _kind(node)
        message = f"a key must be text, but is {shown}"
        hint = f"quote it: '{node.value}':" if isinstance(node, ScalarNode) and node.value else ""
        self.problems.append(Problem(self.file, node.start_mark.line + 1, dotted(key), message, hint))

    def _tag(self, node: Node, key: Key, allowed: tuple[str, ...]) -> None:
        tag = str(node.tag)
        if tag.removeprefix("tag:yaml.org,2002:") not in allowed:
            message = f"the tag {_first_line(tag)} is not supported"
            self.problems.append(Problem(self.file, node.start_mark.line + 1, dotted(key), message, "remove the tag"))

    def _scalar(self, node: Node, key: Key) -> Any:
        self._tag(node, key, ("null", "bool", "int", "float", "str", "timestamp", "value"))
        try:
            value = scalar(str(node.tag).rpartition(":")[2], node.value)
        except ValueError:
            return self._wrong(node, key, f"{node.value[:40]!r} is no number that can be read")
        if isinstance(value, str) and not value.isascii():
            value = _joined(value)
            if value is None:
                return self._wrong(node, key, "holds half a character (a lone surrogate)")
        if isinstance(value, float) and not math.isfinite(value):
            return self._wrong(node, key, f"{node.value[:40]} is not a finite number")
        if str(node.tag).endswith(":timestamp"):
            self.dates.append(key)
        elif isinstance(node, ScalarNode) and node.style is None:
            self.plain[key] = node.value, value
        return value

    def _wrong(self, node: Node, key: Key, message: str) -> None:
        self.problems.append(Problem(self.file, node.start_mark.line + 1, dotted(key), message))


def _joined(text: str) -> str | None:
    """``text`` with the two halves of a character joined, as JSON escapes them; None if one half is alone."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return None


def scalar(kind: str, text: str) -> str | int | float | bool | None:
    """The value of a plain scalar under YAML 1.2. Dates stay text: whoever reads them knows their form."""
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in {"true", "yes", "y", "on"}
    plain = text.replace("_", "")
    if kind == "int":
        digits = plain.lstrip("+-").lower()
        base = {"0x": 16, "0o": 8, "0b": 2}.get(digits[:2], 10)
        return int(plain, base)
    if kind == "float":
        word = plain.lower().lstrip("+-")
        return float(plain) if word not in {".inf", ".nan"} else float(word[1:])
    return text
