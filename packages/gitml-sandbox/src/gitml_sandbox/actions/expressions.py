"""GitHub's `${{ }}` expressions, as far as jobs need them before a runner is there.

The runner decides `if:`, `concurrency`, `runs-on`, `matrix`, `environment` and names before it starts act,
so it reads expressions itself; those of steps are left to act. Grammar and coercions follow GitHub's page
https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gitml_sandbox.actions.coercions import (
    BUILTIN,
    ExpressionError,
    Function,
    Value,
    bounded,
    is_number,
    ordered,
    same,
    to_number,
    to_string,
    truthy,
)

_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))(?![\w.])"
    r"|(?P<string>'(?:[^']|'')*')"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|(?P<op>&&|\|\||==|!=|<=|>=|[!<>()\[\],.*]))"
)
_WORDS: Mapping[str, Value] = {
    "true": True,
    "false": False,
    "null": None,
    "nan": math.nan,
    "infinity": math.inf,
}
_EMBEDDED = re.compile(r"\$\{\{(?P<body>(?:'(?:[^']|'')*'|[^'}]|\}(?!\}))*)\}\}", re.S)


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Scope:
    """What an expression may see: contexts by name, and functions such as `success` besides the built-in
    ones.
    """

    contexts: Mapping[str, Value] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)


def tokenize(text: str) -> list[Token]:
    """The tokens of one expression (without `${{ }}`). Raises ExpressionError where it stops making sense."""
    tokens: list[Token] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise ExpressionError(f"the expression {text.strip()!r} makes no sense from {text[at:].strip()[:20]!r} on")
        kind = match.lastgroup
        tokens.append(Token(kind, match[kind], match.start(kind), match.end()))
        at = match.end()
    return tokens


def evaluate(text: str, scope: Scope) -> Value:
    """The value of one bare expression."""
    parser = _Parser(tokenize(text), scope, text)
    try:
        value = parser.alternatives()
    except RecursionError:
        raise ExpressionError(f"the expression {text.strip()[:80]!r} ... is nested too deeply") from None
    parser.end()
    return value


def interpolate(value: Value, scope: Scope) -> Value:
    """Evaluate every `${{ }}` in a value of a workflow file; a string that is one expression keeps the type
    it yields.
    """
    if isinstance(value, dict):
        return {interpolate(k, scope): interpolate(v, scope) for k, v in value.items()}
    if isinstance(value, list):
        return [interpolate(v, scope) for v in value]
    if not isinstance(value, str) or "${{" not in value:
        return value
    whole = _EMBEDDED.fullmatch(value.strip())
    if whole:
        return evaluate(whole["body"], scope)
    return bounded(_EMBEDDED.sub(lambda m: to_string(evaluate(m["body"], scope)), value))


def condition(text: Value, scope: Scope) -> bool:
    """An `if:`: expression with or without `${{ }}`; without a status function `success() &&` is implied."""
    if text is None or text == "":
        return truthy(evaluate("success()", scope))
    if not isinstance(text, str):
        return truthy(text) and truthy(evaluate("success()", scope))
    whole = _EMBEDDED.fullmatch(text.strip())
    body = whole["body"] if whole else text
    value = interpolate(text, scope) if "${{" in body else evaluate(body, scope)
    return truthy(value) and (calls_status(body) or truthy(evaluate("success()", scope)))


def calls_status(text: str) -> bool:
    """True if an `if:` calls always(), success(), failure() or cancelled()."""
    bare = re.sub(r"'(?:[^']|'')*'", "''", text)
    return re.search(r"\b(?:always|success|failure|cancelled)\s*\(", bare, re.I) is not None


def outlives_cancel(text: Value) -> bool:
    """True if an `if:` keeps its job going when the run is cancelled."""
    bare = re.sub(r"'(?:[^']|'')*'", "''", str(text or ""))
    return re.search(r"\b(?:always|cancelled)\s*\(", bare, re.I) is not None


def replace_context(value: Value, name: str, replacement: str) -> Value:
    """Put `replacement` wherever expressions inside `value` name the context `name`; text outside `${{ }}` is
    left alone.
    """
    if isinstance(value, dict):
        return {k: replace_context(v, name, replacement) for k, v in value.items()}
    if isinstance(value, list):
        return [replace_context(v, name, replacement) for v in value]
    if not isinstance(value, str):
        return value
    return _EMBEDDED.sub(lambda m: "${{" + replace_in_expression(m["body"], name, replacement) + "}}", value)


def replace_in_expression(body: str, name: str, replacement: str) -> str:
    """The same for one bare expression."""
    out: list[str] = []
    at, before = 0, ""
    for token in tokenize(body):
        if token.kind == "name" and token.text.lower() == name and before != ".":
            out += [body[at : token.start], replacement]
            at = token.end
        before = token.text
    return "".join([*out, body[at:]])


def literal(value: Value) -> str:
    """An expression that yields `value` whatever it contains."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return "fromJSON(" + literal(json.dumps(value)) + ")"


