"""The workflows of a repository with a policy: who may sign, what signing jobs touch, what starts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ci.linters import PINNED, actionlint, zizmor
from ci.test_github import GPU, Job, application, runs, source, steps_of, written
from gitml.ci.base import CiSource
from gitml.ci.github.workflows import render
from gitml.spec.policy import Policy

POLICY: dict[str, Any] = {
    "roles": {"ops": {"people": ["olga"]}},
    "environments": {"staging": {"approvals": {"ops": 1}}, "production": {"gates": {"reproduced": True}}},
}
CLOUD = {"oidc": "aws", "secrets": ["TOKEN"]}


def governed(*jobs: Job, policy: Any = None, folder: str = "", **keys: Any) -> CiSource:
    made = source(*jobs, folder=folder, **keys)
    return CiSource(
        made.application, made.jobs, folder, made.gitml, made.hashed, Policy.model_validate(policy or POLICY)
    )


MODELS = {
    "m": {"artifact": "m.onnx", "metrics": "m.json", "packages": "requirements.lock"},
    "n": {"artifact": "n.onnx", "metrics": "n.json", "packages": "more/torch.lock"},
    "o": {"artifact": "o.onnx", "metrics": "o.json", "packages": "requirements.lock"},
}
EXTERNAL = {"m": {"origin": "external", "artifact": "m.onnx", "metrics": "m.json"}}
SHAPES: dict[str, CiSource] = {
    "plain": governed(),
    "two locks": governed(Job(), GPU, models=MODELS),
    "sub-folder": governed(folder="apps/app"),
    "app": governed(ci={"app": True}),
    "cloud": governed(ci=CLOUD),
    "everything": governed(Job(), GPU, folder="a/b", models=MODELS, ci={**CLOUD, "app": True, "branch": "trunk"}),
    "external": CiSource(application(models=EXTERNAL), (), "", "gitml==1", False, Policy.model_validate(POLICY)),
    "nothing reproduced": governed(policy={"environments": {"staging": {}}}),
}
KEY = "GITML_SIGNING_KEY"
SIGNING = {"gate": {"gate"}, "main": {"record", "evidence"}, "reproduce": {"evidence"}, "review": set()}


def workflows(shape: CiSource) -> dict[str, Any]:
    """Kind → parsed workflow, of those that are there because of the policy."""
    found = {}
    for path, text in render(shape).items():
        kind = path.removesuffix(".yml").rpartition("gitml-")[2].removeprefix("app-")
        if kind in SIGNING:
            found[kind] = YAML(typ="safe", pure=True).load(text)
    return found


def test_neither_linter_finds_anything_in_any_shape(tmp_path: Path) -> None:
    for number, shape in enumerate(SHAPES.values()):
        written(tmp_path, {p.replace("/gitml-", f"/{number}-gitml-"): t for p, t in render(shape).items()})
    (tmp_path / ".git").mkdir()
    paths = sorted((tmp_path / ".github" / "workflows").glob("*.yml"))
    for done in (actionlint(*paths), zizmor(*paths)):
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_linters_are_told_to_ignore_is_named_with_a_reason() -> None:
    text = "".join(t for p, t in render(SHAPES["everything"]).items() if not p.endswith(("-train.yml", "-report.yml")))
    lines = [line for line in text.splitlines() if "zizmor" in line]
    assert [line.strip().partition(":")[0] for line in lines] == ["pull_request_target", "workflow_run"]
    assert all("ignore[dangerous-triggers] the head is read as data" in line for line in lines)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (" # zizmor: ignore[dangerous-triggers] the head", " # the head", "dangerous-triggers"),
        ("run: gitml gate", "run: gitml gate ${{ github.event.pull_request.title }}", "template-injection"),
        ("          persist-credentials: false\n", "", "artipacked"),
    ],
)
def test_zizmor_refuses_a_gate_made_worse(tmp_path: Path, old: str, new: str, rule: str) -> None:
    path = ".github/workflows/gitml-gate.yml"
    text = render(SHAPES["plain"])[path]
    assert old in text
    done = zizmor(*written(tmp_path, {path: text.replace(old, new)}))
    assert (done.returncode != 0, rule in done.stdout) == (True, True), done.stdout


@pytest.mark.parametrize("name", SHAPES)
def test_the_key_is_where_the_environment_is_and_nowhere_else(name: str) -> None:
    for kind, loaded in workflows(SHAPES[name]).items():
        signing = {n for n, job in loaded["jobs"].items() if KEY in str(job)}
        in_environment = {n for n, job in loaded["jobs"].items() if job.get("environment") == "gitml"}
        assert signing == in_environment == SIGNING[kind], kind


@pytest.mark.parametrize("name", SHAPES)
def test_a_job_that_signs_executes_nothing_of_the_repository_and_takes_nothing_from_a_cache(name: str) -> None:
    for kind, loaded in workflows(SHAPES[name]).items():
        for job in (loaded["jobs"][n] for n in SIGNING[kind]):
            checkouts = [s["with"] for s in job["steps"] if "checkout" in s.get("uses", "")]
            assert checkouts == [{"fetch-depth": 0, "persist-credentials": False}]
            assert "cache" not in str(job)
            said = steps_of(job, "run")
            assert said == [f"pip install {SHAPES[name].gitml}", "gitml gate" if kind == "gate" else "gitml ci record"]
            assert job.get("environment") == "gitml"
            assert "id-token" not in job["permissions"] or kind == "gate", "it reads what describes versions"
            assert "_MAIN" not in str(job)


@pytest.mark.parametrize("name", SHAPES)
def test_the_job_that_proposes_may_write_and_takes_nothing_from_a_cache(name: str) -> None:
    jobs = [loaded["jobs"] for loaded in workflows(SHAPES[name]).values()]
    proposing = [found["propose"] for found in jobs if "propose" in found]
    assert proposing
    assert not any("cache" in str(job) for job in proposing)


@pytest.mark.parametrize("name", SHAPES)
def test_jobs_that_load_or_execute_models_hold_no_token_that_writes(name: str) -> None:
    for kind in ("main", "reproduce"):
        jobs = workflows(SHAPES[name]).get(kind, {"jobs": {}})["jobs"]
        trying = {n: job for n, job in jobs.items() if n.startswith(("verify-", "reproduce-"))}
        assert bool(trying) == bool(jobs)
        for job in trying.values():
            assert {w for w, level in job["permissions"].items() if level == "write"} <= {"id-token"}
            text = str(job)
            assert "GITHUB_TOKEN" not in text
            assert "APP" not in text
            assert "_MAIN" not in text, "the role that may write everything"
            assert job.get("environment") in (None, "gitml-branches")


@pytest.mark.parametrize("name", SHAPES)
def test_everything_is_pinned_ends_and_begins_with_no_power(name: str) -> None:
    for path, text in render(SHAPES[name]).items():
        used = [line.strip().removeprefix("- ") for line in text.splitlines() if " uses: " in line]
        assert [line for line in used if not PINNED.match(line)] == []
        loaded = YAML(typ="safe", pure=True).load(text)
        assert loaded["permissions"] == {}, path
        assert loaded["concurrency"]["group"]
        assert all(0 < job["timeout-minutes"] <= 360 for job in loaded["jobs"].values())
        assert all("permissions" in job for job in loaded["jobs"].values())


def test_the_gate_listens_to_everything_that_a_judgement_depends_on() -> None:
    loaded = workflows(SHAPES["everything"])
    on = loaded["gate"]["on"]
    assert set(on["pull_request_target"]["types"]) >= {"opened", "reopened", "synchronize", "edited"}
    assert on["workflow_run"]["workflows"] == [loaded[kind]["name"] for kind in ("review", "main", "reproduce")]
    assert on["push"] == {"branches": ["trunk"]}
    assert set(on) == {
        "pull_request_target", "workflow_run", "push", "merge_group", "schedule", "workflow_dispatch",
    }  # fmt: skip


def test_the_gate_listens_to_looks_where_a_gate_asks_for_them() -> None:
    asks = {**POLICY, "environments": {"staging": {}, "production": {"gates": {"drift": "8d"}}}}
    listens = [
        workflows(governed(policy=policy))["gate"]["on"]["workflow_run"]["workflows"] for policy in (POLICY, asks)
    ]
    assert [[name for name in names if "monitor" in name] for names in listens] == [[], ["gitml monitor"]]


def test_a_merge_of_code_alone_costs_no_run_after_it() -> None:
    for name, folder in (("everything", "a/b"), ("sub-folder", "apps/app"), ("plain", "")):
        loaded = workflows(SHAPES[name])
        at = f"{folder}/" if folder else ""
        for kind in ("main", "reproduce"):
            push = loaded[kind]["on"]["push"]
            assert push["branches"] == [SHAPES[name].application.ci.branch]
            assert push["paths"][:-1] == [
                f"{at}models/**", f"{at}gitml.yaml", f"{at}policy.yaml", f"{at}.dvc/config",
            ]  # fmt: skip
            assert push["paths"][-1].startswith(".github/workflows/gitml-")
            assert "schedule" in loaded[kind]["on"], "what the filter overlooks is made up for"
    odd = governed(folder="apps/[x]")
    assert "paths" not in workflows(odd)["main"]["on"]["push"], "a folder that reads as a pattern"


def test_the_listener_to_reviews_may_do_nothing_and_takes_nothing_along() -> None:
    (job,) = workflows(SHAPES["everything"])["review"]["jobs"].values()
    assert job["permissions"] == {}
    assert [list(step) for step in job["steps"]] == [["run"]]
    assert "${{" not in str(job)


def test_a_merge_queue_gets_the_status_but_no_key() -> None:
    job = workflows(SHAPES["plain"])["gate"]["jobs"]["merge-queue"]
    assert job["permissions"] == {"contents": "read", "statuses": "write"}
    assert (KEY in str(job), "environment" in job) == (False, False)


def test_models_with_different_packages_are_tried_apart() -> None:
    loaded = workflows(SHAPES["two locks"])
    jobs = loaded["main"]["jobs"]
    assert list(jobs) == ["record", "verify-m", "verify-n", "evidence", "propose"]
    assert "gitml ci verify m o" in runs(jobs["verify-m"])
    assert steps_of(jobs["verify-n"], "run")[0] == "pip install 'gitml[serve]==1.2' -r more/torch.lock"
    assert jobs["evidence"]["needs"] == ["record", "verify-m", "verify-n"]
    again = loaded["reproduce"]["jobs"]
    assert again["reproduce-n"]["runs-on"] == ["self-hosted", "gpu"]
    assert "gitml ci verify --reproduce n" in runs(again["reproduce-n"])


def test_nobody_waits_for_models_to_have_it_recorded_what_was_decided() -> None:
    jobs = workflows(SHAPES["plain"])["main"]["jobs"]
    assert "needs" not in jobs["record"]
    assert "download-artifact" not in str(jobs["record"])
    assert jobs["propose"]["needs"] == "evidence"
    assert "reproduce" not in workflows(SHAPES["nothing reproduced"])


def test_what_jobs_say_of_models_lands_in_folders_of_their_names() -> None:
    (step,) = [
        s["with"]
        for s in workflows(SHAPES["sub-folder"])["main"]["jobs"]["evidence"]["steps"]
        if "download-artifact" in s.get("uses", "")
    ]
    assert step == {"pattern": "gitml-*", "path": "${{ runner.temp }}/gitml"}


def test_an_app_takes_the_place_of_the_jobs_own_token_and_may_read_teams() -> None:
    for kind, names in SIGNING.items():
        loaded = workflows(SHAPES["app"])[kind]
        for job in (loaded["jobs"][n] for n in names):
            assert set(job["permissions"].values()) == {"read"}
            (given,) = [s["with"] for s in job["steps"] if "create-github-app-token" in s.get("uses", "")]
            assert given["permission-members"] == "read"
