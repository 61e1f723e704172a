from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from gitml.errors import Problem, SpecError
from gitml.spec import parse_policy

KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(range(32))).decode() + " ci@toy"
FULL = f"""\
roles:
  science: {{people: [ada, {{login: grace, id: 7}}]}}
  risk: {{people: [rita], teams: [acme/risk]}}
environments:
  staging:
    approvals: {{science: 1}}
    gates:
      metrics: {{auc: {{at_least: 0.6, at_most: 1}}}}
      champion: {{auc: {{margin: 0.01}}}}
      reproduced: true
      format: [skops]
      size: 50MB
      latency: 20ms
      data_age: 90d
      evidence: {{trained: 2w}}
    models:
      mlp: {{gates: {{format: [safetensors], reproduced: false}}}}
  production: {{}}
keys:
  ci: {{public: {KEY}, owner: main, purposes: [gate], from: 2026-01-01, until: 2026-12-31}}
freezes:
  - {{from: 2026-12-24T08:00:00+01:00, until: 2026-12-26, reason: holidays, environments: [production]}}
exceptions:
  - {{allow: pickle, model: old, reason: bought, by: rita, until: 2026-06-30}}
override: {{role: risk, people: 2, lasts: 7d}}
"""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        parse_policy(text.encode())
    return caught.value.problems


def only(text: str) -> Problem:
    (found,) = problems(text)
    return found


def gates(lines: str) -> str:
    return f"environments:\n  prod:\n    gates:\n{lines}"


def test_the_whole_grammar() -> None:
    policy = parse_policy(FULL.encode())
    assert list(policy.environments) == ["staging", "production"]
    assert [(p.login, p.id) for p in policy.roles["science"].people] == [("ada", None), ("grace", 7)]
    staging = policy.environments["staging"].gates
    assert (staging.size, staging.latency, staging.data_age) == (50_000_000, 20.0, timedelta(days=90))
    assert staging.metrics is not None
    assert (staging.metrics["auc"].at_least, staging.metrics["auc"].at_most) == (0.6, 1)
    assert policy.override is not None
    assert policy.override.lasts == timedelta(days=7)
    assert policy.trust.branch_runs == "accept"
    assert policy.environments["production"].gates.wanted == {}


def test_a_model_replaces_gates_one_by_one() -> None:
    environment = parse_policy(FULL.encode()).environments["staging"]
    own = environment.gates_of("mlp")
    assert own.format == ("safetensors",)
    assert "reproduced" not in own.wanted
    assert own.size == environment.gates.size
    assert environment.gates_of("delay") == environment.gates


EXEMPT = "environments:\n  p:\n    gates: {size: 50MB, metrics: {auc: {at_least: .6}}}\n    models: {m: %s}\n"


def test_a_model_is_exempt_from_a_gate_of_its_environment() -> None:
    environment = parse_policy((EXEMPT % "{without: [metrics]}").encode()).environments["p"]
    assert environment.gates_of("m").wanted == {"size": 50_000_000}
    assert list(environment.gates_of("other").wanted) == ["metrics", "size"]


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ("{without: [latency]}", "m is without latency, which nothing asks here"),
        ("{without: [size], gates: {size: 1MB}}", "size is asked, and not asked"),
        ("{without: [sizes]}", "'sizes'"),
    ],
)
def test_an_exemption_that_says_nothing_is_a_mistake(rules: str, why: str) -> None:
    assert why in only(EXEMPT % rules).message


@pytest.mark.parametrize(
    "name", ["auc", "ndcg@10", "precision/recall", "hits@1+", "top-5 accuracy (%)", "f1:macro", "r2", "2nd", "p=.5, q"]
)
def test_a_metric_is_called_as_libraries_call_it(name: str) -> None:
    text = f"environments: {{p: {{gates: {{metrics: {{'{name}': {{at_least: .6}}}}}}}}}}\n"
    assert list(parse_policy(text.encode()).environments["p"].gates.metrics) == [name]


