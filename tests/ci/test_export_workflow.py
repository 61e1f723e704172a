"""The workflow that makes a data set of live traffic: who reads, who writes, and that nobody does both."""

from __future__ import annotations

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

EXPORT = {"m": {"in": "production", "label": "really late", "labels_within": "1d"}}
TRAFFIC = {"at": "s3://acme/traffic", "secrets": ["TRAFFIC_KEY"], "export": EXPORT}


def text_of(**more: Any) -> str:
    shape: CiSource = reporting(("look",), **{"traffic": TRAFFIC, **more})
    return next((text for path, text in render(shape).items() if path.endswith("-export.yml")), "")


def test_who_reads_the_traffic_writes_nothing_and_who_writes_reads_none() -> None:
    jobs = YAML(typ="safe", pure=True).load(text_of())["jobs"]
    export, propose = jobs["export"], jobs["propose"]
    assert (export["environment"], export["permissions"]) == ("gitml-traffic", {"contents": "read"})
    assert "github.ref == format('refs/heads/{0}', github.event.repository.default_branch)" in export["if"]
    assert "GITHUB_TOKEN" not in str(export)
    assert propose["permissions"] == {"contents": "write", "pull-requests": "write"}
    assert "TRAFFIC_KEY" not in str(propose)
    assert propose["environment"] != "gitml-traffic"
    (command,) = [step["run"] for step in export["steps"] if "traffic export" in step.get("run", "")]
    assert "export m --in production --label 'really late' --to data/traffic/m --labels-within 86400s" in command
    assert not text_of(traffic={"at": "s3://acme/traffic"})


def test_a_name_that_the_forge_would_fill_in_is_refused() -> None:
    export = {"m": {**EXPORT["m"], "label": "${{ secrets.X }}"}}
    with pytest.raises(UsageError, match="cannot stand in a workflow"):
        text_of(traffic={**TRAFFIC, "export": export})


def test_linters_find_nothing(tmp_path: Path) -> None:
    for number, more in enumerate(({}, {"folder": "apps/app"}, {"ci": {"app": True}}, {"ci": CLOUD})):
        written(tmp_path, {f".github/workflows/{number}-gitml-export.yml": text_of(**more)})
    (tmp_path / ".git").mkdir()
    paths = sorted((tmp_path / ".github" / "workflows").glob("*.yml"))
    for done in (actionlint(*paths), zizmor(*paths)):
        assert done.returncode == 0, done.stdout + done.stderr
