"""GitHub's expressions, by the examples and rules of its page on expressions."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml_sandbox.actions.coercions import ExpressionError, to_string
from gitml_sandbox.actions.expressions import (
    Scope,
    condition,
    evaluate,
    interpolate,
    literal,
    replace_context,
    replace_in_expression,
)

CONTEXTS = {
    "github": {
        "ref": "refs/heads/main",
        "event": {"issue": {"labels": [{"name": "bug"}, {"name": "ui"}]}, "commits": []},
        "event_name": "push",
    },
    "matrix": {"n": 3, "flag": False},
    "inputs": {"where": "prod"},
}


def scope(*, success: bool = True, failure: bool = False) -> Scope:
    words = {"success": success, "failure": failure, "always": True, "cancelled": False}
    return Scope(CONTEXTS, {k: (lambda _, v=v: v) for k, v in words.items()})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it''s'", "it's"),
        ("0xff", 255),
        ("-2.5e1", -25),
        ("null == ''", True),
        ("'MAIN' == 'main'", True),
        ("1 == '1'", True),
        ("true == 1", True),
        ("'x' == 1", False),
        ("1 < 2 && 'b' > 'A'", True),
        ("!false && !''", True),
        ("false || 'fallback'", "fallback"),
        ("'' && 'never'", ""),
        ("github.REF", "refs/heads/main"),
        ("github['event'].issue.labels.*.name", ["bug", "ui"]),
        ("contains(github.event.issue.labels.*.name, 'BUG')", True),
        ("contains('Hello', 'ell')", True),
        ("startsWith(github.ref, 'refs/heads/')", True),
        ("endsWith('a.py', '.PY')", True),
        ("format('{0} {{x}} {1}', 'a', 2)", "a {x} 2"),
        ("join(github.event.issue.labels.*.name, '-')", "bug-ui"),
        ("fromJSON('{\"a\": [1, 2]}').a[1]", 2),
        ("github.event.missing.deeper", None),
        ("github.event.commits[0]", None),
        ("matrix.n >= 3 && (matrix.flag || true)", True),
        ("false && fromJSON('broken')", False),
        ("github.event_name == 'push' && 1 || 2", 1),
    ],
)
def test_values(text: str, value: object) -> None:
    assert evaluate(text, scope()) == value


@pytest.mark.parametrize(
    "text",
    ["", "1 +", "a b", "unknown.x", "contains('a')", "fromJSON('{')", "'open", "nope()", "(1", "format('{1}', 1)"],
)
def test_nonsense_is_refused_with_its_words(text: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(text, scope())


def test_a_whole_expression_keeps_its_type_and_an_embedded_one_becomes_text() -> None:
    assert interpolate("${{ matrix.n }}", scope()) == 3
    assert interpolate("n=${{ matrix.n }} ${{ '}}' }}", scope()) == "n=3 }}"
    assert interpolate({"a": ["${{ matrix.flag }}"]}, scope()) == {"a": [False]}
    assert to_string(2.0) == "2"
    assert to_string(None) == ""


@pytest.mark.parametrize(
    ("text", "fine", "failed", "runs"),
    [
        (None, True, False, True),
        (None, False, False, False),
        ("github.ref == 'refs/heads/main'", False, False, False),
        ("always()", False, True, True),
        ("failure()", False, True, True),
        ("failure()", True, False, False),
        ("${{ always() && matrix.n == 3 }}", False, False, True),
        ("'always()' == 'x'", True, False, False),
        ("contains('always()', 'always()')", False, False, False),
        (False, True, False, False),
    ],
)
def test_conditions_imply_success(text: object, fine: bool, failed: bool, runs: bool) -> None:
    assert condition(text, scope(success=fine, failure=failed)) is runs


def test_a_context_is_replaced_only_where_an_expression_names_it() -> None:
    body = {"run": "echo inputs.x ${{ inputs.x }} ${{ github.inputs }} ${{ 'inputs' }}"}
    assert replace_context(body, "inputs", "I") == {
        "run": "echo inputs.x ${{ I.x }} ${{ github.inputs }} ${{ 'inputs' }}"
    }
    assert replace_in_expression("inputs.a == 'inputs'", "inputs", "I") == "I.a == 'inputs'"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_literal_yields_its_value(value: object) -> None:
    assert evaluate(literal(value), scope()) == value


@given(JSON)
def test_json_survives_the_functions(value: object) -> None:
    assert json.loads(evaluate(f"toJSON({literal(value)})", scope())) == value


@given(st.text(alphabet="ab'() &|!=.<>1,*[]{}$", max_size=30))
def test_any_text_is_a_value_or_a_named_error(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        evaluate(text, Scope({"a": {"b": 1}}))


def _doubled(times: int) -> str:
    text = "'aaaaaaaaaa'"
    for _ in range(times):
        text = f"format('{{0}}{{0}}', {text})"
    return text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_doubled(26), "more than"),
        ("(" * 5000 + "1" + ")" * 5000, "nested too deeply"),
        ("!" * 20000 + "1", "nested too deeply"),
        ("fromJSON('" + "[" * 100_000 + "')", "no JSON"),
        ("join(fromJSON('[" + "1," * 3000 + "1]'), '" + "x" * 2000 + "')", "more than"),
    ],
)
def test_an_expression_made_to_grow_is_an_error(text: str, reason: str) -> None:
    with pytest.raises(ExpressionError, match=reason):
        evaluate(text, scope())
    with pytest.raises(ExpressionError):
        interpolate("a ${{ " + text + " }}", scope())


def test_many_values_in_one_text_are_bounded() -> None:
    with pytest.raises(ExpressionError, match="more than"):
        interpolate("${{ " + _doubled(18) + " }} and ${{ " + _doubled(18) + " }}", scope())