@pytest.mark.parametrize("name", ["@ada", "a|b", "a`b", "<b>", " a", "a ", "a\\nb", "x" * 101])
def test_a_metric_is_no_sign_of_markdown_and_no_mention(name: str) -> None:
    text = f"environments: {{p: {{gates: {{metrics: {{'{name}': {{at_least: .6}}}}}}}}}}\n"
    assert "is no name of a metric" in only(text).message


def test_days_include_their_end_and_times_are_utc() -> None:
    policy = parse_policy(FULL.encode())
    freeze, key = policy.freezes[0], policy.keys["ci"]
    assert freeze.since == datetime(2026, 12, 24, 7, tzinfo=UTC)
    assert freeze.until == datetime(2026, 12, 27, tzinfo=UTC)
    assert (key.since, key.until) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("latest", "has a meaning of its own"),
        ("champion", "has a meaning of its own"),
        ("beef", "looks like a digest"),
        ("'3141'", "looks like a digest"),
        ("20260131t080000z", "looks like a time"),
        ("Prod", "is no name"),
    ],
)
def test_environment_names_leave_references_alone(name: str, why: str) -> None:
    found = only(f"environments:\n  ok: {{}}\n  {name}: {{}}\n")
    assert found.line == 3
    assert why in found.message


@pytest.mark.parametrize(
    ("lines", "line", "key", "words"),
    [
        ("      metric: {}\n", 4, "metric", "unknown key 'metric'"),
        ("      metrics: {}\n", 4, "metrics", "must not be empty"),
        ("      metrics:\n", 4, "metrics", "has no value"),
        ("      metrics:\n        auc: {}\n", 5, "metrics.auc", "says nothing"),
        ("      metrics: {auc: {at_least: 2, at_most: 1}}\n", 4, "metrics.auc", "no number is both"),
        ("      metrics: {auc: {at_least: high}}\n", 4, "metrics.auc.at_least", "must be a number"),
        ("      metrics: {auc: {at_least: true}}\n", 4, "metrics.auc.at_least", "must be a number, but is true"),
        ("      metrics: {auc: 0.6}\n", 4, "metrics.auc", "must be a mapping of keys to values, but is 0.6"),
        ("      champion: {auc: {margin: -1}}\n", 4, "champion.auc.margin", "must be at least 0.0, but is -1"),
        ("      reproduced: yes\n", 4, "reproduced", "must be true or false, but is 'yes'"),
        ("      format: [pikle]\n", 4, "format[0]", "but is 'pikle'"),
        ("      format: []\n", 4, "format", "must not be empty"),
        ("      size: 50\n", 4, "size", "50 is no size"),
        ("      size: 0MB\n", 4, "size", "must be more than 0"),
        ("      latency: 20\n", 4, "latency", "20 is no time"),
        ("      data_age: 1 year\n", 4, "data_age", "is no duration"),
        ("      data_age: 0d\n", 4, "data_age", "is not between one second and a hundred years"),
        ("      evidence: {traind: 3d}\n", 4, "evidence.traind", "but is 'traind'"),
        ("      slices: {column: x}\n", 4, "slices", "must be a list, but is a mapping"),
        (
            "      fairness:\n      - {column: c, metric: m, min_rows: 5}\n",
            5,
            "fairness[0].ratio_at_least",
            "is missing",
        ),
        (
            "      fairness:\n      - {column: c, metric: m, min_rows: 5, ratio_at_least: 1.2}\n",
            5,
            "fairness[0].ratio_at_least",
            "must be at most 1.0",
        ),
    ],
)
def test_gates_that_mean_nothing_are_refused(lines: str, line: int, key: str, words: str) -> None:
    found = only(gates(lines))
    assert (found.line, found.key) == (line, f"environments.prod.gates.{key}")
    assert words in found.message


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("{}", "the role has nobody"),
        ("{people: [ada, Ada]}", "ada is named twice"),
        ("{people: ['@ada']}", "'@ada' is no login"),
        ("{people: [5]}", "must be a mapping of keys to values, but is 5"),
        ("{people: [{login: ada, id: x}]}", "must be a whole number, but is 'x'"),
        ("{teams: [risk]}", "'risk' is no team"),
        ("[ada]", "must be a mapping of keys to values, but is a list"),
    ],
)
def test_roles_name_real_people(role: str, words: str) -> None:
    found = only(f"environments: {{prod: {{}}}}\nroles:\n  r: {role}\n")
    assert found.line == 3
    assert words in found.message


