"""`gitml doctor` of a project on GitLab: what it asks for, what --fix sets, and what no tier can ask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import commit, git, gitml, write
from forges.fixtures import standin
from forges.gitlab_home import GitlabHome, gitlab_home
from forges.gitlab_standin import Standin
from gitml.evidence.keys import generate

__all__ = ["standin"]
POLICY = """\
roles: {{risk: {{people: [rita]}}}}
environments: {{production: {{approvals: {{risk: 1}}}}}}
keys:
  ci:
    public: "{public}"
    owner: CI
    purposes: [trained, evaluated, reproduced, gate, approved, promoted, rolled-back]
    from: 2026-01-01
"""


@pytest.fixture
def place(toy: Path, tmp_path: Path, standin: Standin) -> tuple[Path, GitlabHome]:
    """A clone of a project whose main has what gitml renders."""
    home = gitlab_home(tmp_path / "forge", standin, premium=False)
    with (toy / "gitml.yaml").open("a") as file:
        file.write("\nci: {system: gitlab}\n")
    write(toy, {"policy.yaml": POLICY.format(public=generate()[1])})
    assert gitml(toy, "ci", "render").code == 0
    commit(toy, "rendered")
    git(toy, "push", "-q", home.remote(), "HEAD:main")
    git(toy, "remote", "add", "origin", f"{standin.url}/{home.repository}.git")
    return toy, home


def marks(place: Path, home: GitlabHome, *words: str) -> dict[str, tuple[str, str]]:
    env = {"GITML_FORGE": "gitlab", "GITLAB_TOKEN": home.settings().token}
    done = gitml(place, "doctor", "--json", *words, env=env)
    assert done.out.startswith("["), done.err
    return {point["point"]: (point["mark"], point["what"]) for point in json.loads(done.out)}


def test_what_a_project_lacks_is_set_or_said(place: tuple[Path, GitlabHome]) -> None:
    folder, home = place
    before = marks(folder, home)
    names = (
        "protection of main",
        "pipeline variables",
        "schedules",
        "bot's token",
        "gate on main",
        "environment gitml",
    )
    assert {before[name][0] for name in names} == {"missing"}
    world = home.server.worlds[home.repository.lower()]
    for scope, key in (("gitml", "GITML_SIGNING_KEY"), ("gitml", "GITML_TOKEN"), ("gitml-bot", "GITML_TOKEN")):
        variable = {"key": key, "environment_scope": scope, "protected": True, "masked": True, "hidden": True}
        world.variables.append(variable)
    after = marks(folder, home, "--fix")
    assert {name: after[name] for name in names if name in after and after[name][0] == "missing"} == {}
    assert "approvals (GitLab Premium)" in after["beyond the forge"][1]
    assert [s["description"] for s in world.schedules] == ["gitml report", "gitml gate", "gitml main"]
    assert (after["signing key"][0], after["keys"][0]) == ("ok", "ok")
    again = marks(folder, home, "--fix")
    assert "fixed" not in again, "twice is as once"
    world.variables[0] |= {"protected": False}
    assert marks(folder, home)["variables"] == ("missing", "every branch reads GITML_SIGNING_KEY")
