"""Rendered workflows: their text, what linters say of it, and what names of users can do in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ci.linters import PINNED, actionlint, zizmor
from gitml.ci.base import CiSource
from gitml.ci.github.workflows import render
from gitml.ci.yamltext import scalar
from gitml.errors import UsageError
from gitml.spec.application import Application

LABELS = {"cpu": ["ubuntu-latest"], "gpu": ["self-hosted", "gpu"]}


@dataclass(frozen=True)
class Job:
    name: str = "train-cpu"
    labels: tuple[str, ...] = ("ubuntu-latest",)
    needs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ("requirements.lock",)
    timeout: timedelta = timedelta(minutes=90)


GPU = Job("train-gpu", ("self-hosted", "gpu"), ("train-cpu",), ("requirements.lock", "more/torch.lock"))
BACK = Job("train-cpu-2", needs=("train-cpu", "train-gpu"))
MANY = tuple(Job(f"train-{name}", (f"ubuntu-{name}.04",)) for name in ("22", "24"))


def application(**keys: Any) -> Application:
    model = {"artifact": "m.onnx", "metrics": "m.json"}
    return Application.model_validate({"application": "app", "models": {"m": model}, "hardware": LABELS, **keys})


def source(*jobs: Job, folder: str = "", gitml: str = "gitml==1.2", hashed: bool = False, **keys: Any) -> CiSource:
    return CiSource(application(**keys), jobs or (Job(),), folder, gitml, hashed)


SHAPES: dict[str, CiSource] = {
    "one hardware": source(),
    "cpu and gpu": source(Job(), GPU, BACK),
    "many models": source(*MANY),
    "only own runners": source(Job(labels=("self-hosted", "gpu")), hardware={"gpu": ["self-hosted", "gpu"]}),
    "sub-folder": source(Job(), GPU, BACK, folder="apps/app"),
    "folder with a blank": source(folder="my apps/app"),
    "keys": source(ci={"secrets": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]}),
    "aws": source(Job(), GPU, ci={"oidc": "aws"}),
    "google": source(ci={"oidc": "google"}),
    "app": source(ci={"app": True}),
    "everything": source(Job(), GPU, BACK, folder="a/b", ci={"oidc": "aws", "app": True, "secrets": ["TOKEN"]}),
    "no forks": source(ci={"forks": False}),
    "by label": source(train={"commit": "label"}),
    "without cml": source(publisher="gitml"),
    "own gitml": source(gitml="."),
    "gitml from git": source(gitml="gitml @ git+https://git.example.org/gitml@v1"),
    "hashes": source(hashed=True),
    "no packages": source(Job(packages=())),
}


def written(tmp_path: Path, files: Mapping[str, str]) -> list[Path]:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / ".github" / "actionlint.yaml").write_text("self-hosted-runner:\n  labels: [gpu]\n")
    return [tmp_path / name for name in files]


def parsed(files: Mapping[str, str], kind: str = "train") -> dict[str, Any]:
    (text,) = (t for p, t in files.items() if p.endswith(f"-{kind}.yml") and not (kind == "train" and "fork" in p))
    return YAML(typ="safe", pure=True).load(text)


def steps_of(job: Mapping[str, Any], word: str) -> list[Any]:
    return [step[word] for step in job["steps"] if word in step]


def runs(job: Mapping[str, Any]) -> str:
    return "\n".join(steps_of(job, "run"))


def test_neither_linter_finds_anything_in_any_shape(tmp_path: Path) -> None:
    """One call of each tool for all shapes: they take longer to start than to read."""
    for number, shape in enumerate(SHAPES.values()):
        files = {p.replace("/gitml-", f"/{number}-gitml-"): t for p, t in render(shape).items()}
        written(tmp_path, files)
    (tmp_path / ".git").mkdir()  # actionlint looks for its configuration at the top of a repository
    paths = sorted((tmp_path / ".github" / "workflows").glob("*.yml"))
    assert len(paths) == sum(len(render(shape)) for shape in SHAPES.values())
    for done in (actionlint(*paths), zizmor(*paths)):
        assert done.returncode == 0, done.stdout + done.stderr


def test_two_findings_are_ignored_by_name_with_a_reason() -> None:
    ignored = [
        (path.removeprefix(".github/workflows/"), match)
        for path, text in render(SHAPES["cpu and gpu"]).items()
        for match in re.findall(r"zizmor: ignore\[([a-z-]+)\] \w+", text)
    ]
    assert sorted(ignored) == [
        ("gitml-fork-report.yml", "dangerous-triggers"),
        ("gitml-train.yml", "adhoc-packages"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("if: ${{ !cancelled() }}", "if: ${{ !canceled() }}", "expression"),
        ("needs: commit", "needs: comit", "job-needs"),
    ],
)
def test_actionlint_refuses_a_workflow_made_worse(tmp_path: Path, old: str, new: str, rule: str) -> None:
    files = {p: t.replace(old, new) for p, t in render(SHAPES["one hardware"]).items() if p.endswith("-train.yml")}
    done = actionlint(*written(tmp_path, files))
    assert (done.returncode, f"[{rule}]" in done.stdout) == (1, True), done.stdout


@pytest.mark.parametrize(
    ("kind", "old", "new", "rule"),
    [
        ("train", " # v7.0.1\n        with:\n          fetch-depth: 0\n          persist-credentials: false",
         " # v7.0.1", "artipacked"),
        ("train", "run: gitml ci publish", "run: echo ${{ github.ref_name }}", "template-injection"),
        ("train", " # zizmor: ignore[adhoc-packages]", " # ", "adhoc-packages"),
        ("fork-report", " # zizmor: ignore[dangerous-triggers]", " # ", "dangerous-triggers"),
        ("fork", "    permissions:\n      contents: read", "    permissions: write-all", "excessive-permissions"),
    ],
)  # fmt: skip
def test_zizmor_refuses_a_workflow_made_worse(tmp_path: Path, kind: str, old: str, new: str, rule: str) -> None:
    path = f".github/workflows/gitml-{kind}.yml"
    text = render(SHAPES["one hardware"])[path]
    assert old in text
    done = zizmor(*written(tmp_path, {path: text.replace(old, new)}))
    assert (done.returncode != 0, rule in done.stdout) == (True, True), done.stdout


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_every_action_is_pinned_and_every_job_has_an_end_and_little_power(shape: CiSource) -> None:
    for path, text in render(shape).items():
        used = [line.strip().removeprefix("- ") for line in text.splitlines() if " uses: " in line]
        assert [line for line in used if not PINNED.match(line)] == []
        loaded = YAML(typ="safe", pure=True).load(text)
        assert loaded["permissions"] == {}
        for name, job in loaded["jobs"].items():
            assert 0 < job["timeout-minutes"] <= 24 * 60
            writes = {what for what, level in job["permissions"].items() if level == "write"}
            if name.startswith("train"):
                assert writes <= {"id-token"}, path
            assert "persist-credentials: false" in text


def test_one_hardware_is_three_jobs_in_a_row() -> None:
    loaded = parsed(render(SHAPES["one hardware"]))
    assert {name: job.get("needs") for name, job in loaded["jobs"].items()} == {
        "train-cpu": None,
        "commit": "train-cpu",
        "publish": "commit",
    }
    assert "gitml ci run train-cpu" in runs(loaded["jobs"]["train-cpu"])
    assert "gitml ci commit" in runs(loaded["jobs"]["commit"])
    assert "gitml ci publish" in runs(loaded["jobs"]["publish"])


def test_code_of_the_repository_never_sees_a_token_that_writes() -> None:
    jobs = parsed(render(SHAPES["everything"]))["jobs"]
    for name in ("train-cpu", "train-gpu", "train-cpu-2"):
        assert "GITHUB_TOKEN" not in str(jobs[name])
        assert "APP" not in str(jobs[name])
    for name in ("commit", "publish"):  # what they install is gitml, not the packages that the repository names
        assert "-r " not in runs(jobs[name])


def test_later_jobs_get_the_fragments_of_earlier_ones() -> None:
    jobs = parsed(render(SHAPES["cpu and gpu"]))["jobs"]
    downloads = {
        n: [s["with"] for s in j["steps"] if "download-artifact" in s.get("uses", "")] for n, j in jobs.items()
    }
    fragments = {"pattern": "fragment-*", "path": "${{ runner.temp }}/gitml", "merge-multiple": True}
    assert downloads["train-cpu"] == []
    assert downloads["train-gpu"] == downloads["train-cpu-2"] == downloads["commit"] == [fragments]
    assert jobs["train-gpu"]["runs-on"] == ["self-hosted", "gpu"]
    assert jobs["commit"]["needs"] == ["train-cpu", "train-gpu", "train-cpu-2"]


def test_each_job_installs_the_packages_of_its_stages() -> None:
    jobs = parsed(render(SHAPES["cpu and gpu"]))["jobs"]
    assert steps_of(jobs["train-cpu"], "run")[0] == "pip install gitml==1.2 -r requirements.lock"
    assert steps_of(jobs["train-gpu"], "run")[0] == "pip install gitml==1.2 -r requirements.lock -r more/torch.lock"
    cached = next(s["with"] for s in jobs["train-gpu"]["steps"] if "setup-python" in s.get("uses", ""))
    assert cached["cache-dependency-path"].split("\n")[:2] == ["requirements.lock", "more/torch.lock"]
    assert cached["python-version"] == "3.12"
    assert steps_of(jobs["publish"], "run")[0] == "pip install 'gitml[report]==1.2'"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("own gitml", "pip install . -r requirements.lock"),
        ("gitml from git", "pip install 'gitml @ git+https://git.example.org/gitml@v1' -r requirements.lock"),
        ("hashes", "pip install gitml==1.2\npip install -r requirements.lock\npip check\n"),
        ("no packages", "pip install gitml==1.2"),
    ],
)
def test_gitml_comes_from_where_it_is_said(name: str, wanted: str) -> None:
    assert steps_of(parsed(render(SHAPES[name]))["jobs"]["train-cpu"], "run")[0] == wanted


def test_only_pushes_to_branches_and_people_start_training() -> None:
    on = parsed(render(SHAPES["one hardware"]))["on"]
    assert on == {
        "push": {
            "branches-ignore": [
                "gitml-assets",
                "gitml-ledger",
                "gitml-looked",
                "gitml-looks",
                "gitml-served",
                "gh-readonly-queue/**",
            ]
        },
        "workflow_dispatch": None,
    }


def test_a_pull_request_of_the_repository_itself_starts_the_branch_again() -> None:
    ready = parsed(render(SHAPES["one hardware"]), "ready")
    assert ready["on"]["pull_request"]["types"] == ["opened", "reopened", "ready_for_review"]
    assert ready["jobs"]["dispatch"]["permissions"] == {"actions": "write", "contents": "read"}
    labelled = parsed(render(SHAPES["by label"]), "ready")
    assert "labeled" in labelled["on"]["pull_request"]["types"]


@pytest.mark.parametrize("name", SHAPES)
def test_a_fork_gets_neither_secrets_nor_runners_of_ours(name: str) -> None:
    files = render(SHAPES[name])
    if name == "no forks":
        assert not any("fork" in path for path in files)
        return
    (job,) = parsed(files, "fork")["jobs"].values()
    assert job["permissions"] == {"contents": "read"}
    assert job["runs-on"].startswith("ubuntu-")
    text = str(job)
    for word in ("secrets.", "vars.", "github.token", "environment", "gpu", "id-token"):
        assert word not in text


def test_a_fork_trains_what_one_hosted_runner_can() -> None:
    (job,) = parsed(render(SHAPES["cpu and gpu"]), "fork")["jobs"].values()
    assert [r for r in steps_of(job, "run") if "ci run" in r] == ["gitml ci run --fork train-cpu"]
    (job,) = parsed(render(SHAPES["only own runners"]), "fork")["jobs"].values()
    assert "ci run" not in runs(job)
    assert "gitml ci commit --fork" in runs(job)


def test_the_report_of_a_fork_is_posted_without_any_of_its_code() -> None:
    (job,) = parsed(render(SHAPES["cpu and gpu"]), "fork-report")["jobs"].values()
    checkouts = [s.get("with") for s in job["steps"] if "checkout" in s.get("uses", "")]
    assert checkouts == [{"persist-credentials": False}]
    (download,) = (s["with"] for s in job["steps"] if "download-artifact" in s.get("uses", ""))
    assert download["path"] == "${{ runner.temp }}/gitml"
    assert "-r " not in runs(job)
    assert "contents" not in {k for k, v in job["permissions"].items() if v == "write"}
    listens = parsed(render(SHAPES["cpu and gpu"]), "fork-report")["on"]["workflow_run"]["workflows"]
    assert listens == [parsed(render(SHAPES["cpu and gpu"]), "fork")["name"]]


def test_an_application_in_a_folder_works_there_and_has_files_of_its_own() -> None:
    files = render(SHAPES["sub-folder"])
    assert set(files) == {f".github/workflows/gitml-app-{k}.yml" for k in ("train", "ready", "fork", "fork-report")}
    loaded = parsed(files)
    assert loaded["name"] == "gitml app train"
    assert loaded["defaults"] == {"run": {"working-directory": "apps/app"}}
    uploads = [s["with"] for s in loaded["jobs"]["train-cpu"]["steps"] if "upload-artifact" in s.get("uses", "")]
    assert uploads[0]["path"] == "${{ runner.temp }}/gitml/fragment-train-cpu.json"
    assert "-r requirements.lock" in runs(loaded["jobs"]["train-cpu"])


def test_keys_are_those_of_an_environment_that_the_default_branch_has_alone() -> None:
    jobs = parsed(render(SHAPES["keys"]))["jobs"]
    assert jobs["train-cpu"]["environment"].endswith("&& 'gitml-main' || 'gitml-branches' }}")
    (env,) = steps_of(jobs["train-cpu"], "env")
    assert env == {
        "AWS_ACCESS_KEY_ID": "${{ secrets.AWS_ACCESS_KEY_ID }}",
        "AWS_SECRET_ACCESS_KEY": "${{ secrets.AWS_SECRET_ACCESS_KEY }}",
    }
    assert "secrets." not in str(jobs["publish"])
    assert "environment" not in parsed(render(SHAPES["aws"]))["jobs"]["train-cpu"]


@pytest.mark.parametrize(
    ("name", "action"), [("aws", "configure-aws-credentials"), ("google", "google-github-actions")]
)
def test_identity_is_asked_for_only_where_the_remote_is_reached(name: str, action: str) -> None:
    jobs = parsed(render(SHAPES[name]))["jobs"]
    asking = {n for n, job in jobs.items() if job["permissions"].get("id-token") == "write"}
    assert asking == {n for n, job in jobs.items() if action in str(job)} == set(jobs) - {"publish", "wait-for-gpu"}
    assert "secrets." not in str(jobs)


def test_an_app_takes_the_place_of_the_jobs_own_token() -> None:
    jobs = parsed(render(SHAPES["app"]))["jobs"]
    for name in ("commit", "publish"):
        assert set(jobs[name]["permissions"].values()) == {"read"}
        assert steps_of(jobs[name], "env")[0]["GITHUB_TOKEN"] == "${{ steps.app.outputs.token }}"


def test_a_runner_that_may_not_come_is_waited_for_by_a_job_that_says_so() -> None:
    jobs = parsed(render(SHAPES["cpu and gpu"]))["jobs"]
    job = jobs["wait-for-gpu"]
    assert (job["needs"], job["runs-on"]) == ("train-cpu", "ubuntu-latest")
    assert steps_of(job, "run")[-1] == "gitml ci wait train-gpu"
    assert "wait-for-gpu" not in jobs["commit"]["needs"]
    for name in ("one hardware", "only own runners"):  # nobody to wait for; nobody who could
        assert not [n for n in parsed(render(SHAPES[name]))["jobs"] if n.startswith("wait")]


def test_the_job_that_commits_may_start_a_training_and_no_more() -> None:
    jobs = parsed(render(SHAPES["one hardware"]))["jobs"]
    assert jobs["commit"]["permissions"] == {"actions": "write", "contents": "write", "pull-requests": "write"}
    assert jobs["publish"]["permissions"] == {"contents": "write", "pull-requests": "write", "statuses": "write"}


def test_cml_is_installed_only_where_it_could_post() -> None:
    assert "cml" in render(SHAPES["one hardware"])[".github/workflows/gitml-train.yml"]
    assert "cml" not in "".join(render(SHAPES["without cml"]).values())


def test_installing_cml_runs_no_scripts_and_does_not_hold_the_report_up() -> None:
    jobs = parsed(render(SHAPES["one hardware"]))["jobs"]
    (step,) = (s for s in jobs["publish"]["steps"] if "cml" in s.get("run", ""))
    assert {"--ignore-scripts", "--fetch-retries=0"} <= set(step["run"].split())
    assert (step["continue-on-error"], step["timeout-minutes"]) == (True, 2)
    assert "env" not in step


@pytest.mark.parametrize("place", ["a/${{ github.head_ref }}", "a\nb"])
def test_a_place_that_github_would_fill_in_is_refused(place: str) -> None:
    with pytest.raises(UsageError, match="cannot stand in a workflow"):
        render(source(folder=place))
    with pytest.raises(UsageError, match="cannot stand in a workflow"):
        render(source(Job(packages=(place,))))


HOSTILE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Co", "Cn", "Cf"]), min_size=1, max_size=30)


@given(HOSTILE.filter(lambda t: t.isprintable()))
@example(".nan")
@example("2026-01-31")
@example("0x1F")
@example("No")
@example("1e3")
@settings(max_examples=150, deadline=None)
def test_any_text_stays_the_same_text(text: str) -> None:
    assert YAML(typ="safe", pure=True).load(f"- {scalar(text)}") == [text]
    assert YAML(typ="safe", pure=True).load(f"[{scalar(text)}, x]") == [text, "x"]


@given(
    HOSTILE.filter(lambda t: t.isprintable() and "${{" not in t),
    HOSTILE.filter(lambda t: t.isprintable() and "${{" not in t and t == t.strip()),
)
@settings(max_examples=40, deadline=None)
def test_names_of_files_and_labels_do_nothing(path: str, label: str) -> None:
    shape = source(Job(packages=(path,), labels=(label, "x")), hardware={"cpu": [label]})
    loaded = parsed(render(shape))
    clean = parsed(render(source(Job(packages=("p",), labels=("l", "x")), hardware={"cpu": ["l"]})))
    assert loaded["jobs"]["train-cpu"]["runs-on"] == [label, "x"]
    assert loaded["jobs"].keys() == clean["jobs"].keys()
    for mine, theirs in zip(loaded["jobs"].values(), clean["jobs"].values(), strict=True):
        assert [list(step) for step in mine["steps"]] == [list(step) for step in theirs["steps"]]
        assert mine["permissions"] == theirs["permissions"]