class _Parser:
    """Recursive descent that evaluates as it goes: || over && over == over < over ! over values."""

    def __init__(self, tokens: Sequence[Token], scope: Scope, text: str) -> None:
        self._tokens, self._scope, self._text, self._at = tokens, scope, text, 0
        self._idle = 0  # above 0 the side of an && or || is read but not evaluated

    def _peek(self) -> str:
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        return token.text if token is not None and token.kind == "op" else ""

    def _take(self) -> Token:
        if self._at >= len(self._tokens):
            raise ExpressionError(f"the expression {self._text.strip()!r} ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, op: str) -> None:
        if (token := self._take()).text != op:
            raise ExpressionError(f"the expression {self._text.strip()!r} has {token.text!r} where {op!r} should be")

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise ExpressionError(f"the expression {self._text.strip()!r} goes on after its end: {self._take().text!r}")

    def alternatives(self) -> Value:
        value = self._all()
        while self._peek() == "||":
            self._take()
            other = self._side(self._all, idle=truthy(value))
            value = value if truthy(value) else other
        return value

    def _all(self) -> Value:
        value = self._equal()
        while self._peek() == "&&":
            self._take()
            other = self._side(self._equal, idle=not truthy(value))
            value = other if truthy(value) else value
        return value

    def _side(self, read: Callable[[], Value], *, idle: bool) -> Value:
        self._idle += idle
        value = read()
        self._idle -= idle
        return value

    def _equal(self) -> Value:
        value = self._compared()
        while self._peek() in {"==", "!="}:
            negated = self._take().text == "!="
            value = same(value, self._compared()) is not negated
        return value

    def _compared(self) -> Value:
        value = self._unary()
        while self._peek() in {"<", "<=", ">", ">="}:
            op = self._take().text
            value = ordered(value, op, self._unary())
        return value

    def _unary(self) -> Value:
        if self._peek() == "!":
            self._take()
            return not truthy(self._unary())
        return self._members(self._atom())

    def _atom(self) -> Value:
        token = self._take()
        if token.kind == "string":
            return token.text[1:-1].replace("''", "'")
        if token.kind == "number":
            return to_number(token.text)
        if token.kind == "name":
            return self._named(token.text.lower())
        if token.text == "(":
            value = self.alternatives()
            self._expect(")")
            return value
        raise ExpressionError(f"the expression {self._text.strip()!r} has {token.text!r} where a value should be")

    def _named(self, name: str) -> Value:
        if self._peek() == "(":
            return self._call(name)
        if name in _WORDS:
            return _WORDS[name]
        if name not in self._scope.contexts:
            raise ExpressionError(f"{name!r} cannot be used in {self._text.strip()!r}")
        return self._scope.contexts[name]

    def _call(self, name: str) -> Value:
        self._expect("(")
        args: list[Value] = []
        while self._peek() != ")":
            args.append(self.alternatives())
            if self._peek() == ",":
                self._take()
        self._expect(")")
        if self._idle:
            return None
        if name in self._scope.functions:
            return self._scope.functions[name](args)
        low, high, function = BUILTIN.get(name, (0, -1, lambda _: None))
        if not low <= len(args) <= high:
            raise ExpressionError(f"{name}() with {len(args)} values cannot be used in {self._text.strip()!r}")
        return function(args)

    def _members(self, value: Value) -> Value:
        starred = False
        while self._peek() in {".", "["}:
            key: Value
            if self._take().text == ".":
                key = self._take().text
            else:
                key = "*" if self._peek() == "*" and self._take() else self.alternatives()
                self._expect("]")
            if key == "*":
                value, starred = (list(value.values()) if isinstance(value, dict) else value), True
            elif starred and isinstance(value, list) and isinstance(key, str):
                value = [found for item in value if (found := _member(item, key)) is not None]
            else:
                value = _member(value, key)
        return value


def _member(value: Value, key: Value) -> Value:
    if isinstance(value, dict):
        wanted = to_string(key).casefold()
        return next((v for k, v in value.items() if str(k).casefold() == wanted), None)
    if isinstance(value, list) and is_number(key) and 0 <= int(key) < len(value):
        return value[int(key)]
    return None
