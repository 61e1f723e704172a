"""Gate ``signature``: whoever calls the champion can call this version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from gitml.gates.base import SCIENTIST, Advice, Need
from gitml.gates.facts import Facts, Unknown
from gitml.gates.verdicts import failed, listed, passed, together, unclear
from gitml.verdict import Verdict

_SAID = ("description", "unit")  # for people: no caller depends on them
_KNOWN = ("name", "type", "nullable", "categories")
Columns = Mapping[str, Mapping[str, Any]]

KEY = Literal["compatible"]
MEANING = "`compatible`: whoever calls the champion can call this one."
ADVICE = Advice(
    SCIENTIST,
    "keep the champion's inputs and outputs, or agree with the callers first",
    "let the stage that trains write a signature file",
)


def judge(facts: Facts, wanted: str) -> Verdict:
    """``compatible``: the version accepts all that callers of the running champion may send, and answers alike.

        signature: compatible

    - Each input of the champion is there, with the same type. One that is gone would be refused as unknown.
    - A new input must be ``nullable``: callers do not send it, and it counts as missing.
    - An input that may be missing still may be. No category is gone; new ones may come, or the list may go.
    - Outputs are the same, in the same order: names, types and categories.

    Where the two differ in something that these rules do not speak of, or one of them cannot be read: inconclusive.
    Where no champion runs, there are no callers: successful.
    """
    champion = facts.champion
    if champion is None:
        return passed(f"nothing answers in {facts.environment} yet, so there are no callers")
    if isinstance(champion, Unknown):
        return unclear(f"the running champion is not known: {champion.reason}")
    new, old = _columns(facts.candidate.signature), _columns(champion.signature)
    if isinstance(new, Unknown) or isinstance(old, Unknown):
        sides = ((facts.candidate.short, new), (champion.short, old))
        return unclear(listed(f"signature of {name}: {s.reason}" for name, s in sides if isinstance(s, Unknown)))
    parts = [*_inputs(new[0], old[0]), *_outputs(new[1], old[1])]
    return together(parts, f"whoever calls {champion.short} can call it") if parts else unclear("no inputs, no outputs")


def needs(wanted: str) -> tuple[Need, ...]:
    return (Need("signature"),)


def _columns(signature: Mapping[str, Any] | Unknown) -> tuple[Columns, Columns] | Unknown:
    if isinstance(signature, Unknown):
        return signature
    sides = []
    for side in ("inputs", "outputs"):
        columns = signature.get(side) if isinstance(signature, Mapping) else None
        if not isinstance(columns, list) or not columns or not all(_is_column(c) for c in columns):
            return Unknown(f"{side} is no list of columns with a name and a type")
        named = {c["name"]: c for c in columns}
        if len(named) < len(columns):
            return Unknown(f"{side} names a column twice")
        sides.append(named)
    return sides[0], sides[1]


def _is_column(column: Any) -> bool:
    if not isinstance(column, Mapping) or not all(isinstance(column.get(k), str) for k in ("name", "type")):
        return False
    categories = column.get("categories")
    listed_well = categories is None or (isinstance(categories, list) and all(_is_plain(c) for c in categories))
    return listed_well and isinstance(column.get("nullable", False), bool)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _inputs(new: Columns, old: Columns) -> Iterator[Verdict]:
    for name, column in old.items():
        yield from _input(name, new[name], column) if name in new else [failed(f"input {name} is gone")]
    for name in (n for n in new if n not in old):
        if not new[name].get("nullable", False):
            yield failed(f"input {name} is new, and callers do not send it")
        else:
            yield passed(f"input {name} is new and may be missing")


def _input(name: str, new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Verdict]:
    yield _same(name, "type", new, old)
    if old.get("nullable", False) and not new.get("nullable", False):
        yield failed(f"input {name} may not be missing any more")
    yield _categories(name, new.get("categories"), old.get("categories"))
    yield from _rest(name, new, old)


def _categories(name: str, new: list[Any] | None, old: list[Any] | None) -> Verdict:
    if new is None:
        return passed(name)
    if old is None:
        return failed(f"input {name} was open, and is limited to {len(new)} categories")
    gone = [c for c in old if not any(c == n and type(c) is type(n) for n in new)]
    told = ", ".join(str(c) for c in gone[:5]) + (" …" if len(gone) > 5 else "")
    return failed(f"input {name} lost the categories {told}") if gone else passed(name)


def _same(name: str, key: str, new: Mapping[str, Any], old: Mapping[str, Any]) -> Verdict:
    if new.get(key) == old.get(key):
        return passed(name)
    return failed(f"{key} of {name} changes from {_told(old.get(key))} to {_told(new.get(key))}")


def _told(value: Any) -> str:
    return "nothing" if value is None else str(value)[:60]


def _rest(name: str, new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Verdict]:
    for key in sorted({*new, *old} - {*_KNOWN, *_SAID}):
        if new.get(key) != old.get(key):
            yield unclear(f"{key} of {name} differs, and no rule says whether callers mind")


def _outputs(new: Columns, old: Columns) -> Iterator[Verdict]:
    if list(new) != list(old):
        yield failed(f"outputs change from {', '.join(old)} to {', '.join(new)}")
        return
    for name, column in old.items():
        for key in ("type", "nullable", "categories"):
            yield _same(name, key, new[name], column)
        yield from _rest(name, new[name], column)
