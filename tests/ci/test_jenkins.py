"""Jenkins's files: what Groovy makes of them, what their shells do, and which credentials stand where."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ci.test_github import BACK, GPU, SHAPES, Job, application
from ci.test_github import source as github_source
from cijobs.ci_kit import Ci
from conftest import git, gitml, write
from gitml.ci.base import CiSource
from gitml.ci.jenkins import render
from gitml.ci.jenkins.layout import file_name
from gitml.errors import UsageError
from gitml.spec.policy import Policy

STUB = Path(__file__).with_name("jenkins_stub.groovy")
JAVA = shutil.which("java")
NASTY = "it's $HOME `touch pwned`; $(touch pwned) \\u0027 ${env.X} /* ''' #"
SECRETS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
KEYS = {
    "GITML_ERASURES_KEY",
    "SUBJECT_KEYS",
    "GITML_SIGNING_KEY",
    "GITML_LOOKS_KEY",
    "GITML_TOKEN",
    "GITML_READ_TOKEN",
    "GITML_OUTBOX",
    "TRAFFIC_KEY",
}


def governed(folder: str = "") -> CiSource:
    """An application that wants every pipeline there is."""
    bot = {
        "owner": "rita",
        "public": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm3VwkXOiUqsY5Uq3mX0pWv5Qy1d8d5zqL2e0l0Jc5X",
        "purposes": ["look", "canary", "deployed", "gate"],
        "from": "2026-01-01",
    }
    policy = Policy.model_validate(
        {
            "roles": {"risk": {"people": ["rita"]}},
            "environments": {"production": {"approvals": {"risk": 1}, "canary": {"replay": "14d"}}},
            "trust": {"branch_runs": "reproduce"},
            "keys": {"bot": bot},
            "views": {"risk": {}},
        }
    )
    spec = application(
        ci={"secrets": SECRETS},
        traffic={"at": "s3://b/t", "secrets": ["TRAFFIC_KEY"], "export": {"m": {"in": "production", "label": "it's"}}},
        subjects={"data": {"data/people": ["id"]}},
        sites={"publish": {"risk": 'cp -r "$SITE" /srv'}},
        retrain={"m": {"causes": ["drift"]}},
    )
    return CiSource(spec, (Job(), GPU, BACK), folder, "gitml==1.2", False, policy)


def scripts(text: str) -> list[str]:
    """The shell scripts of a Jenkinsfile, without what Groovy takes off."""
    return [
        re.sub(r"\\(.)", lambda m: "\t" if m[1] == "t" else m[1], found, flags=re.S)
        for found in re.findall(r"sh '''\\\n(.*?)'''", text, re.S)
    ]


def file_of(files: Mapping[str, str], kind: str) -> str:
    return next(text for path, text in files.items() if path.endswith(f"-{kind}.Jenkinsfile"))


def test_every_pipeline_is_there_and_each_has_a_job_of_its_own() -> None:
    files = render(governed("apps/app"))
    kinds = [
        "collect",
        "export",
        "gate",
        "main",
        "monitor",
        "replay",
        "report",
        "reproduce",
        "retrain",
        "site",
        "subjects",
        "train",
    ]
    assert [path for path in sorted(files) if path.endswith("file")] == [
        f".jenkins/{file_name('app', 'apps/app', kind)}" for kind in kinds
    ]
    jobs = files[".jenkins/gitml_app_jobs.groovy"]
    assert all(f"scriptPath('.jenkins/gitml-app-{kind}.Jenkinsfile')" in jobs for kind in kinds)
    assert jobs.count("branch('refs/heads/main')") == len(kinds) - 1  # all but the one that builds branches
    assert all(text.startswith("// Rendered from apps/app/gitml.yaml:") for text in files.values())


def test_what_branches_run_has_the_credentials_of_branches_alone() -> None:
    files = render(governed())
    train = file_of(files, "train")
    assert set(re.findall(r"credentials\('(\w+)'\)", train)) == set(SECRETS)
    assert not [key for key in KEYS if key in train]
    # The label of the agents with keys stands in no file that a branch may change with effect.
    assert "gitml-keys" not in train
    assert "build job: '/gitml/main/report', wait: false" in train


@pytest.mark.parametrize(
    "kind",
    ["gate", "main", "monitor", "replay", "reproduce", "retrain", "collect", "export", "site", "subjects", "report"],
)
def test_a_stage_with_a_key_runs_no_model_and_no_stage(kind: str) -> None:
    for stage in re.split(r"(?=^ +stage\()", file_of(render(governed()), kind), flags=re.M)[1:]:
        keyed = {"GITML_SIGNING_KEY", "GITML_LOOKS_KEY", "GITML_ERASURES_KEY", "GITML_TOKEN"} & set(
            re.findall(r"(\w+) = credentials", stage)
        )
        if keyed:
            assert not re.search(r"gitml ci (run|verify|replay evaluate|monitor evaluate)", stage)
            assert "requirements.lock" not in stage
        if re.search(r"gitml ci (run|verify|replay evaluate)", stage):
            assert not keyed
            assert "gitml-keys" not in stage


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"hardware": {"cpu": ['say "x"']}}, "no expression of Jenkins can name the label"),
        ({"ci": {"secrets": ["WORKSPACE_TMP"]}}, "would take the place of a variable of Jenkins"),
        ({"ci": {"secrets": ["LD_PRELOAD"]}}, "would take the place of a variable of Jenkins"),
    ],
)
def test_what_jenkins_cannot_say_is_refused(keys: dict[str, Any], said: str) -> None:
    labels = tuple(keys.get("hardware", {"cpu": ["x"]})["cpu"])
    with pytest.raises(UsageError, match=said):
        render(github_source(Job(labels=labels), **keys))


def test_a_command_of_somebody_else_stays_as_it_is(tmp_path: Path, agent: dict[str, str]) -> None:
    shape = governed()
    told = "cat > out << 'END'\n  it's $HOME\n\tEND\nEND\ncp out \"$SITE.txt\""
    sites = shape.application.sites.model_copy(update={"publish": {"risk": told}})
    text = file_of(render(replace(shape, application=shape.application.model_copy(update={"sites": sites}))), "site")
    place = Path(agent["WORKSPACE_TMP"]) / "gitml" / "gitml-site-risk"
    place.mkdir()
    done = sh(scripts(text)[-1], tmp_path, agent)
    assert done.returncode == 0, done.stderr
    assert (place / "site-risk.txt").read_text() == "  it's $HOME\n\tEND\n"


def test_needs_of_jobs_are_kept_and_what_needs_nothing_runs_side_by_side() -> None:
    two = github_source(Job("train-a"), Job("train-b"), Job("train-c", needs=("train-a", "train-b")))
    text = file_of(render(two), "train")
    assert re.search(r"parallel \{\s+stage\('train-a'\)", text)
    last = text[text.index("stage('train-c')") :]
    assert "unstash 'fragment-train-a'" in last
    assert "unstash 'fragment-train-b'" in last


@pytest.fixture
def agent(tmp_path: Path) -> dict[str, str]:
    """An agent of Jenkins: its workspace, the folder beside it, and a Python whose environments come ready made."""
    bin_ = tmp_path / "bin"
    here = Path(sys.executable).parent
    python = f"""\
