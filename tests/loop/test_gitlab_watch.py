"""GitLab's pipelines from live traffic to a signed look, and to notes where the champion came from."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from conftest import commit, git, gitml
from forges.fixtures import standin
from forges.gitlab_standin import Standin
from gitml.evidence.keys import generate
from gitml.evidence.looks import looks_of
from gitml.evidence.trust import believe
from gitml.forges.base import NewPull, OnPull
from gitml.git import ledger
from gitml.spec.policy import parse_policy
from loop.gitlab_kit import Project, is_there, new_project
from loop.test_watch import POLICY, serve
from monitoring.watched_world import WatchedWorld, build, rows

__all__ = ["standin"]
pytestmark = [
    pytest.mark.gitlab,
    pytest.mark.nightly,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not is_there(), reason="make test-gitlab"),
]


def watched(folder: Path, standin: Standin) -> tuple[Project, WatchedWorld, int]:
    """An application whose version a merge request brought to production, two hours before its jobs' clock."""
    world = build(folder / "app")
    app, pin = world.root, world.root / "models/delay/production.yaml"
    text, (key, public) = pin.read_text(), generate()
    pin.unlink()
    (app / "gitml.yaml").write_text(
        "publisher: gitml\nci: {system: gitlab}\n"
        + (app / "gitml.yaml")
        .read_text()
        .replace("window: 1w", "window: 1h")
        .replace("    artifact: m.onnx", "    origin: external\n    artifact: m.onnx")
    )
    (app / "policy.yaml").write_text(POLICY.format(public=public))
    (app / ".gitignore").write_text("/traffic/\n/.dvc/tmp/\n/.gitml-ci/\n")
    git(app, "init", "-q", "-b", "main")
    rendered = gitml(app, "ci", "render")
    assert rendered.code == 0, rendered.err
    commit(app, "start")
    project = new_project(app, folder, standin, generate()[0])
    project.secrets["gitml-looks"] = {**project.secrets["gitml-bot"], "GITML_LOOKS_KEY": key}
    project.secrets["*"] = {"GITML_CLOCK": str(folder / "clock")}
    (folder / "clock").write_text("2h")
    git(app, "checkout", "-q", "-b", "promote")
    pin.write_text(text)
    commit(app, "promote")
    git(app, "push", "-q", project.remote("ada"), "promote")
    with project.home.as_("ada") as hub:
        pull = hub.pulls.open(NewPull("Promote", "promote", "main"))
        hub.merges.merge(pull.number, pull.head.commit)
    return project, world, pull.number


def test_from_traffic_to_a_signed_look_and_notes(standin: Standin, tmp_path: Path) -> None:
    project, world, number = watched(tmp_path, standin)
    serve(world, rows(2, 700, seed=3).assign(fare=lambda some: some["fare"] + 2.0, weather=np.nan))
    project.pipeline("main", "schedule", "gitml monitor")
    with project.home.as_() as hub:
        notes = [note.body for note in hub.comments.list(OnPull(number))]
    assert [re.findall(r"gitml:report:(\S+)", body)[0].rpartition("/")[0] for body in notes] == [
        "flights/monitor/delay",
        "flights/alarm/delay",
    ], project.log
    assert "fare" in notes[1]
    clone = tmp_path / "audit"
    git(tmp_path, "clone", "-q", project.remote(), str(clone))
    remote = ledger.Remote.of(project.remote(), "")
    head = ledger.fetch(clone, remote, ledger.LOOKS)
    keys, later = parse_policy((clone / "policy.yaml").read_bytes()).keys, datetime.now(UTC) + timedelta(hours=3)
    found = [believe(e.content, keys, project.home.repository, later) for e in ledger.read(clone, head or "")]
    assert all(found), [one.why_not for one in found]
    looks = looks_of(found).of("delay", "production")
    assert "failed" in {look.told["verdicts"]["drift"]["phase"] for look in looks}

    # Nothing is new: the next pipeline signs nothing, and nobody hears of it.
    project.pipeline("main", "schedule", "gitml monitor")
    assert ledger.fetch(clone, remote, ledger.LOOKS) == head
    with project.home.as_() as hub:
        again = [note.body for note in hub.comments.list(OnPull(number))]
    assert [without_run(body) for body in again] == [without_run(body) for body in notes]


def without_run(body: str) -> str:
    """The text but for which run told it last."""
    return re.sub(r"(run=|pipelines/)\d+", "", body)