def test_approvals_and_overrides_need_a_role_with_enough_people() -> None:
    text = "roles: {risk: {people: [rita]}}\nenvironments:\n  prod:\n    approvals:\n      rsk: 1\n      risk: 2\n"
    first, second, third = problems(text + "override: {role: nobody}\n")
    assert (first.line, first.message, first.hint) == (5, "there is no role 'rsk'", "did you mean 'risk'?")
    assert (second.line, second.message) == (6, "needs 2 people of the role 'risk', which has 1")
    assert (third.line, third.key) == (7, "override.role")


def test_overrides_need_two_people() -> None:
    text = "roles: {r: {teams: [a/b]}}\nenvironments: {prod: {}}\noverride: {role: r, people: 1}\n"
    assert only(text).message == "must be at least 2, but is 1"


def test_approvals_are_counted_in_people() -> None:
    text = "roles: {r: {teams: [a/b]}}\nenvironments: {prod: {approvals: {r: 0}}}\n"
    assert only(text).message == "must be at least 1, but is 0"


@pytest.mark.parametrize("public", ["ssh-rsa AAAA", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-ed25519 !!", KEY[:40]])
def test_keys_are_ed25519(public: str) -> None:
    key = f"{{public: '{public}', owner: o, purposes: [gate], from: 2026-01-01}}"
    found = only(f"environments: {{prod: {{}}}}\nkeys:\n  k: {key}\n")
    assert (found.line, found.key) == (3, "keys.k.public")
    assert "is no ed25519 public key" in found.message


def test_a_private_key_is_refused_and_not_repeated() -> None:
    secret = "b3BlbnNzaC1rZXktdjEA"
    text = "environments: {prod: {}}\nkeys:\n  k:\n    owner: o\n    purposes: [gate]\n    from: 2026-01-01\n"
    text += f"    public: |\n      -----BEGIN OPENSSH PRIVATE KEY-----\n      {secret}\n"
    found = only(text)
    assert "private key" in found.message
    assert secret not in str(found) + found.hint


def test_one_key_under_two_names_is_refused() -> None:
    line = f"{{public: {KEY}, owner: o, purposes: [gate], from: 2026-01-01}}"
    found = only(f"environments: {{prod: {{}}}}\nkeys:\n  a: {line}\n  b: {line}\n")
    assert (found.line, found.message) == (4, "is the same key as 'a'")


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ("from: 2026-02-30, until: 2026-03-01", "is no day or time"),
        ("from: 2026-02-01T08:00:00, until: 2026-03-01", "does not say its time zone"),
        ("from: 2026-03-02, until: 2026-03-01", "ends before it starts"),
        ("from: 9999-12-31, until: 9999-12-31", "is no day or time"),
        ("from: 20260201, until: 2026-03-01", "is no day or time"),
    ],
)
def test_freezes_have_a_start_and_an_end(window: str, words: str) -> None:
    found = only(f"environments: {{prod: {{}}}}\nfreezes:\n  - {{{window}, reason: r}}\n")
    assert found.line == 3
    assert words in found.message


def test_freezes_name_environments_that_exist() -> None:
    window = "from: 2026-02-01, until: 2026-03-01, reason: r, environments: [prd]"
    found = only(f"environments: {{prod: {{}}}}\nfreezes:\n  - {{{window}}}\n")
    assert (found.key, found.hint) == ("freezes[0].environments[0]", "did you mean 'prod'?")


def test_a_newer_format_is_refused_and_nothing_else_is_said() -> None:
    (found,) = problems("format: 2\nplaces: {prod: {}}\n")
    assert (found.line, found.key) == (1, "format")
    assert found.message == "has format 2, and this gitml reads format 1: upgrade gitml"


@pytest.mark.parametrize("said", ["", "format: 1\n"])
def test_a_policy_that_says_no_format_has_the_first(said: str) -> None:
    assert parse_policy(f"{said}environments: {{prod: {{}}}}\n".encode()).format == 1
