"""The workflow that looks at traffic: where it is rendered, who holds what in it, how it ends when nothing is new."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ci.linters import actionlint, zizmor
from ci.test_collect import reporting
from ci.test_github import written
from ci.test_governance import CLOUD
from conftest import git
from gitml.ci.base import CiSource
from gitml.ci.github.workflows import render
from gitml.spec.canary import CanaryRules

TRAFFIC = {"at": "s3://acme/traffic", "secrets": ["TRAFFIC_KEY"]}
SHAPES = {
    "plain": reporting(("look",)),
    "sub-folder": reporting(("look", "deployed"), folder="apps/app"),
    "app": reporting(("look",), ci={"app": True}),
    "cloud": reporting(("look",), ci=CLOUD),
    "secrets": reporting(
        ("look",), ci={"secrets": ["DVC_KEY"]}, traffic=TRAFFIC, monitors={"tell": {"webhook_secret": "HOOK"}}
    ),
}


def text_of(shape: CiSource) -> str:
    return next((text for path, text in render(shape).items() if path.endswith("-monitor.yml")), "")


def monitoring(shape: CiSource) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(text_of(shape))
    return found


def test_it_is_there_where_a_key_may_sign_looks() -> None:
    assert text_of(reporting(("look",)))
    assert text_of(reporting(("drift",))), "the purpose had another name"
    assert not text_of(reporting(("gate", "approved")))


@pytest.mark.parametrize("name", SHAPES)
def test_each_job_holds_what_it_needs(name: str) -> None:
    found = monitoring(SHAPES[name])
    assert set(found["on"]) == {"schedule", "workflow_run", "workflow_dispatch"}
    assert found["permissions"] == {}
    jobs = found["jobs"]
    assert list(jobs) == ["due", "evaluate", "sign", "publish"]
    assert "github.ref == format('refs/heads/{0}', github.event.repository.default_branch)" in jobs["due"]["if"]
    for job in list(jobs.values())[1:]:
        assert "needs.due.outputs.due == 'true'" in job["if"]
    holds = {job: "GITML_LOOKS_KEY" in str(steps) for job, steps in jobs.items()}
    assert holds == {"due": False, "evaluate": False, "sign": True, "publish": False}
    assert "GITML_SIGNING_KEY" not in text_of(SHAPES[name])
    assert "cache" not in str(jobs)
    assert {job: j.get("environment") for job, j in jobs.items()} == {
        "due": None, "evaluate": "gitml-traffic", "sign": "gitml-looks", "publish": None,
    }  # fmt: skip
    assert set(jobs["evaluate"]["permissions"]) <= {"contents", "id-token"}
    assert jobs["evaluate"]["permissions"]["contents"] == "read"


def test_kpis_are_read_by_the_job_without_a_key() -> None:
    kpis = {
        "paid": {"sql": {"query": "SELECT 1", "warehouse": "WAREHOUSE_URL"}},
        "errors": {"prometheus": {"query": "up", "server": "PROMETHEUS_URL"}},
        "churn": {"command": {"run": ["churn"], "secrets": ["CRM_TOKEN"]}},
    }
    jobs = monitoring(reporting(("look",), kpis=kpis))["jobs"]
    names = ("WAREHOUSE_URL", "PROMETHEUS_URL", "CRM_TOKEN")
    assert {job: [name in str(jobs[job]) for name in names] for job in ("evaluate", "sign", "publish")} == {
        "evaluate": [True] * 3, "sign": [False] * 3, "publish": [False] * 3,
    }  # fmt: skip
    assert "[serve,kpi]" in str(jobs["evaluate"])


def test_traffic_is_read_with_rights_of_its_own() -> None:
    (evaluate,) = [s for s in monitoring(SHAPES["secrets"])["jobs"]["evaluate"]["steps"] if "evaluate" in str(s)]
    assert evaluate["env"] == {"TRAFFIC_KEY": "${{ secrets.TRAFFIC_KEY }}"}
    assert "DVC_KEY" not in text_of(SHAPES["secrets"])
    cloud = [text for text in text_of(SHAPES["cloud"]).splitlines() if "role-to-assume" in text]
    assert cloud == ["          role-to-assume: ${{ vars.AWS_ROLE_TRAFFIC }}"]


def test_the_address_of_a_webhook_is_known_to_the_job_that_calls_it() -> None:
    jobs = monitoring(SHAPES["secrets"])["jobs"]
    assert {job: "secrets.HOOK" in str(jobs[job]) for job in jobs} == {
        "due": False, "evaluate": False, "sign": False, "publish": True,
    }  # fmt: skip


def test_the_python_of_alibi_detect_comes_only_where_a_detector_of_it_is_named() -> None:
    def pythons(**entry: str) -> list[str]:
        monitors = {"models": {"m": {"detectors": [entry]}}}
        steps = monitoring(reporting(("look",), monitors=monitors))["jobs"]["evaluate"]["steps"]
        return [step["with"]["python-version"] for step in steps if "setup-python" in step.get("uses", "")]

    assert pythons(alibi="detectors/income") == ["3.11", "3.12"]
    assert pythons(name="domain-classifier") == ["3.12"]


def test_windows_of_hours_are_looked_at_every_hour() -> None:
    def cron(**more: Any) -> str:
        return str(monitoring(reporting(("look",), **more))["on"]["schedule"][0]["cron"])

    assert cron() == "37 1,7,13,19 * * *"
    assert cron(monitors={"models": {"m": {"window": "1h"}}}) == "37 * * * *"


def test_candidates_are_judged_as_often_as_policy_says_and_merged_where_it_lets() -> None:
    def judging(**canary: Any) -> dict[str, Any]:
        shape = reporting(("canary",))
        assert shape.policy is not None
        (name, here), *_ = shape.policy.environments.items()
        made = here.model_copy(update={"canary": CanaryRules.model_validate(canary)})
        return monitoring(replace(shape, policy=shape.policy.model_copy(update={"environments": {name: made}})))

    assert judging()["on"]["schedule"][0]["cron"] == "37 * * * *"
    assert judging(every="6h")["on"]["schedule"][0]["cron"] == "37 1,7,13,19 * * *"
    assert "actions" not in judging()["jobs"]["publish"]["permissions"]
    assert judging(merge=True)["jobs"]["publish"]["permissions"]["actions"] == "write"


def test_linters_find_nothing(tmp_path: Path) -> None:
    for number, shape in enumerate(SHAPES.values()):
        files = {p: t for p, t in render(shape).items() if p.endswith("-monitor.yml")}
        written(tmp_path, {p.replace("/gitml-", f"/{number}-gitml-"): t for p, t in files.items()})
    (tmp_path / ".git").mkdir()
    paths = sorted((tmp_path / ".github" / "workflows").glob("*.yml"))
    assert len(paths) == len(SHAPES)
    for done in (actionlint(*paths), zizmor(*paths)):
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A repository with looks, and their commit."""
    root = tmp_path_factory.mktemp("server")
    git(root, "init", "-q", "--bare", "-b", "main", "acme/app.git")
    git(root, "init", "-q", "-b", "gitml-looks", "work")
    git(root / "work", "commit", "-q", "--allow-empty", "-m", "looks")
    git(root / "work", "push", "-q", str(root / "acme/app.git"), "gitml-looks")
    return root, git(root / "work", "rev-parse", "HEAD").strip()


