"""`needs` in gitml.yaml: what it says, and where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gitml.errors import Problem, SpecError
from gitml.project.check import check
from gitml.spec.load import parse_application
from gitml.spec.modelgraph import ModelAt, upstream_first, upstreams_in

NeedsText = dict[str, str]


def text(**needs: str) -> str:
    """Models by name, each with what it needs in YAML."""
    lines = ["application: shop", "models:"]
    for name, value in needs.items():
        lines += [f"  {name}:", "    origin: external", f"    artifact: {name}.skops", f"    metrics: {name}.json"]
        lines += [f"    needs: {value}"] if value else []
    return "\n".join([*lines, ""])


def problems(root: Path, **needs: str) -> list[Problem]:
    (root / "gitml.yaml").write_text(text(**needs))
    return [p for p in check(root).problems if ".needs" in p.key]


def test_the_short_form_stands_for_the_long_one_and_elsewhere_is_named_as_it_is() -> None:
    app = parse_application(
        text(
            demand="",
            pricing="{demand: features, weather: {what: features, application: apps/w, model: rain, in: staging}, "
            "stock: {repository: 'https://git.example.org/acme/stock.git', token: STOCK_TOKEN}}",
        ).encode()
    )
    needs = app.models["pricing"].needs
    assert (needs["demand"].what, needs["weather"].environment) == ("features", "staging")
    assert upstreams_in(app, "apps/p")[ModelAt("", "apps/p", "pricing")] == (
        ModelAt("", "apps/p", "demand"),
        ModelAt("", "apps/w", "rain"),
        ModelAt("https://git.example.org/acme/stock", "", "stock"),
    )


def test_upstreams_come_first_and_else_the_order_of_the_file() -> None:
    assert upstream_first(parse_application(text(a="{c: answers}", b="", c="{d: answers}", d="").encode())) == (
        *("d", "c", "a", "b"),
    )
    diamond = text(a="{b: answers, c: answers}", b="{d: answers}", c="{d: answers}", d="")
    assert upstream_first(parse_application(diamond.encode())) == ("d", "b", "c", "a")
    chain = parse_application(text(**{f"m{n}": f"{{m{n + 1}: answers}}" for n in range(1200)}, m1200="").encode())
    assert upstream_first(chain) == tuple(f"m{n}" for n in reversed(range(1201)))
    assert set(upstream_first(parse_application(text(a="{b: answers}", b="{a: answers}").encode()))) == {"a", "b"}


def test_an_unknown_model_and_a_model_that_needs_itself_are_told_with_lines(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, demand="", pricing="{deman: answers}")
    assert (found.line, found.message, found.hint) == (11, "there is no model 'deman'", "did you mean 'demand'?")
    (found,) = problems(tmp_path, demand="{demand: answers}")
    assert (found.line, found.message) == (7, "'demand' needs itself")


def test_a_circle_is_named_whole_and_once(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, a="{b: answers}", b="{c: answers}", c="{a: answers}", d="{a: answers}")
    assert (found.line, found.message) == (7, "models need one another: a → b → c → a")


def test_a_circle_by_way_of_another_application_is_found_from_both(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for folder in ("apps/p", "apps/d"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "apps/d/gitml.yaml").write_text(text(demand="{pricing: {application: apps/p}}"))
    (found,) = problems(tmp_path / "apps/p", pricing="{demand: {application: apps/d}}")
    assert found.message == "models need one another: apps/p:pricing → apps/d:demand → apps/p:pricing"
    (found,) = [p for p in check(tmp_path / "apps/d").problems if ".needs" in p.key]
    assert found.message == "models need one another: apps/d:demand → apps/p:pricing → apps/d:demand"


def test_what_lies_in_no_application_beside_this_one_is_told(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for folder in ("p", "d", "broken"):
        (tmp_path / folder).mkdir()
    (tmp_path / "d/gitml.yaml").write_text(text(demand=""))
    (tmp_path / "broken/gitml.yaml").write_text("application: [\n")
    (found,) = problems(tmp_path / "p", pricing="{demand: {application: dd}}")
    assert found.message == "dd: there is no gitml.yaml"
    (found,) = problems(tmp_path / "p", pricing="{demnd: {application: d}}")
    assert (found.message, found.hint) == ("d has no model 'demnd'", "did you mean 'demand'?")
    (found,) = problems(tmp_path / "p", pricing="{demand: {application: broken}}")
    assert "its gitml.yaml cannot be read: line" in found.message
    assert problems(tmp_path / "p", pricing="{demand: {application: d}}") == []
    (found,) = problems(tmp_path / "p", pricing="{demand: {application: p}}")
    assert found.message == "p has no model 'demand'", "its own folder, by name"
    (found,) = problems(tmp_path / "p", pricing="{pricing: {application: p}}")
    assert found.message == "'pricing' needs itself"


def test_a_file_that_no_stage_writes_is_told(tmp_path: Path) -> None:
    made = {"train": {"cmd": "x", "outs": ["demand.skops", "features.parquet"], "metrics": ["demand.json"]}}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": made}))
    app = text(demand="", pricing="\n      demand:\n        what: features\n        file: feature.parquet").replace(
        "    origin: external\n    artifact: demand", "    artifact: demand"
    )
    (tmp_path / "gitml.yaml").write_text(app)
    (found,) = [p for p in check(tmp_path).problems if ".needs" in p.key]
    assert (found.line, found.message) == (13, "no stage of dvc.yaml writes feature.parquet")
    assert found.hint == "did you mean 'features.parquet'?"


@pytest.mark.parametrize(
    ("need", "words"),
    [
        ("{repository: 'https://ada:hunter2@git.example.org/a/b'}", "the URL names a user or a password"),
        ("{repository: 'ext::sh -c touch% /a/b'}", "is not the URL of a repository"),
        ("{repository: 'ssh://git.example.org/a/b'}", "is not the URL of a repository"),
        ("{repository: '--upload-pack=/a/b'}", "is not the URL of a repository"),
        ("{repository: 'https://git.example.org/b'}", "does not end in OWNER/NAME"),
        ("{repository: 'http://git.example.org/a/b', token: DEMAND_TOKEN}", "would travel in the clear"),
        ("{repository: 'file:///srv/a/b', token: DEMAND_TOKEN}", "takes no token"),
        ("{token: DEMAND_TOKEN}", "token is of another repository, and none is named"),
        ("{repository: 'https://git.example.org/a/b', token: ghp_secret}", "is no name of a secret"),
        ("{repository: 'https://git.example.org/a/b', token: GITHUB_TOKEN}", "belongs to the CI system"),
        ("{application: ../other}", "leads out of the folder"),
        ("{application: .git/x}", "is a place of Git or DVC"),
        ("anwers", "must be 'answers' or 'features'"),
        ("{whta: answers}", "unknown key 'whta'"),
    ],
)
def test_what_a_need_cannot_be_is_refused_in_words(need: str, words: str) -> None:
    with pytest.raises(SpecError) as raised:
        parse_application(text(demand="", pricing=f"{{demand: {need}}}").encode())
    assert words in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert raised.value.problems[0].line == 11
