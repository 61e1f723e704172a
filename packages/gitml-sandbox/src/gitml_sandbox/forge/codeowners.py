"""CODEOWNERS: who must review which path. The last line that matches wins.

https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gitml_sandbox.forge.patterns import FOLDERS, Part, Pattern, anything, exactly, maybe, no_slash

LOCATIONS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
MAX_BYTES = 3 * 1024 * 1024

_USER = re.compile(r"@[A-Za-z0-9][A-Za-z0-9-]*(\[bot\])?(/[A-Za-z0-9_.-]+)?")
_MAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


@dataclass(frozen=True)
class Rule:
    """One line: a pattern and the owners of what it matches (none: nobody owns it). ``line`` counts from 1."""

    pattern: str
    owners: tuple[str, ...]
    line: int
    matches: Pattern


@dataclass(frozen=True)
class Mistake:
    """A line that GitHub would not apply as written; ``column`` counts from 1."""

    line: int
    column: int
    kind: str
    source: str
    suggestion: str | None
    path: str

    @property
    def message(self) -> str:
        tail = f" {self.suggestion}" if self.suggestion else ""
        return f"{self.kind} on line {self.line}:{tail}\n\n  {self.source}\n  {' ' * (self.column - 1)}^"


@dataclass(frozen=True)
class CodeOwners:
    """A parsed file. Lines with an invalid pattern are left out and named in ``mistakes``."""

    path: str
    rules: tuple[Rule, ...] = ()
    mistakes: tuple[Mistake, ...] = ()

    def rule_for(self, path: str) -> Rule | None:
        return next((r for r in reversed(self.rules) if r.matches.fullmatch(path)), None)

    def owners(self, path: str) -> tuple[str, ...]:
        """The words of the last line that matches ``path``: @user, @org/team or an address."""
        rule = self.rule_for(path)
        return rule.owners if rule else ()


def parse(text: str, path: str = LOCATIONS[0]) -> CodeOwners:
    """Read a whole file. Never raises: what cannot be read is a mistake."""
    rules: list[Rule] = []
    mistakes: list[Mistake] = []
    # Only \n ends a line: a form feed inside a name must not split it.
    for number, raw in enumerate(text.split("\n"), start=1):
        words = _words(raw.rstrip("\r"))
        if not words:
            continue
        column, pattern = words[0]
        problem = _bad_pattern(pattern)
        if problem is not None:
            mistakes.append(Mistake(number, column, "Invalid pattern", raw.strip(), problem or None, path))
            continue
        good = [(c, w) for c, w in words[1:] if _USER.fullmatch(w) or _MAIL.fullmatch(w)]
        bad = [(c, w) for c, w in words[1:] if (c, w) not in good]
        mistakes += [Mistake(number, c, "Invalid owner", raw.strip(), None, path) for c, _ in bad]
        # A line of which no owner can be read still takes its paths away from the lines above: it is kept.
        rules.append(Rule(pattern, tuple(w for _, w in good), number, compiled(pattern)))
    return CodeOwners(path, tuple(rules), tuple(mistakes))


def with_unknown(owners: CodeOwners, text: str, known: Callable[[str], bool]) -> CodeOwners:
    """Add a mistake for each owner that is nobody, or may not write here (``known`` answers that)."""
    lines = text.split("\n")
    found = list(owners.mistakes)
    for rule in owners.rules:
        source = lines[rule.line - 1].strip()
        for owner in rule.owners:
            if not known(owner):
                hint = f"make sure {owner} exists and has write access to the repository"
                column = source.find(owner) + 1
                found.append(Mistake(rule.line, column, "Unknown owner", source, hint, owners.path))
    return CodeOwners(owners.path, owners.rules, tuple(sorted(found, key=lambda m: (m.line, m.column))))


def _words(line: str) -> list[tuple[int, str]]:
    """Words with their column; a word that starts with # ends the line; `\\ ` is a space inside a pattern."""
    found: list[tuple[int, str]] = []
    offset = len(line) - len(line.lstrip()) if line.strip() else 0
    for match in re.finditer(r"(?:\\ |\S)+", line):
        if match.group().startswith("#"):
            break
        found.append((match.start() + 1 - offset, match.group()))
    return found


def _bad_pattern(pattern: str) -> str | None:
    """Why the pattern is refused: None if it is fine, an empty text if there is nothing to suggest."""
    if "***" in pattern:
        return f"Did you mean {re.sub(r'[*]{3,}', '**', pattern)}?"
    if pattern.startswith("!") or "[" in pattern or "]" in pattern or pattern == "/":
        return ""
    if pattern.startswith("\\#") or "//" in pattern:
        return ""
    return None


def compiled(pattern: str) -> Pattern:
    """As in .gitignore, but `dir/*` is the files of dir alone, not those of the folders below."""
    text = pattern.replace("\\ ", " ")
    folder = text.endswith("/")
    body = text.strip("/")
    anchored = text.startswith("/") or "/" in body
    segments = body.split("/")
    only_children = segments[-1] == "*" and len(segments) > 1 and not folder
    inside = [exactly("/"), Part(anything), Part(anything, many=True)]
    below = inside if folder else [] if only_children else maybe(inside)
    return Pattern((*(() if anchored else FOLDERS), *_joined(segments), *below))


def _joined(segments: Sequence[str]) -> list[Part]:
    out: list[Part] = []
    last = len(segments) - 1
    for at, segment in enumerate(segments):
        if segment == "**":
            out += [Part(anything, many=True)] if at == last else FOLDERS
        else:
            out += _segment(segment) + ([exactly("/")] if at < last else [])
    return out


def _segment(segment: str) -> list[Part]:
    globs = {"?": Part(no_slash), "*": Part(no_slash, many=True)}
    return [globs.get(char) or exactly(char) for char in segment if char != "\\"]


def owned(owners: CodeOwners, paths: Iterable[str]) -> dict[tuple[str, ...], list[str]]:
    """The paths grouped by their owners; paths that nobody owns are left out."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for path in paths:
        words = owners.owners(path)
        if words:
            groups.setdefault(words, []).append(path)
    return groups
