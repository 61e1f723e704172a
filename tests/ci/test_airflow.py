"""Airflow's DAGs: what the file says, what its shells do, and what Airflow itself makes of it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ci.linters import lint
from ci.test_github import Job, application
from ci.test_github import source as plain
from ci.test_jenkins import NASTY, governed
from cijobs.publishing import JOB as PERMISSIONS
from conftest import commit, git, gitml, write
from forges.fixtures import kit
from gitml.ci.airflow import render
from gitml.ci.base import CiSource
from gitml.errors import UsageError
from gitml.spec.application import Application
from gitml_sandbox.forge import tokens
from sandbox.forge_kit import Kit

__all__ = ["kit"]

ROOT = Path(__file__).parents[2]
AIRFLOW = Path(os.environ.get("GITML_AIRFLOW", ROOT / ".venv" / "airflow"))
SCORING = {"m": {"in": "production", "input": "s3://b/in/{day}", "output": "s3://b/out/{day}", "log": True}}


def everything(folder: str = "") -> CiSource:
    shape = governed(folder)
    needs = {
        "demand": {"what": "answers", "repository": "https://github.com/acme/demand"},
        "fares": {"what": "features", "application": "apps/fares"},
    }
    spec = shape.application.model_dump(by_alias=True, exclude_unset=True)
    spec["models"]["m"]["needs"], spec["scoring"] = needs, SCORING
    return replace(shape, application=Application.model_validate(spec))


def text_of(source: CiSource) -> str:
    (text,) = render(source).values()
    return text


def tasks(text: str) -> dict[str, dict[str, Any]]:
    """DAG and task → its queue, script and environment, as the file's own literals say."""
    found = {}
    for block in (node for node in ast.parse(text).body if isinstance(node, ast.With)):
        call = block.items[0].context_expr
        assert isinstance(call, ast.Call)
        dag = ast.literal_eval(call.args[0])
        for line in block.body:
            if isinstance(line, ast.Assign) and isinstance(line.value, ast.Call):
                name, script, queue, _minutes, env = line.value.args
                assert isinstance(script, ast.Name)
                told = {"queue": ast.literal_eval(queue), "script": script.id, "env": ast.literal_eval(env)}
                found[f"{dag}.{ast.literal_eval(name)}"] = told
    return found


def scripts(text: str) -> dict[str, str]:
    """The file's shells by name."""
    plainly = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    pairs = [(n.targets[0], n.value) for n in plainly if isinstance(n.value, ast.Constant)]
    return {t.id: str(v.value) for t, v in pairs if isinstance(t, ast.Name) and isinstance(v, ast.Constant)}


def test_the_linter_of_airflow_finds_nothing_that_went_or_goes(tmp_path: Path) -> None:
    """Names that Airflow 3 no longer has, besides what is wrong in any Python."""
    paths = [tmp_path / f"{number}.py" for number in range(2)]
    for path, shape in zip(paths, (everything(), everything("apps/app")), strict=True):
        path.write_text(text_of(shape))
    words = ("check", "--isolated", "--preview", "--no-cache", "--select", "AIR,F,E9,S6,PLE", "--output-format=concise")
    done = lint("ruff", *words, *map(str, paths))
    assert done.returncode == 0, done.stdout + done.stderr
    paths[0].write_text(
        paths[0].read_text() + "\nfrom airflow.operators.bash import BashOperator as Old\n\nOld(task_id='x')\n"
    )
    assert "airflow3" in lint("ruff", *words, str(paths[0])).stdout