@pytest.mark.parametrize(
    ("main", "next_look", "event", "clock", "due"),
    [
        ("a" * 40, "2999-01-01T00:00:00Z", "schedule", "", "false"),
        ("a" * 40, "2020-01-01T00:00:00Z", "schedule", "", "true"),
        ("b" * 40, "2999-01-01T00:00:00Z", "schedule", "", "true"),
        ("", "", "schedule", "", "true"),
        ("a" * 40, "2999-01-01T00:00:00Z", "workflow_dispatch", "", "true"),
        ("a" * 40, "2999-01-01T00:00:00Z", "schedule", "400000d", "true"),
        ("a" * 40, "2999-01-01T00:00:00Z", "schedule", "36h", "false"),
    ],
)
def test_a_run_with_nothing_new_ends_after_the_first_job(
    server: tuple[Path, str], tmp_path: Path, main: str, next_look: str, event: str, clock: str, due: str
) -> None:
    root, looks = server
    there = root / "acme/app.git"
    if main:
        said = f"Main: {main}\nLooks: {looks}\nNext look: {next_look}\n"
        git(root / "work", "commit", "-q", "--allow-empty", "-m", said)
        git(root / "work", "push", "-q", "-f", str(there), "HEAD:refs/heads/gitml-looked")
        git(root / "work", "reset", "-q", "--hard", looks)
    else:
        git(there, "update-ref", "-d", "refs/heads/gitml-looked")
    (step,) = monitoring(SHAPES["plain"])["jobs"]["due"]["steps"]
    output, turned = tmp_path / "output", tmp_path / "clock"
    turned.write_text(f"{clock}\n")
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("GIT", "GITML_"))},
        "GITHUB_SERVER_URL": f"file://{root}", "GITHUB_REPOSITORY": "acme/app", "GITHUB_TOKEN": "t",
        "GITHUB_SHA": "a" * 40, "GITHUB_OUTPUT": str(output), "GITHUB_EVENT_NAME": event,
        "GITML_CLOCK": str(turned) if clock else "",
    }  # fmt: skip
    done = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert output.read_text() == f"due={due}\n"


def test_the_token_of_an_upstream_s_repository_is_seen_by_no_job_that_runs_a_branch() -> None:
    need = {"repository": "https://git.example.org/acme/demand", "token": "DEMAND_TOKEN"}
    models = {"m": {"artifact": "m.onnx", "metrics": "m.json", "needs": {"demand": need}}}
    holds = set()
    retrain = {"m": {"causes": ["upstream"]}}
    for path, text in render(reporting(("look", "deployed"), models=models, retrain=retrain)).items():
        jobs = YAML(typ="safe", pure=True).load(text).get("jobs", {})
        kind = path.removesuffix(".yml").rpartition("gitml-")[2]
        holds |= {(kind, job) for job, steps in jobs.items() if "DEMAND_TOKEN" in str(steps)}
    assert holds == {("gate", "gate"), ("main", "retrain"), ("monitor", "publish"), ("monitor", "retrain")}
