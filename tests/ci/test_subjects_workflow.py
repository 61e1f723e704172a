"""The workflow that erases and indexes: where it is rendered, and who holds the keys of ids."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ci.linters import actionlint, zizmor
from ci.test_collect import reporting
from ci.test_github import written
from ci.test_governance import CLOUD
from gitml.ci.base import CiSource
from gitml.ci.github.workflows import render
from gitml.errors import SpecError
from gitml.spec import parse_application
from gitml.spec.retention import Retention

PEOPLE = {"data": {"data/people": ("email",)}}
TRAFFIC = {"at": "s3://acme/traffic", "secrets": ["TRAFFIC_KEY"]}


def kept(source: CiSource) -> CiSource:
    assert source.policy is not None
    periods = Retention.model_validate({"requests": "400d"})
    return replace(source, policy=source.policy.model_copy(update={"retention": periods}))


SHAPES = {
    "people": reporting(("gate",), subjects=PEOPLE, traffic=TRAFFIC),
    "old traffic": kept(reporting(("gate",), traffic=TRAFFIC, folder="apps/app")),
    "cloud": reporting(("gate",), subjects=PEOPLE, ci=CLOUD),
}


def text_of(shape: CiSource) -> str:
    return next((text for path, text in render(shape).items() if path.endswith("-subjects.yml")), "")


def test_who_finds_a_person_signs_nothing_and_who_signs_finds_nobody() -> None:
    assert not text_of(reporting(("gate",)))
    jobs: dict[str, Any] = YAML(typ="safe", pure=True).load(text_of(SHAPES["people"]))["jobs"]
    first, second = jobs["carry-out"], jobs["sign"]
    assert (first["environment"], second["environment"]) == ("gitml-subjects", "gitml-erasures")
    env = next(step["env"] for step in first["steps"] if "carry-out" in str(step.get("run", "")))
    assert {*env} == {"GITHUB_TOKEN", "TRAFFIC_KEY", "SUBJECT_KEYS"}
    assert {*second["steps"][-1]["env"]} == {"GITHUB_TOKEN", "GITML_ERASURES_KEY"}
    assert (first["permissions"], second["permissions"]) == ({"contents": "read"}, {"contents": "write"})
    assert second["needs"] == "carry-out"
    assert "SUBJECT_KEYS" not in text_of(SHAPES["old traffic"])
    others = [text for path, text in render(SHAPES["people"]).items() if not path.endswith("-subjects.yml")]
    assert not [text for text in others if "SUBJECT_KEYS" in text]


def test_jobs_of_branches_never_get_the_keys() -> None:
    text = b"application: a\nmodels: {m: {artifact: a.onnx, metrics: m.json}}\nsubjects: {data: {d: [x]}}\n"
    with pytest.raises(SpecError, match=r"must not stand under ci\.secrets"):
        parse_application(text + b"ci: {secrets: [SUBJECT_KEYS]}\n")


def test_linters_find_nothing(tmp_path: Path) -> None:
    for number, shape in enumerate(SHAPES.values()):
        files = {p: t for p, t in render(shape).items() if p.endswith("-subjects.yml")}
        written(tmp_path, {p.replace("/gitml-", f"/{number}-gitml-"): t for p, t in files.items()})
    (tmp_path / ".git").mkdir()
    paths = sorted((tmp_path / ".github" / "workflows").glob("*.yml"))
    assert len(paths) == len(SHAPES)
    for done in (actionlint(*paths), zizmor(*paths)):
        assert done.returncode == 0, done.stdout + done.stderr