def test_every_task_is_on_the_machines_that_it_may_be_on() -> None:
    found = tasks(text_of(everything()))
    assert {name: task["queue"] for name, task in found.items()} == {
        "app_train.pin": "gitml-keys",
        "app_train.train-cpu": "ubuntu-latest",
        "app_train.train-gpu": "self-hosted-gpu",
        "app_train.train-cpu-2": "ubuntu-latest",
        "app_train.commit": "gitml-keys",
        "app_looks.pin": "gitml-keys",
        "app_looks.evaluate": "gitml-traffic",
        "app_looks.sign": "gitml-keys",
        "app_looks.publish": "gitml-keys",
        "app_retrain.pin": "gitml-keys",
        "app_retrain.retrain": "gitml-keys",
        "app_score_m.pin": "gitml-traffic",
        "app_score_m.score": "gitml-traffic",
    }
    keyed = {task["script"] for task in found.values() if task["queue"] == "gitml-keys"}
    assert keyed == {"PIN", "PIN_TRAINING", "COMMIT", "SIGN", "PUBLISH", "RETRAIN"}
    # Nothing is named that Airflow's database could tell to every DAG.
    assert not [word for word in ("KEY", "TOKEN", "SECRET", "conn.", "var.") if word in text_of(everything())]


def test_applications_start_each_other_by_assets() -> None:
    text = text_of(everything("apps/app"))
    retrain = "'23 3 * * *', 'apps/app/looks', '//github.com/acme/demand/m', 'apps/fares/m'"
    assert f"schedule({retrain.replace('demand/m', 'demand/demand').replace('fares/m', 'fares/fares')})" in text
    assert "outlets=[asset('apps/app/m/scores')]" in text
    assert "schedule('17 * * * *', 'apps/app/retrain')" in text


@pytest.mark.parametrize("name", ["{{ conf }}", "{% raw %}", "a{#b"])
def test_what_airflow_would_fill_in_is_refused(name: str) -> None:
    for shape in (plain(folder=name), plain(Job(packages=(f"{name}.lock",))), plain(Job(labels=(name,)))):
        with pytest.raises(UsageError, match="Airflow would fill it in"):
            render(shape)


def test_without_stages_or_policy_there_is_no_dag_of_them() -> None:
    alone = CiSource(application(scoring=SCORING), (), "", "gitml==1.2", False)
    assert list(tasks(text_of(alone))) == ["app_score_m.pin", "app_score_m.score"]


class Worker:
    """A worker of Airflow: environment and hand-over folder, and a Python whose environments come ready made."""

    def __init__(self, folder: Path, remote: str, gitml_: str = "") -> None:
        here = Path(sys.executable).parent
        made = f"""\
#!/bin/sh
mkdir -p "$3/bin"
ln -s '{here / "python"}' "$3/bin/python"
ln -s '{gitml_ or here / "gitml"}' "$3/bin/gitml"
printf '#!/bin/sh\\nprintf "%%s\\\\n" "$@" >> "$PIP_LOG"\\n' > "$3/bin/pip"
chmod +x "$3/bin/pip"
"""
        write(folder / "bin", {"python3.12": made})
        (folder / "bin" / "python3.12").chmod(0o755)
        (folder / "handover").mkdir()
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("GIT", "CI"))}
        self.env = {
            **clean,
            "PATH": f"{folder / 'bin'}:{clean['PATH']}",
            "PIP_LOG": str(folder / "pip.log"),
            "GITML_HANDOVER": str(folder / "handover"),
            "GITML_REMOTE": remote,
            "GITML_DEFAULT_BRANCH": "main",
            "GITML_FOLDER": ".",
            "GITML_PYTHON": "3.12",
            "GITML_PACKAGE": "gitml==1.2",
            "GITML_RUN": "1700000000",
            "GITML_RUN_PAGE": "runs/r",
            "AIRFLOW_CTX_DAG_ID": "d",
            "AIRFLOW_CTX_DAG_RUN_ID": "r",
        }

    def run(self, *parts: str, **env: str) -> subprocess.CompletedProcess[str]:
        told = {**self.env, **env}
        words = ["bash", "-c", "".join(parts)]
        return subprocess.run(words, env=told, capture_output=True, text=True, check=False, timeout=250)


def last(done: subprocess.CompletedProcess[str]) -> str:
    """What Airflow would put into XCom."""
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n").rpartition("\n")[2]


