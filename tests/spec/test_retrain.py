"""`retrain` of gitml.yaml and `retraining` of policy.yaml: what is wrong is said with its line, and what is set."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gitml.errors import Problem, SpecError
from gitml.spec import parse_application
from gitml.spec.crosscheck import retrained_known
from gitml.spec.datewords import WORDS, day_of
from gitml.spec.policy import parse_policy
from gitml.spec.retrain import RetrainSpec
from gitml.spec.yamlfile import parse

HEAD = "application: toy\nmodels:\n  m: {artifact: m.skops, metrics: m.json}\nretrain:\n"
POLICY = "roles:\n  ops: {people: [olga]}\nenvironments:\n  staging: {}\nretraining:\n"
MONDAY = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)


def problems(lines: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        parse_application((HEAD + lines).encode())
    return caught.value.problems


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("m: {causes: [drfit]}", "drift"),
        ("m: {causes: []}", "must not be empty"),
        ("m: {causes: [schedule]}", "needs `every`"),
        ("m: {causes: [new_data]}", "needs `data`"),
        ("m: {causes: [drift], set: {a: yesterdy}}", "says no day"),
        ("m: {causes: [drift], set: {a: yesterday + 3}}", "says no day"),
        ("m: {causes: [drift], set: {a: 2026-02-30}}", "says no day"),
        ("m: {causes: [drift], set: {a: [1]}}", "cannot be set"),
        ("m: {causes: [drift], set: {a: 9999-12-31 + 1d}}", "after 9999"),
        (f"m: {{causes: [drift], set: {{a: 0x{'F' * 6000}}}}}", "more than 64 bits"),
        ("m: {causes: [drift], params: ../p.yaml}", "leads out"),
        ("m: {causes: [drift], params: models/m/production.yaml}", "not a file of parameters"),
        ("m: {causes: [drift], params: policy.yaml}", "not a file of parameters"),
        ("m: {causes: [drift], params: .github/workflows/x.yml}", "not a file of parameters"),
        ("m: {causes: [drift], params: other/policy.yaml}", "not a file of parameters"),
        ("m: {causes: [drift], params: other/Gitml.yaml}", "not a file of parameters"),
        ("m: {causes: [drift], params: other/dvc.yaml}", "not a file of parameters"),
        ("m: {causes: [drift], params: other/models/m/production.yaml}", "not a file of parameters"),
        ("m: {causes: [drift], params: other/.github/workflows/x.yml}", "not a file of parameters"),
        ("m: {causes: [drift], params: train.py}", "not a file of parameters"),
    ],
)
def test_what_is_wrong_is_said(line: str, said: str) -> None:
    (problem,) = problems(f"  {line}\n")
    assert (problem.line, said in f"{problem.message} {problem.hint}") == (5, True), problem


def test_models_and_params_must_be_there() -> None:
    text = HEAD + "  m: {causes: [drift], set: {window.last: yesterday, rate: 0.1}}\n  n: {causes: [drift]}\n"
    document = parse(text.encode(), "gitml.yaml")
    app = parse_application(text.encode())
    found = retrained_known(app, document, lambda _: {"rate": 1, "window": {"lsat": "x"}})
    assert [one.message for one in found] == [
        "params.yaml has no param 'window.last'", "there is no model 'n'",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["window", "steps", "steps.0", "window.days"])
def test_a_group_or_an_item_of_a_list_is_not_set(name: str) -> None:
    text = f"{HEAD}  m: {{causes: [drift], set: {{{name}: 1}}}}\n"
    known = {"rate": 1, "window": {"last": "x", "days": [1]}, "steps": [1, 2]}
    (found,) = retrained_known(parse_application(text.encode()), parse(text.encode(), "gitml.yaml"), lambda _: known)
    assert found.message == f"{name!r} of params.yaml is not a single value"


@pytest.mark.parametrize(
    ("causes", "said"),
    [
        ("[drift, harm, schedule]", ["no monitor shows harm of 'm'"]),
        ("[performance]", ["no monitor shows performance of 'm'"]),
        ("[upstream]", ["'m' needs no other model"]),
        ("[drift]", []),
    ],
)
def test_a_cause_that_nothing_can_show_is_refused(causes: str, said: list[str]) -> None:
    more = "monitors: {models: {m: {watch: [quality, drift]}}}\n"
    text = f"{HEAD}  m: {{causes: {causes}, every: 30d}}\n{more}"
    found = retrained_known(parse_application(text.encode()), parse(text.encode(), "gitml.yaml"), lambda _: None)
    assert [one.message for one in found] == said
    assert all(one.line == 5 and one.hint for one in found)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("looks: {failed: 4, of: 3}", "more looks must fail"),
        ("cool_down: 1m", "at least 1h"),
        ("decline: [opps]", "no role 'opps'"),
        ("open: [by-hand]", "harm"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(line: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_policy(f"{POLICY}  {line}\n".encode())
    assert said in " ".join(f"{one.message} {one.hint}" for one in caught.value.problems)


def test_days_are_those_of_the_moment_in_utc() -> None:
    assert {word: day_of(word, MONDAY).isoformat() for word in WORDS} == {
        "today": "2026-03-02", "yesterday": "2026-03-01", "last_monday": "2026-02-23", "last_tuesday": "2026-02-24",
        "last_wednesday": "2026-02-25", "last_thursday": "2026-02-26", "last_friday": "2026-02-27",
        "last_saturday": "2026-02-28", "last_sunday": "2026-03-01", "first_of_month": "2026-03-01",
        "last_of_month": "2026-03-31", "first_of_last_month": "2026-02-01", "last_of_last_month": "2026-02-28",
        "first_of_year": "2026-01-01",
    }  # fmt: skip
    berlin = datetime.fromisoformat("2026-03-02T00:30:00+01:00")
    assert day_of("today", berlin).isoformat() == "2026-03-01"
    assert day_of("today + 2w - 1d", MONDAY).isoformat() == "2026-03-15"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("today - 9999w", "0100-01-01T00:00:00+00:00"),
        ("yesterday", "0001-01-01T00:00:00+00:00"),
        ("today", "0001-01-01T00:00:00+14:00"),
        ("today", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_a_day_that_no_calendar_has_is_an_error_in_words(text: str, moment: str) -> None:
    """A branch can claim any moment, and the gate evaluates the words for it."""
    with pytest.raises(SpecError, match="before the year 1 or after 9999"):
        spec(a=text).params_at(b"a: 1\n", datetime.fromisoformat(moment))


def spec(**values: object) -> RetrainSpec:
    return RetrainSpec.model_validate({"causes": ["drift"], "set": values})


def test_only_the_values_change_and_stay_text() -> None:
    before = b"# head\nwindow:   {last: 2026-01-01, first: 'x'} # why\nrate: 0.5\nflags:\n  - on\nquick: no\n"
    wanted = spec(**{"window.last": "yesterday", "window.first": "first_of_year", "rate": 0.25, "quick": True})
    assert wanted.params_at(before, MONDAY) == (
        b'# head\nwindow:   {last: "2026-03-01", first: "2026-01-01"} # why\nrate: 0.25\nflags:\n  - on\nquick: true\n'
    )
    assert spec(a=3).params_at(b'{"a": 1, "b": [1, 2]}', MONDAY) == b'{"a": 3, "b": [1, 2]}'
    assert spec(a=3).params_at("\ufeffa: é\r\n".encode(), MONDAY) == "\ufeffa: 3\r\n".encode()


@pytest.mark.parametrize(
    "content",
    [
        b"b: 1\n",
        b"a: {b: 1}\n",
        b"a: [1]\n",
        b"a: |\n  x\n",
        b"a: 'x\n  y'\n",
        b"",
        b"a:\nb: 1\n",
        b"{a: , b: 1}",
        b"{a}",
        b"a: # why\n",
    ],
)
def test_what_is_no_single_value_is_not_set(content: bytes) -> None:
    with pytest.raises(SpecError):
        spec(a=3).params_at(content, MONDAY)


@pytest.mark.parametrize("content", [b"b: &x 1\na: *x\n", b"a: &x 1\nb: *x\n", b"c: &x {a: 1}\nb: *x\na: 1\n"])
def test_a_value_that_others_share_is_not_set(content: bytes) -> None:
    name = "b.a" if b"c:" in content else "a"
    with pytest.raises(SpecError, match="without a change of other values"):
        spec(**{name: 3}).params_at(content, MONDAY)
