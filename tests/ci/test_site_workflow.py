"""The workflow that builds the sites of roles: where it is rendered, and who holds what in it."""

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
from gitml.errors import UsageError
from gitml.spec.policy import Role
from gitml.spec.views import SiteView

SITES = {"publish": {"risk": 'aws s3 sync --delete "$SITE" s3://acme-risk'}, "secrets": ["SITE_KEY"]}


def seen(*purposes: str, **more: Any) -> CiSource:
    made = reporting(purposes or ("gate",), **more)
    assert made.policy is not None
    roles = {"risk": Role.model_validate({"people": ["rita"]}), "operations": Role.model_validate({"people": ["olga"]})}
    views = {"operations": SiteView(pages=("operations",)), "risk": SiteView(pages=("audit",))}
    return replace(made, policy=made.policy.model_copy(update={"roles": roles, "views": views}))


SHAPES = {
    "plain": seen(),
    "published": seen("look", "deployed", sites=SITES),
    "sub-folder": seen(sites=SITES, folder="apps/app"),
    "cloud": seen(sites=SITES, ci=CLOUD),
}


def text_of(shape: CiSource) -> str:
    return next((text for path, text in render(shape).items() if path.endswith("-site.yml")), "")


def sites(shape: CiSource) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(text_of(shape))
    return found


def test_it_is_there_where_a_role_has_a_view() -> None:
    assert text_of(SHAPES["plain"])
    assert not text_of(reporting(("gate",)))


def test_each_role_has_an_artifact_and_a_place_where_one_is_declared() -> None:
    assert list(sites(SHAPES["plain"])["jobs"]) == ["build-risk", "build-operations"]
    jobs = sites(SHAPES["published"])["jobs"]
    assert list(jobs) == ["build-risk", "publish-risk", "build-operations"]
    assert "--role risk" in str(jobs["build-risk"])
    assert "gitml-site-operations" in str(jobs["build-operations"])


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_built_sees_no_secret_and_what_publishes_checks_nothing_out(name: str) -> None:
    found = sites(SHAPES[name])
    assert found["permissions"] == {}
    for job, body in found["jobs"].items():
        writes = {kind for kind, level in body["permissions"].items() if level == "write"}
        if job.startswith("build-"):
            assert (writes, "secrets." in str(body), "environment" in body) == (set(), False, False)
            assert "github.event.repository.default_branch" in body["if"]
        else:
            assert body["environment"] == f"gitml-site-{job.removeprefix('publish-')}"
            assert "checkout" not in str(body)
            assert writes <= {"id-token"}


def test_it_follows_merges_looks_and_reports() -> None:
    assert sites(SHAPES["plain"])["on"]["workflow_run"]["workflows"] == ["gitml main"]
    every = sites(SHAPES["published"])["on"]["workflow_run"]["workflows"]
    assert every == ["gitml main", "gitml collect", "gitml monitor"]


def test_a_command_that_github_would_fill_in_is_refused() -> None:
    with pytest.raises(UsageError, match="GitHub would fill it in"):
        text_of(seen(sites={"publish": {"risk": "echo ${{ secrets.KEY }}"}}))


def test_linters_find_nothing(tmp_path: Path) -> None:
    for number, shape in enumerate(SHAPES.values()):
        files = {p: t for p, t in render(shape).items() if p.endswith("-site.yml")}
        written(tmp_path, {p.replace("/gitml-", f"/{number}-gitml-"): t for p, t in files.items()})
    (tmp_path / ".git").mkdir()
    paths = sorted((tmp_path / ".github" / "workflows").glob("*.yml"))
    assert len(paths) == len(SHAPES)
    for done in (actionlint(*paths), zizmor(*paths)):
        assert done.returncode == 0, done.stdout + done.stderr