def test_names_of_users_do_nothing_and_a_forged_hand_over_is_refused(tmp_path: Path) -> None:
    folder = NASTY.replace("/", "").replace("{", "(")
    app = tmp_path / "app"
    write(app / folder, {"gitml.yaml": ""})
    git(app, "init", "-q", "-b", "main")
    git(app, "add", ".")
    git(app, "commit", "-qm", "start")
    shell = scripts(text_of(plain(Job(packages=(f"{folder}.lock",)), folder=folder)))
    program = tmp_path / "gitml"
    program.write_text('#!/bin/sh\nprintf %s "${PWD##*/code/}" > "$GITML_CI/fragment-train-cpu.json"\n')
    program.chmod(0o755)
    worker = Worker(tmp_path, str(app), str(program))
    pinned = last(worker.run(shell["COMMON"], shell["PIN"]))
    assert pinned == f"{git(app, 'rev-parse', 'HEAD')} main"
    env = {"GITML_PINNED": pinned, "GITML_FOLDER": folder, "GITML_LOCKS": f"{folder}.lock\nb.lock", "GITML_TAKES": ""}
    given = [last(worker.run(shell["COMMON"], shell["RUN"], GITML_JOB="train-cpu", **env)) for _ in range(2)]
    (kept,) = {path for path in (tmp_path / "handover").rglob("*") if path.is_file() and path.name in given}
    assert kept.read_text() == folder
    assert Path(worker.env["PIP_LOG"]).read_text().splitlines()[:5] == ["install", "-q", "gitml==1.2", "install", "-q"]
    assert f"{folder}.lock" in Path(worker.env["PIP_LOG"]).read_text().splitlines()
    assert not list(tmp_path.rglob("pwned"))
    kept.write_text("forged")
    forged = worker.run(
        shell["COMMON"], shell["RUN"], GITML_JOB="x", **{**env, "GITML_TAKES": f"train-cpu {kept.name}"}
    )
    assert (forged.returncode, "is not what the task before handed over" in forged.stderr) == (1, True)
    for bad in ("", "main", "0" * 40 + " a b", "$(touch pwned) main"):
        assert "told no commit" in worker.run(shell["COMMON"], shell["RUN"], **{**env, "GITML_PINNED": bad}).stderr


def airflow(*words: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(AIRFLOW / "bin" / words[0]), *words[1:]]
    return subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False, timeout=280)


def test_what_could_not_be_read_is_signed_as_far_as_it_goes_and_ends_red(tmp_path: Path) -> None:
    app = tmp_path / "app"
    write(app, {"gitml.yaml": ""})
    git(app, "init", "-q", "-b", "main")
    commit(app, "start")
    program = tmp_path / "gitml"
    program.write_text(
        """#!/bin/sh
printf '%s\\n' "$@" >> "$SEEN"
case "$*" in
  "ci monitor evaluate") echo '{}' > "$GITML_CI/looks.json"; exit "$CODE" ;;
  "ci monitor sign") cat "$GITML_CI/looks.json" ;;
esac
"""
    )
    program.chmod(0o755)
    worker = Worker(tmp_path, str(app), str(program))
    shell = scripts(text_of(everything()))
    env = {"GITML_PINNED": f"{git(app, 'rev-parse', 'HEAD')} main", "SEEN": str(tmp_path / "seen")}

    def run(script: str, **more: str) -> subprocess.CompletedProcess[str]:
        return worker.run(shell["COMMON"], shell[script], **{**env, **more})

    assert run("EVALUATE", CODE="1").returncode == 1
    assert run("PUBLISH").returncode == 1, "nothing was looked at"
    for code in ("0", "3"):
        looks = last(run("EVALUATE", CODE=code))
        assert last(run("SIGN", GITML_LOOKS=looks)) == "{}"
        assert run("PUBLISH").returncode == int(code)
    assert run("SIGN", GITML_LOOKS="").returncode == 1, "the stand-in reads a file that is not there"
    (tmp_path / "seen").unlink()
    place = {"GITML_INPUT": "s3://b/$(touch pwned)/{day}", "GITML_OUTPUT": "s3://b/out/{day}/{day}", "GITML_LOG": "yes"}
    assert len(last(run("SCORE", GITML_REFERENCE="m@production", GITML_DAY="2026-01-31", **place))) == 64
    said = (tmp_path / "seen").read_text().splitlines()
    assert said[:4] == ["score", "m@production", "--input", "s3://b/$(touch pwned)/2026-01-31"]
    assert said[4:] == ["--output", "s3://b/out/2026-01-31/2026-01-31", "--log", "--json"]


