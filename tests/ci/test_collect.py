"""The workflow that collects what agents report: where it is rendered, what it may do, what starts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ci.linters import actionlint, zizmor
from ci.test_github import written
from ci.test_governance import CLOUD, POLICY, governed
from gitml.ci.base import CiSource
from gitml.ci.github.workflows import render
from gitml.evidence.keys import generate

PUBLIC = generate()[1]


def reporting(purposes: tuple[str, ...] = ("deployed",), **more: Any) -> CiSource:
    key = {"public": PUBLIC, "owner": "ops", "purposes": list(purposes), "from": "2026-01-01"}
    return governed(policy={**POLICY, "keys": {"agent": key}}, **more)


def collecting(shape: CiSource) -> dict[str, Any] | None:
    found = [text for path, text in render(shape).items() if path.endswith("-collect.yml")]
    return YAML(typ="safe", pure=True).load(found[0]) if found else None


SHAPES = {
    "plain": reporting(),
    "sub-folder": reporting(folder="apps/app"),
    "app": reporting(ci={"app": True}),
    "cloud": reporting(ci=CLOUD),
}


def test_it_is_there_where_a_key_may_sign_deployments() -> None:
    assert collecting(reporting()) is not None
    assert collecting(reporting(("gate", "approved"))) is None
    assert collecting(governed()) is None


@pytest.mark.parametrize("name", SHAPES)
def test_it_holds_no_signing_key_and_waits_for_an_outbox(name: str) -> None:
    shape = SHAPES[name]
    text = next(text for path, text in render(shape).items() if path.endswith("-collect.yml"))
    assert "GITML_SIGNING_KEY" not in text
    assert "cache:" not in text
    found = collecting(shape)
    assert found is not None
    assert set(found["on"]) == {"schedule", "workflow_dispatch"}
    assert found["permissions"] == {}
    for job in found["jobs"].values():
        assert "vars.GITML_OUTBOX != ''" in job["if"]
        assert "github.ref == format('refs/heads/{0}', github.event.repository.default_branch)" in job["if"]
    assert "pull-requests" not in found["jobs"]["collect"]["permissions"]


def test_the_gate_looks_at_what_it_proposes() -> None:
    def heard(shape: CiSource) -> list[str]:
        text = next(text for path, text in render(shape).items() if path.endswith("-gate.yml"))
        return list(YAML(typ="safe", pure=True).load(text)["on"]["workflow_run"]["workflows"])

    assert heard(reporting())[-1] == "gitml collect"
    assert "gitml collect" not in heard(governed())


def test_linters_find_nothing(tmp_path: Path) -> None:
    for number, shape in enumerate(SHAPES.values()):
        files = {p: t for p, t in render(shape).items() if p.endswith(("-collect.yml", "-gate.yml"))}
        # actionlint wants every workflow that is listened to.
        written(tmp_path, {p.replace("/gitml-", f"/{number}-gitml-"): t for p, t in files.items()})
    (tmp_path / ".git").mkdir()
    paths = sorted((tmp_path / ".github" / "workflows").glob("*.yml"))
    for done in (actionlint(*paths), zizmor(*paths)):
        assert done.returncode == 0, done.stdout + done.stderr
