"""GitLab's pipelines end to end: push, training, note; gate; promotion; all by gitlab-ci-local, Git and HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import commit, dvc, git, gitml, write
from forges.fixtures import standin
from forges.gitlab_home import gitlab_home
from forges.gitlab_standin import Standin
from gitml.evidence.keys import generate
from gitml.forges.base import NewPull, OnPull
from loop.city_kit import APPLICATION, PIPELINE, POLICY, PURPOSES, TRAIN
from loop.gitlab_kit import Project, is_there, new_tools

__all__ = ["standin"]
pytestmark = [pytest.mark.gitlab, pytest.mark.nightly, pytest.mark.skipif(not is_there(), reason="make test-gitlab")]


@pytest.fixture
def project(tmp_path: Path, standin: Standin) -> Project:
    """An application whose promotions need a signed gate, on a project with a guarded main; main is trained."""
    home, app = gitlab_home(tmp_path / "forge", standin, premium=False), tmp_path / "app"
    key, public = generate()
    policy = POLICY.format(public=public, purposes=PURPOSES)
    yaml = APPLICATION.replace("ci: {forks: false}", "ci: {system: gitlab}")
    write(
        app,
        {
            "gitml.yaml": yaml,
            "dvc.yaml": PIPELINE,
            "params.yaml": "rate: 0.6\n",
            "train.py": TRAIN,
            "policy.yaml": policy,
        },
    )
    git(app, "init", "-q", "-b", "main")
    dvc(app, "init")
    dvc(app, "remote", "add", "-d", "r", str(tmp_path / "remote"))
    commit(app, "start")
    assert gitml(app, "train").code == 0
    assert gitml(app, "ci", "render").code == 0
    commit(app, "trained and rendered")
    dvc(app, "push")
    git(app, "push", "-q", home.remote("ada"), "main")
    made = Project(home, tmp_path, new_tools(tmp_path / "tools"))
    token = standin.token_of(home.forge, "ada")
    made.secrets = {
        "gitml": {"GITML_TOKEN": token, "GITML_SIGNING_KEY": key},
        "gitml-bot": {"GITML_TOKEN": token},
    }
    return made


def test_from_a_push_to_a_note(project: Project, tmp_path: Path) -> None:
    app = tmp_path / "app"
    git(app, "checkout", "-q", "-b", "faster")
    write(app, {"params.yaml": "rate: 0.7\n"})
    pushed = commit(app, "faster")
    git(app, "push", "-q", project.remote("olga"), "faster")
    with project.home.as_("olga") as hub:
        number = hub.pulls.open(NewPull("Faster", "faster", "main")).number
    run = project.pipeline("faster", "push")
    assert [job["name"] for job in project.world.pipelines[run]["jobs"]], project.log
    project.pipeline("main", "schedule", "gitml report")
    with project.home.as_() as hub:
        print(project.log)
        (note,) = hub.comments.list(OnPull(number))
        assert f"run={run} " in note.body
        assert "accuracy" in note.body
        assert hub.pulls.get(number).head.commit != pushed