#!/bin/sh
mkdir -p "$3/bin"
ln -s '{here / "python"}' "$3/bin/python"
ln -s '{here / "gitml"}' "$3/bin/gitml"
printf '#!/bin/sh\\nprintf "%%s\\\\n" "$@" >> "$PIP_LOG"\\n' > "$3/bin/pip"
chmod +x "$3/bin/pip"
"""
    write(bin_, {"python3.12": python})
    (bin_ / "python3.12").chmod(0o755)
    tmp = tmp_path / "workspace@tmp"
    (tmp / "gitml").mkdir(parents=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT", "CI"))}
    return {
        **env,
        "PATH": f"{bin_}:{env['PATH']}",
        "PIP_LOG": str(tmp_path / "pip.log"),
        "WORKSPACE_TMP": str(tmp),
        "BUILD_NUMBER": "7",
        "BUILD_URL": "https://ci.example.org/job/gitml/7/",
        "BRANCH_NAME": "change",
        "CI": "true",
        "GITML_CI_SYSTEM": "jenkins",
        "GITML_DEFAULT_BRANCH": "main",
    }


def sh(script: str, folder: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-xe"], input=script, cwd=folder, env=dict(env), capture_output=True, text=True, check=False, timeout=250
    )


def test_names_of_users_do_nothing_in_a_shell(tmp_path: Path, agent: dict[str, str]) -> None:
    """Folder and lock file have the worst name; gitml is replaced by a program that says where it was called."""
    nasty = NASTY.replace("/", "")
    job = Job(packages=(f"{nasty}.lock",))
    (script,) = scripts(file_of(render(github_source(job, folder=nasty)), "train"))
    work = tmp_path / "work"
    write(work / nasty, {"gitml.yaml": ""})
    git(work, "init", "-q")
    git(work, "remote", "add", "origin", "https://github.com/ada/toy.git")
    git(work, "add", ".")
    git(work, "commit", "-qm", "start")
    seen = tmp_path / "seen"
    shim = tmp_path / "bin" / "python3.12"
    shim.write_text(shim.read_text().replace('gitml\' "$3/bin/gitml"', 'true\' "$3/bin/gitml"'))
    program = f"{script}\npwd > '{seen}'; env | grep '^GITML_' | sort >> '{seen}'"
    done = sh(program.replace("gitml ci run", "true gitml ci run"), work, agent)
    assert done.returncode == 0, done.stderr
    told = seen.read_text().splitlines()
    assert told[0] == str(work / nasty)
    assert "GITML_REMOTE=https://github.com/ada/toy.git" in told
    assert f"GITML_COMMIT={git(work, 'rev-parse', 'HEAD')}" in told
    assert f"{nasty}.lock" in Path(agent["PIP_LOG"]).read_text().splitlines()
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.jenkins
@pytest.mark.nightly
def test_a_branch_is_trained_by_one_job_and_committed_to_by_another(
    toy: Path, tmp_path: Path, agent: dict[str, str]
) -> None:
    """The shells of the rendered files, one after the other, as Jenkins would call them."""
    bare, remote = tmp_path / "srv" / "ada" / "toy", tmp_path / "remote"
    spec = toy / "gitml.yaml"
    spec.write_text(spec.read_text() + "ci: {system: jenkins}\ntrain: {commit: push}\n")
    write(
        toy, {".dvc/config": f"[core]\n    analytics = false\n    remote = r\n['remote \"r\"']\n    url = {remote}\n"}
    )
    assert gitml(toy, "ci", "render").code == 0
    files = {str(p.relative_to(toy)): p.read_text() for p in (toy / ".jenkins").iterdir()}
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(bare))
    ci = Ci(tmp_path, toy, remote)
    ci.push("main")
    write(toy, {"params.yaml": "rows: 30\nrate: 0.5\nnoise: false\n"})
    sha = ci.push("feature/x")
    env = {
        **agent,
        "GITHUB_SERVER_URL": str(tmp_path / "srv"),
        "GITHUB_REPOSITORY": "ada/toy",
        "BRANCH_NAME": "feature/x",
    }
    (train,) = scripts(file_of(files, "train"))
    done = sh(train, ci.clone(sha), env)
    assert done.returncode == 0, done.stderr
    handed = Path(env["WORKSPACE_TMP"]) / "gitml" / "fragment-train-cpu.json"
    assert json.loads(handed.read_text())["run"] == env["BUILD_URL"]
    (report,) = scripts(file_of(files, "report"))
    before = {k: v for k, v in env.items() if k != "BRANCH_NAME"}
    told = {**before, "BUILD_NUMBER": "3", "BUILD_URL": "https://ci.example.org/job/report/3/", "COMMIT": sha}
    told |= {"GITML_PROJECT": "feature%2Fx", "GITML_RUN": "7", "GITML_RUN_URL": env["BUILD_URL"]}
    sh(report.replace("gitml ci publish", ""), ci.clone(ci.tip("main")), told)
    assert git(bare, "log", "-1", "--format=%(trailers:key=Gitml-Trained,valueonly)", "feature/x") == sha
    assert len(ci.records("feature/x")) == 1
    # A branch speaks for itself alone: the commit of another one is refused before anything is read.
    ci.push("other")
    strange = sh(report, ci.clone(ci.tip("main")), {**told, "COMMIT": ci.tip("other"), "GITML_PROJECT": "main"})
    assert strange.returncode != 0
    assert "gitml ci commit" not in strange.stderr


def read_by_groovy(files: Mapping[str, str], folder: Path) -> dict[str, Any]:
    write(folder, dict(files))
    home = Path(JAVA or "").resolve().parents[1]
    done = subprocess.run(
        ["groovy", str(STUB), "gitml/branches/x%2Fy", *files],
        cwd=folder,
        env={**os.environ, "JAVA_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr[:2000]
    return dict(json.loads(done.stdout))


def calls(node: Any, name: str) -> Iterator[Any]:
    for entry in node if isinstance(node, list) else []:
        if entry.get("call") == name:
            yield entry
        yield from calls(entry.get("block"), name)


@pytest.mark.jenkins
@pytest.mark.nightly
@pytest.mark.skipif(not shutil.which("groovy") or not JAVA, reason="apt-get install groovy")
def test_groovy_reads_every_file_as_it_was_meant(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    nasty = github_source(Job(labels=("big gpu", "it's")), folder=NASTY, hardware={"cpu": ["big gpu", "it's"]})
    for number, shape in enumerate([*SHAPES.values(), governed(), governed("apps/app"), nasty]):
        files |= {path.replace("/gitml", f"/{number}-gitml"): text for path, text in render(shape).items()}
    found = read_by_groovy(files, tmp_path)
    for path, text in files.items():
        read = [step["_"] for step in calls(found[path], "sh") if "_" in step]
        assert [s.rstrip() for s in read] == [s.rstrip() for s in scripts(text)], path
    (labels,) = {
        step["_"] for path in found if f"{NASTY.split('/')[0]}" in files[path] for step in calls(found[path], "label")
    } - {"gitml-keys"}
    assert labels == '"big gpu" && "it\'s"'


@pytest.mark.jenkins
@pytest.mark.nightly
@pytest.mark.skipif(not shutil.which("groovy") or not JAVA, reason="apt-get install groovy")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("deleteDir()", "deleteDirs()"),
        ("checkout scm", "checkout smc"),
        ("unit: 'MINUTES'", "units: 'MINUTES'"),
        ("time: 90", "time: '90'"),
        ("agent none", ""),
        ("sh '''", 'sh """'),
    ],
)
def test_the_stub_is_strict(tmp_path: Path, old: str, new: str) -> None:
    text = file_of(render(SHAPES["one hardware"]), "train")
    assert old in text
    with pytest.raises(AssertionError):
        read_by_groovy({"Jenkinsfile": text.replace(old, new)}, tmp_path)
