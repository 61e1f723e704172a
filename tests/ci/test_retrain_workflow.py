"""The job that asks for retrainings: where it is rendered, what it holds, what it waits for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ci.linters import actionlint, zizmor
from ci.test_collect import reporting
from ci.test_github import written
from gitml.ci.base import CiSource
from gitml.ci.github.workflows import render

RETRAIN = {"m": {"causes": ["schedule"], "every": "30d"}}


def jobs_of(shape: CiSource, kind: str) -> dict[str, Any]:
    text = next(text for path, text in render(shape).items() if path.endswith(f"-{kind}.yml"))
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(text)["jobs"]
    return found


def test_it_is_there_where_gitml_yaml_retrains_a_model() -> None:
    for kind, before in (("main", ["evidence"]), ("monitor", ["due", "sign"])):
        assert "retrain" not in jobs_of(reporting(("look",)), kind)
        job = jobs_of(reporting(("look",), retrain=RETRAIN), kind)["retrain"]
        assert job["needs"] in (before, before[0])
        assert job["environment"] == "gitml"
        assert job["steps"][-1]["run"] == "gitml ci retrain"
        assert job["permissions"] == {
            "actions": "write", "contents": "write", "issues": "write", "pull-requests": "write",
        }  # fmt: skip


def test_linters_find_nothing(tmp_path: Path) -> None:
    for number, more in enumerate(({}, {"folder": "apps/app"}, {"ci": {"app": True}})):
        shape = reporting(("look",), retrain=RETRAIN, **more)
        written(tmp_path, {p.replace("/gitml-", f"/{number}-gitml-"): t for p, t in render(shape).items()})
    (tmp_path / ".git").mkdir()
    paths = sorted((tmp_path / ".github" / "workflows").glob("*.yml"))
    for done in (actionlint(*paths), zizmor(*paths)):
        assert done.returncode == 0, done.stdout + done.stderr