@pytest.mark.airflow
@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.skipif(not (AIRFLOW / "bin" / "airflow").exists(), reason="make env-airflow")
def test_airflow_trains_what_the_bot_asked_for(toy: Path, tmp_path: Path, kit: Kit) -> None:
    """`airflow dags test` with a forge of its own: from the branch of a retraining to the bot's commit and the status;
    a second time it finds nothing to do."""
    repo, bot = kit.repo(), kit.user("gitml-bot[bot]")
    remote = kit.remote(repo, "ada")
    more = "ci: {system: airflow}\nscoring: {m: {in: production, input: i, output: 'o/{day}'}}\n"
    data = f"[core]\n    analytics = false\n    remote = r\n['remote \"r\"']\n    url = {tmp_path / 'remote'}\n"
    write(toy, {"gitml.yaml": (toy / "gitml.yaml").read_text() + more, ".dvc/config": data})
    assert gitml(toy, "ci", "render").code == 0
    commit(toy, "Airflow trains")
    sha = git(toy, "rev-parse", "HEAD")
    git(toy, "push", "-q", remote, "HEAD:refs/heads/main", "HEAD:refs/heads/gitml/retrain-toy")
    with kit.sandbox.store.write() as tx:
        token = tokens.mint(tx, user_id=bot.id, kind="job", repo_id=repo.id, permissions=PERMISSIONS)
    worker = Worker(tmp_path, remote)
    (file,) = (toy / "dags").iterdir()
    mine = file.read_text().replace('"retries": 2', '"retries": 0')  # five minutes each
    write(tmp_path / "dags", {file.name: mine, "gitml_app.py": text_of(everything("apps/app"))})
    env = {
        **{k: v for k, v in worker.env.items() if not k.startswith(("GITML_RUN", "AIRFLOW_CTX", "PYTHON"))},
        "PATH": f"{AIRFLOW / 'bin'}:{worker.env['PATH']}",
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "GITML_TOKEN": token,
    }
    assert airflow("airflow", "db", "migrate", env=env).returncode == 0
    # Reading the file takes no part of gitml: Airflow's environment has none.
    look = "from airflow.dag_processing.dagbag import DagBag; b = DagBag(); print(sorted(b.dag_ids), b.import_errors)"
    read = airflow("python", "-W", "ignore", "-c", look, env=env)
    ids = ["app_looks", "app_retrain", "app_score_m", "app_train", "toy_score_m", "toy_train"]
    assert f"{ids} {{}}" in read.stdout, read.stdout + read.stderr
    assert airflow("python", "-c", "import gitml", env=env).returncode != 0
    done = airflow("airflow", "dags", "test", "toy_train", env=env)
    git(toy, "fetch", "-q", remote, "refs/heads/gitml/retrain-toy")
    trained = git(toy, "log", "-1", "--format=%(trailers:key=Gitml-Trained,valueonly)", "FETCH_HEAD")
    assert trained == sha, (done.stdout + done.stderr)[-6000:]
    headers = {"Authorization": f"Bearer {kit.token['ada']}"}
    statuses = httpx.get(f"{kit.url}/api/v3/repos/{repo.full_name}/commits/{sha}/statuses", headers=headers).json()
    assert [(s["context"], s["state"]) for s in statuses][:1] == [("gitml/train", "success")]
    again = airflow("airflow", "dags", "test", "toy_train", env=env)
    assert "nothing is to be trained" in again.stdout + again.stderr
