"""GitLab's files: what its own schema says of them, and which job gets which variables."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ci.linters import lint
from ci.test_github import SHAPES, Job, source
from ci.test_jenkins import NASTY, governed
from conftest import git, gitml, write
from gitml.ci.gitlab import render, schedules
from gitml.errors import UsageError
from gitml.project.render import Did, render_workflows, workflows
from gitml.spec.application import Application

ALL = {**SHAPES, "governed": governed(), "governed folder": governed("apps/app")}
ON_MAIN = '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $CI_COMMIT_REF_PROTECTED == "true"'


def jobs_of(files: dict[str, str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path, text in files.items():
        if path != ".gitlab-ci.yml":
            told = YAML(typ="safe").load(text)
            assert not found.keys() & told.keys(), "a job of another file would be changed"
            found |= told
    return found


def environment(job: dict[str, Any]) -> str:
    return str(job.get("environment", {}).get("name", ""))


def test_gitlab_takes_every_file(tmp_path: Path) -> None:
    texts = dict.fromkeys(text for one in ALL.values() for text in render(one).values())
    written = [tmp_path / f"{number}.yml" for number in range(len(texts))]
    for place, text in zip(written, texts, strict=True):
        place.write_text(text)
    done = lint("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", *map(str, written))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ALL)
def test_no_job_of_a_branch_gets_a_secret(name: str) -> None:
    for called, job in jobs_of(render(ALL[name])).items():
        if all(ON_MAIN in rule["if"] for rule in job["rules"] if rule.get("when") != "never"):
            continue
        assert called.startswith("train-"), called
        assert environment(job) in ("", "$GITML_DATA")
        for rule in job["rules"]:
            is_main = "$CI_DEFAULT_BRANCH" in rule["if"]
            assert rule.get("variables", {}).get("GITML_DATA", "") in (
                "",
                "gitml-main" if is_main else "gitml-branches",
            )


def test_what_has_a_key_runs_nothing_of_the_repository() -> None:
    jobs = jobs_of(render(governed()))
    keyed = {name: job for name, job in jobs.items() if environment(job) in ("gitml", "gitml-looks", "gitml-bot")}
    assert {"gate:gate", "main:record", "monitor:sign", "commit", "report", "collect:collect"} <= keyed.keys()
    for name, job in keyed.items():
        assert not any(" -r " in line for line in job["script"]), f"{name} installs what the application names"
        assert not any("ci run" in line or "ci verify" in line or "evaluate" in line for line in job["script"])
        assert "resource_group" in job or name.startswith(("publish", "build", "site:")), name
    runs = {name: job for name, job in jobs.items() if any(" -r " in line for line in job["script"])}
    assert not {environment(job) for job in runs.values()} & {"gitml", "gitml-looks", "gitml-bot"}


def test_who_signs_looks_signs_nothing_else() -> None:
    jobs = jobs_of(render(governed()))
    assert {name for name, job in jobs.items() if environment(job) == "gitml-looks"} == {"monitor:sign", "replay:sign"}
    assert environment(jobs["monitor:evaluate"]) == environment(jobs["replay:replay-m"]) == "gitml-traffic"
    assert environment(jobs["main:verify-m"]) == "gitml-branches"
    assert environment(jobs["site:publish-risk"]) == "gitml-site-risk"
    assert jobs["site:publish-risk"]["variables"]["GIT_STRATEGY"] == "none"


def test_every_pipeline_of_main_has_a_schedule_and_the_gate_ends_those_that_may_open_it() -> None:
    whole = governed()
    jobs, wanted = jobs_of(render(whole)), schedules(whole)
    named = {kind for job in jobs.values() for rule in job["rules"] for kind in wanted if f'"{kind}"' in rule["if"]}
    assert named == set(wanted)
    (rule,) = jobs["gate:gate"]["rules"]
    assert all(
        f'"gitml {kind}"' in rule["if"] for kind in ("gate", "main", "reproduce", "collect", "monitor", "replay")
    )
    assert (jobs["gate:gate"]["stage"], "needs" in jobs["gate:gate"]) == ("gitml-gate", False)
    for name, job in jobs.items():
        for need in job.get("needs", []):
            assert need["job"] in jobs, f"{name} waits for what is not there"


def test_what_jobs_hand_over_lies_in_folders_of_their_own() -> None:
    jobs = jobs_of(render(governed("apps/app")))
    assert jobs["train-cpu"]["artifacts"]["paths"] == ["apps/app/.gitml-ci/fragment-train-cpu.json"]
    kept = [path for name, job in jobs.items() if ":" in name for path in job.get("artifacts", {}).get("paths", [])]
    assert len(set(kept)) == len(kept)
    assert jobs["train-cpu"]["script"][0] == "cd apps/app"
    assert jobs["train-gpu"]["tags"] == ["gpu"]
    assert "tags" not in jobs["train-cpu"]


def test_the_job_proves_who_it_is() -> None:
    aws = jobs_of(render(SHAPES["aws"]))["train-cpu"]
    assert aws["id_tokens"] == {"GITML_ID_TOKEN": {"aud": "$GITML_AUDIENCE"}}
    assert any("AWS_WEB_IDENTITY_TOKEN_FILE" in line for line in aws["script"])
    google = jobs_of(render(SHAPES["google"]))["train-cpu"]
    assert any("service_account_impersonation_url" in line for line in google["script"])


def test_names_of_users_do_nothing_in_a_shell(tmp_path: Path) -> None:
    """The jobs that carry most of an application's own words, with gitml and pip replaced by what tells their words."""
    whole, folder = governed("my app/x"), tmp_path / "work" / "my app/x"
    traffic = whole.application.model_dump(by_alias=True, exclude_unset=True)["traffic"]
    traffic["export"]["m"]["label"] = NASTY
    spec = Application.model_validate(
        {**whole.application.model_dump(by_alias=True, exclude_unset=True), "traffic": traffic}
    )
    jobs = jobs_of(render(replace(whole, application=spec, gitml=f"gitml @ https://x.example/{NASTY}")))
    folder.mkdir(parents=True)
    told, bin_ = tmp_path / "told", tmp_path / "bin"
    for name in ("gitml", "pip"):
        write(bin_, {name: f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{told}'\n"})
        (bin_ / name).chmod(0o755)
    env = {"PATH": f"{bin_}:/usr/bin:/bin", "CI_PROJECT_DIR": str(tmp_path / "work")}
    for name in ("export:export", "train-cpu"):
        script = "\n".join(jobs[name]["script"])
        done = subprocess.run(
            ["sh", "-e"], input=script, cwd=tmp_path / "work", env=env, text=True, capture_output=True
        )
        assert "not found" not in done.stderr, done.stderr
    words = told.read_text().splitlines()
    assert NASTY in words
    assert f"gitml @ https://x.example/{NASTY}" in words
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("path", ["a$CI_JOB_TOKEN", "a*b", "a{b}", "a\nb", "[a]"])
def test_what_gitlab_would_fill_in_is_refused(path: str) -> None:
    for one in (source(folder=path), source(Job(packages=(path,)))):
        with pytest.raises(UsageError, match="cannot stand in a pipeline"):
            render(one)


def test_one_command_moves_an_application(toy: Path) -> None:
    if not (toy / ".git").exists():
        git(toy, "init", "-q")
    render_workflows(toy, ["github"])
    done = gitml(toy, "ci", "render", "--for", "gitlab", "--for", "github")
    assert done.code == 0, done.err
    assert (toy / ".gitlab-ci.yml").is_file()
    assert {file.change for file in workflows(toy, ["gitlab", "github"])} == {Did.SAME}
    (toy / ".gitlab/ci/gitml-train.yml").write_text("# Rendered from gitml.yaml: do not edit, run `gitml ci render`.\n")
    assert gitml(toy, "ci", "check", "--for", "gitlab").code == 1
    assert {file.change for file in render_workflows(toy, ["gitlab"])} == {Did.SAME, Did.CHANGED}


def test_what_is_of_others_is_not_touched(toy: Path) -> None:
    if not (toy / ".git").exists():
        git(toy, "init", "-q")
    (toy / ".gitlab-ci.yml").write_text("stages: [build]\n")
    assert ".gitlab-ci.yml is in the way" in gitml(toy, "ci", "render", "--for", "gitlab").err
    (toy / ".gitlab-ci.yml").unlink()
    (toy / ".gitlab/ci").mkdir(parents=True)
    (toy / ".gitlab/ci/gitml-gate.yml").write_text("# Rendered from apps/b/gitml.yaml: do not edit.\n")
    assert "apps/b/gitml.yaml, another application" in gitml(toy, "ci", "render", "--for", "gitlab").err
