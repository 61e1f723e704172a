from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
import regress

from gitml.spec.schema import SCHEMAS, schema_of, schema_text
from gitml.spec.yamlfile import parse

ROOT = Path(__file__).parents[2]


def errors(name: str, text: str) -> list[str]:
    schema: dict[str, Any] = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    data = parse(text.encode(), f"{name}.yaml").data
    return [e.message for e in jsonschema.Draft202012Validator(schema).iter_errors(data)]


@pytest.mark.parametrize("name", ["gitml", "policy"])
def test_the_reference_application_fits_its_schemas(name: str) -> None:
    assert errors(name, (ROOT / f"{name}.yaml").read_text()) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gitml", "application: a\nmodels: {m: {artefact: x.onnx, metrics: y}}\n"),
        ("gitml", "application: a\nmodels: {Bad Name: {artifact: x.onnx, metrics: y}}\n"),
        ("gitml", "application: a\nmodels: {m: {artifact: x.onnx, metrics: y, better: {auc: up}}}\n"),
        ("policy", "environments: {p: {gates: {latency: 20}}}\n"),
        ("policy", "environments: {p: {gates: {metrics: {auc: {minimum: 1}}}}}\n"),
        ("policy", "environments: {}\n"),
        ("policy", "environments: {p: {}}\nroles: {r: {people: [{name: ada}]}}\n"),
        ("policy", "environments: {p: {propose: sometimes}}\n"),
        ("deployment", "champion: {version: latest, digest: abc}\n"),
    ],
)
def test_editors_see_the_same_mistakes(name: str, text: str) -> None:
    assert errors(name, text)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schemas_in_the_tree_are_up_to_date(name: str) -> None:
    assert (ROOT / "schemas" / f"{name}.schema.json").read_text() == schema_text(name), "run: make generate"


def test_an_age_alone_stands_for_a_look_within_it() -> None:
    text = "environments: {staging: {}, production: {gates: {quality: 2d, drift: {within: 8d, in: staging}}}}\n"
    assert errors("policy", text) == []
    assert errors("policy", text.replace("2d", "2"))


def patterns(value: Any) -> list[str]:
    if isinstance(value, list):
        return [p for v in value for p in patterns(v)]
    if not isinstance(value, dict):
        return []
    own = [value["pattern"]] if isinstance(value.get("pattern"), str) else []
    return [*own, *(p for v in value.values() for p in patterns(v))]


@pytest.mark.parametrize("name", ["gitml", "policy", "deployment", "ensemble"])
def test_every_pattern_is_one_that_other_languages_read(name: str) -> None:
    """JSON Schema's regular expressions are those of ECMA 262, which know no ``(?P<name>…)``."""
    found = patterns(schema_of(name))
    assert found
    for pattern in found:
        regress.Regex(pattern, "u")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gitml", (ROOT / "gitml.yaml").read_text()),
        ("policy", (ROOT / "policy.yaml").read_text()),
        ("deployment", f"champion: {{version: 20260101T000000Z-0123abcd, digest: {'ab' * 32}}}\n"),
        (
            "ensemble",
            f"ensemble: mean\nmembers: [{{model: m, version: 20260101T000000Z-0123abcd, digest: {'ab' * 32}}}]\n",
        ),
    ],
    ids=["gitml", "policy", "deployment", "ensemble"],
)
def test_another_validator_says_the_same(name: str, text: str) -> None:
    validator = jsonschema_rs.validator_for(schema_of(name))
    data = parse(text.encode(), f"{name}.yaml").data
    assert [str(e) for e in validator.iter_errors(data)] == []
    assert not validator.is_valid(parse(text.replace("0123abcd", "x").encode(), "a").data) or "0123abcd" not in text
    assert not validator.is_valid({**data, "strange": 1})
