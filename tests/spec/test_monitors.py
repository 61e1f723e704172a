"""`monitors` of gitml.yaml: defaults for whoever writes nothing, errors with lines for whoever errs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gitml.errors import Problem, SpecError
from gitml.spec import parse_application
from gitml.spec.knownnames import monitors_known
from gitml.spec.monitors import MonitorSpec
from gitml.spec.yamlfile import parse

HEAD = "application: toy\nmodels:\n  m: {artifact: m.skops, metrics: m.json}\nmonitors:\n"


def spec(lines: str) -> MonitorSpec:
    return parse_application((HEAD + f"  models:\n    m: {lines}\n").encode()).monitors.models["m"]


def problems(lines: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        parse_application((HEAD + lines).encode())
    return caught.value.problems


def test_without_a_line_everything_is_watched_once_a_day() -> None:
    app = parse_application(HEAD.replace("monitors:\n", "").encode())
    assert (app.monitors.rate, app.monitors.promotions, app.monitors.models) == (0.05, 12, {})
    default = MonitorSpec()
    assert (default.window, default.columns, default.clusters) == (timedelta(days=1), (), None)
    assert (default.floors.numbers, default.floors.categories, default.floors.missing) == (0.05, 0.05, 0.02)


def test_a_line_turns_each_part_off() -> None:
    assert MonitorSpec().watch == ("quality", "drift", "harm")
    assert spec("{watch: [quality]}").watch == ("quality",)
    assert spec("{watch: []}").watch == ()


def test_windows_follow_the_calendar() -> None:
    noon = datetime(2026, 4, 1, 12, tzinfo=UTC)
    assert spec("{window: 1d}").last_window(noon) == (
        datetime(2026, 3, 31, tzinfo=UTC),
        datetime(2026, 4, 1, tzinfo=UTC),
    )
    start, end = spec("{window: 1w}").last_window(noon)
    assert (start.weekday(), end - start, end) == (0, timedelta(weeks=1), datetime(2026, 3, 30, tzinfo=UTC))
    midnight = datetime(2026, 4, 1, tzinfo=UTC)
    assert spec("{window: 1d}").last_window(midnight)[1] == midnight


def test_a_mute_ends() -> None:
    muted = spec("{mutes: [{columns: [temp], until: 2026-05-01, reason: spring}]}")
    assert list(muted.muted(datetime(2026, 5, 1, 23, tzinfo=UTC))) == ["temp"]
    assert not muted.muted(datetime(2026, 5, 2, tzinfo=UTC))


def test_whom_alarms_concern_is_said_for_all_and_for_one_model() -> None:
    lines = "  tell: {people: [ada], teams: [acme/ml], webhook: 'https://hooks.example.org/x?a=1'}\n"
    monitors = parse_application((HEAD + lines).encode()).monitors
    assert (monitors.told("m").people, monitors.told("m").webhook) == (("ada",), "https://hooks.example.org/x?a=1")
    own = parse_application((HEAD + lines + "  models: {m: {tell: {people: [grace]}}}\n").encode()).monitors.told("m")
    assert (own.people, own.teams, own.webhook) == (("grace",), (), None)


@pytest.mark.parametrize(
    ("lines", "key", "words"),
    [
        ("  tell: {people: ['@ada']}\n", "monitors.tell.people[0]", "no login"),
        ("  tell: {teams: [ml]}\n", "monitors.tell.teams[0]", "no team"),
        ("  tell: {webhook: 'http://hooks.example.org'}\n", "monitors.tell.webhook", "without encryption"),
        ("  tell: {webhook: 'https://a:b@hooks.example.org'}\n", "monitors.tell.webhook", "no address"),
        ("  tell: {webhook: 'https://a.example', webhook_secret: HOOK}\n", "monitors.tell", "one address"),
        ("  tell: {webhook_secret: GITHUB_TOKEN}\n", "monitors.tell.webhook_secret", "belongs to the CI"),
        ("  tell: {webhook: 'file:///etc/passwd'}\n", "monitors.tell.webhook", "no address"),
        ("  years: 1\n", "monitors", "no promise"),
        ("  detectors: {share: 1}\n", "monitors.detectors.share", "less than 1"),
        ("  models: {m: {detectors: [{}]}}\n", "monitors.models.m.detectors[0]", "a name or a folder"),
        ("  models: {m: {detectors: [{name: ks}]}}\n", "monitors.models.m.detectors[0].name", "domain-classifier"),
        ("  models: {m: {detectors: [{alibi: ../x}]}}\n", "monitors.models.m.detectors[0].alibi", "leads out"),
        ("  models: {m: {window: 10m}}\n", "monitors.models.m.window", "whole hours"),
        ("  models: {m: {window: 90d}}\n", "monitors.models.m.window", "whole hours"),
        ("  models: {m: {floors: {numbers: 5}}}\n", "monitors.models.m.floors.numbers", "1"),
        ("  models: {m: {clusters: [week]}}\n", "monitors.models.m.clusters[0]", "week"),
        ("  models: {m: {mutes: [{columns: [a], reason: x}]}}\n", "monitors.models.m.mutes[0].until", "missing"),
        ("  models: {m: {watch: [everything]}}\n", "monitors.models.m.watch[0]", "everything"),
        ("  models: {m: {quality: {mising: 0.1}}}\n", "monitors.models.m.quality.mising", "unknown key"),
        ("  models: {m: {harm: {metric: ndcg@10}}}\n", "monitors.models.m.harm.metric", "labels of single rows"),
        (
            "  models: {m: {performance: {metrics: [auc, mrr]}}}\n",
            "monitors.models.m.performance.metrics[1]",
            "single rows",
        ),
        ("  models: {m: {harm: {metric: mapping}}}\n", "monitors.models.m.harm.metric", "must be 'auc'"),
        ("  models: {m: {qualty: false}}\n", "monitors.models.m.qualty", "unknown key"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(lines: str, key: str, words: str) -> None:
    (found,) = problems(lines)
    assert found.key == key
    assert words in found.message
    assert found.line >= 4


def test_a_model_that_is_watched_exists() -> None:
    text = (HEAD + "  models: {n: {window: 1w}}\n").encode()
    (found,) = monitors_known(parse_application(text), parse(text, "gitml.yaml"))
    assert (found.line, found.message) == (5, "there is no model 'n'")
