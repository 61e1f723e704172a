from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gitml.spec.schema import schema_of, schema_text
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


@pytest.mark.parametrize("name", ["gitml", "policy", "deployment", "ensemble"])
def test_the_schemas_in_the_tree_are_up_to_date(name: str) -> None:
    assert (ROOT / "schemas" / f"{name}.schema.json").read_text() == schema_text(name), "run: make generate"


def test_an_age_alone_stands_for_a_look_within_it() -> None:
    text = "environments: {staging: {}, production: {gates: {quality: 2d, drift: {within: 8d, in: staging}}}}\n"
    assert errors("policy", text) == []
    assert errors("policy", text.replace("2d", "2"))
