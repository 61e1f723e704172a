"""``gitml init``: working applications from nothing, and nothing lost in repositories that exist."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from conftest import Ran, commit, dvc_ran, git, gitml, write
from gitml.inference.serve import ServeOptions, serve
from gitml.project.templates import EXAMPLES
from gitml.serving.server import Listen

ROOT = Path(__file__).resolve().parents[2]


def files(folder: Path) -> dict[str, bytes]:
    found = (p for p in folder.rglob("*") if p.is_file() and ".git" not in p.relative_to(folder).parts)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found if not p.match(".dvc/tmp/**")}


def statuses(done: Ran) -> dict[str, str]:
    assert done.code == 0, done.err
    return {f["path"]: f["status"] for f in json.loads(done.out)["files"]}


@pytest.mark.nightly
@pytest.mark.slow
def test_the_starter_trains_as_it_stands(tmp_path: Path) -> None:
    done = gitml(tmp_path, "init", "my app")
    assert done.code == 0, done.err
    app = tmp_path / "my app"
    assert "cd 'my app'" in done.out
    assert git(app, "symbolic-ref", "HEAD") == "refs/heads/main"
    checked = gitml(app, "check")
    assert checked.code == 0, checked.out
    commit(app, "Start")
    trained = gitml(app, "train", "--json", timeout=300)
    assert trained.code == 0, trained.err
    (result,) = json.loads(trained.out)
    record = json.loads((app / result["record"]).read_text())
    assert record["metrics"]["auc"]["value"] > 0.95
    assert record["metrics"]["auc"]["low"] < record["metrics"]["auc"]["high"]
    assert "nothing changed" in gitml(app, "train").out
    columns = {field["name"]: [1.0] for field in record["signature"]["inputs"]}
    with serve(app, "tumour", ServeOptions(Listen(port=0))) as trial:
        answer = httpx.post(f"{trial.running.url}/models/tumour/predict", json={"columns": columns}, trust_env=False)
    assert 0 <= answer.json()["outputs"]["benign"][0] <= 1


@pytest.mark.nightly
def test_the_scripts_of_the_starter_read_params_as_the_record_does(tmp_path: Path) -> None:
    assert gitml(tmp_path, "init", "app").code == 0
    app = tmp_path / "app"
    params = app / "params.yaml"
    text = params.read_text(encoding="utf-8")
    text = text.replace("test_share: 0.4", "test_share: 1e-1").replace("seed: 7", "seed: 010")
    params.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "pipelines/prepare.py"], cwd=app, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "test: 57 rows" in done.stdout


def test_the_example_is_the_application_at_the_root_of_the_sources(tmp_path: Path) -> None:
    assert gitml(tmp_path, "init", "--example", "flight-delay").code == 0
    assert (tmp_path / "gitml.yaml").read_bytes() == (ROOT / "gitml.yaml").read_bytes()
    assert (tmp_path / "pipelines/train.py").read_bytes() == (ROOT / "pipelines/train.py").read_bytes()
    assert not (tmp_path / "models").exists()
    assert not (tmp_path / "dvc.lock").exists()
    checked = gitml(tmp_path, "check")
    assert checked.code == 0, checked.out


def test_the_ensemble_shares_the_files_of_the_application_at_the_root(tmp_path: Path) -> None:
    done = gitml(tmp_path, "init", "--json", "--example", "flight-ensemble")
    assert done.code == 0, done.err
    assert json.loads(done.out)["next"][-3:] == [
        "gitml train delay linear",
        "python pipelines/pin.py delay linear",
        "gitml train blend",
    ]
    own = ROOT / "examples/flight-ensemble"
    for path in sorted((tmp_path / "pipelines").iterdir()):
        at_root = ROOT / "pipelines" / path.name
        assert at_root.exists() != (own / "pipelines" / path.name).exists(), path.name
        source = at_root if at_root.exists() else own / "pipelines" / path.name
        assert path.read_bytes() == source.read_bytes()
    checked = gitml(tmp_path, "check")
    assert checked.code == 0, checked.out


@pytest.mark.parametrize("example", ["disease-progression", "wine-cultivars"])
def test_an_example_is_whole_and_shares_the_packages_of_the_starter(tmp_path: Path, example: str) -> None:
    done = gitml(tmp_path, "init", "--example", example)
    assert done.code == 0, done.err
    lock = "pipelines/requirements.lock"
    assert (tmp_path / lock).read_bytes() == (ROOT / "examples/starter" / lock).read_bytes()
    checked = gitml(tmp_path, "check")
    assert checked.code == 0, checked.out


@pytest.mark.nightly
@pytest.mark.slow
def test_the_regression_trains_as_it_stands_and_a_worse_one_is_told_in_both_directions(tmp_path: Path) -> None:
    assert gitml(tmp_path, "init", "--example", "disease-progression").code == 0
    commit(tmp_path, "Start")
    trained = gitml(tmp_path, "train", "--json", timeout=300)
    assert trained.code == 0, trained.err
    (result,) = json.loads(trained.out)
    record = json.loads((tmp_path / result["record"]).read_text())
    assert 30 < record["metrics"]["mae"]["low"] < record["metrics"]["mae"]["value"] < 50
    assert record["metrics"]["r2"]["value"] > 0.4
    assert gitml(tmp_path, "check").code == 0
    commit(tmp_path, "Train")
    params = tmp_path / "params.yaml"
    params.write_text(params.read_text().replace("regularization: 1.0", "regularization: 500.0"))
    (again,) = json.loads(gitml(tmp_path, "train", "--json", timeout=300).out)
    told = {one["metric"]: (one["difference"] > 0, one["reading"]) for one in again["differences"]}
    assert told == {"mae": (True, "worse"), "rmse": (True, "worse"), "r2": (False, "worse")}


@pytest.mark.nightly
@pytest.mark.slow
def test_three_classes_train_as_they_stand_and_are_answered_with_word_and_chances(tmp_path: Path) -> None:
    assert gitml(tmp_path, "init", "--example", "wine-cultivars").code == 0
    commit(tmp_path, "Start")
    trained = gitml(tmp_path, "train", "--json", timeout=300)
    assert trained.code == 0, trained.err
    (result,) = json.loads(trained.out)
    assert result["unusable"] == ""
    record = json.loads((tmp_path / result["record"]).read_text())
    f1 = record["metrics"]["macro_f1"]
    assert 0.8 < f1["low"] < f1["value"] < f1["high"] <= 1
    assert gitml(tmp_path, "check").code == 0
    cells = json.loads((tmp_path / "artifacts/cultivar/charts/confusion.vl.json").read_text())["datasets"]["cells"]
    assert len(cells) == 9
    assert sum(cell["rows"] for cell in cells) == 72
    right = sum(cell["rows"] for cell in cells if cell["observed"] == cell["predicted"])
    assert right / 72 == pytest.approx(record["metrics"]["accuracy"]["value"])
    asked = tmp_path / "asked.csv"
    asked.write_text("alcohol,malic_acid,ash,alcalinity_of_ash,total_phenols,hue\n14.2,1.7,2.4,15.6,2.8,1.04\n")
    words = ["--input", "asked.csv", "--output", "scores", "--format", "csv"]
    scored = gitml(tmp_path, "score", f"cultivar@{result['digest'][:8]}", *words, timeout=300)
    assert scored.code == 0, scored.err
    (answers,) = (tmp_path / "scores").glob("*.csv")
    (told,) = csv.DictReader(answers.read_text().splitlines())
    assert told["cultivar"] == "barolo"
    chances = {name: float(value) for name, value in told.items() if name.startswith("chance_")}
    assert max(chances, key=chances.__getitem__) == "chance_barolo"
    assert sum(chances.values()) == pytest.approx(1)


def test_again_changes_nothing_and_nothing_is_staged_or_committed(tmp_path: Path) -> None:
    assert set(statuses(gitml(tmp_path, "init", "--json"))) == set(files(tmp_path))
    before = files(tmp_path)
    again = gitml(tmp_path, "init", "--json")
    assert set(statuses(again).values()) == {"kept"}
    assert json.loads(again.out)["new_git"] is False
    assert files(tmp_path) == before
    assert git(tmp_path, "diff", "--cached", "--name-only") == ""
    assert git(tmp_path, "rev-list", "--all") == ""


def test_files_that_are_there_are_left_alone_and_their_difference_is_shown(tmp_path: Path) -> None:
    mine = {"params.yaml": "mine: 1\n", "pipelines/train.py": "print('mine')\n", ".gitignore": "*.tmp"}
    write(tmp_path, mine)
    git(tmp_path, "init", "-q", "-b", "trunk")
    done = gitml(tmp_path, "init", "--json")
    told = statuses(done)
    assert (told["params.yaml"], told["pipelines/train.py"]) == ("would change", "would change")
    assert told["pipelines/evaluate.py"] == "created"
    assert told[".gitignore"] == "extended"
    assert (tmp_path / "params.yaml").read_text() == "mine: 1\n"
    assert (tmp_path / "pipelines/train.py").read_text() == "print('mine')\n"
    assert (tmp_path / ".gitignore").read_text() == "*.tmp\n__pycache__/\n.venv/\n.gitml-ci/\n"
    assert git(tmp_path, "symbolic-ref", "HEAD") == "refs/heads/trunk"
    shown = gitml(tmp_path, "init", "--diff")
    assert "-mine: 1" in shown.out
    assert "+train:" in shown.out


def test_in_a_sub_folder_of_a_git_repository_dvc_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    assert gitml(tmp_path, "init", "apps/tumour").code == 0
    app = tmp_path / "apps/tumour"
    assert not (app / ".git").exists()
    assert not (tmp_path / ".dvc").exists()
    assert dvc_ran(app, "root").out.strip() == "."
    status = dvc_ran(app, "status")
    assert status.code == 0, status.err
    assert "evaluate" in status.out


def test_a_dvc_repository_keeps_its_configuration(toy: Path) -> None:
    config = (toy / ".dvc/config").read_bytes()
    before = files(toy)
    done = gitml(toy, "init", "--json")
    assert ".dvc/config" not in statuses(done)
    assert (toy / ".dvc/config").read_bytes() == config
    after = files(toy)
    extended = {".gitignore", ".dvcignore"}
    assert {path: after[path] for path in before if path not in extended} == {
        path: raw for path, raw in before.items() if path not in extended
    }
    assert after[".dvcignore"].startswith(before[".dvcignore"])
    assert b"__pycache__/\n" in after[".dvcignore"]


def test_a_pipeline_that_exists_gets_its_application_and_trains(toy: Path) -> None:
    (toy / "gitml.yaml").unlink()
    told = statuses(gitml(toy, "init", "--json"))
    assert {path for path, status in told.items() if status == "created"} == {
        "gitml.yaml",
        "policy.yaml",
        "schemas/deployment.schema.json",
        "schemas/ensemble.schema.json",
        "schemas/gitml.schema.json",
        "schemas/policy.schema.json",
        "schemas/replicates.schema.json",
        "schemas/signature.schema.json",
        "schemas/reasons.schema.json",
        "schemas/slices.schema.json",
    }
    checked = gitml(toy, "check")
    assert checked.code == 0, checked.out
    trained = gitml(toy, "train", "--json")
    assert trained.code == 0, trained.err
    assert json.loads(trained.out)[0]["model"] == "m"
    pipeline = (toy / "dvc.yaml").read_text()
    (toy / "gitml.yaml").unlink()
    (toy / "dvc.yaml").write_text(pipeline.replace("model.onnx", "model.txt"))
    refused = gitml(toy, "init")
    assert refused.code == 2
    assert "no stage of dvc.yaml writes a model" in refused.err


def test_what_is_in_the_way_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    outside, here = tmp_path / "outside", tmp_path / "here"
    outside.mkdir()
    here.mkdir()
    (here / "pipelines").symlink_to(outside)
    done = gitml(here, "init")
    assert done.code == 4
    assert "symlink" in done.err
    (here / "pipelines").unlink()
    (here / "pipelines").write_text("a file")
    done = gitml(here, "init")
    assert done.code == 2
    assert "pipelines is a file" in done.err
    (here / "pipelines").unlink()
    (here / "dvc.yaml").mkdir()
    done = gitml(here, "init")
    assert done.code == 2
    assert "dvc.yaml is a folder" in done.err
    assert os.listdir(here) == ["dvc.yaml"]
    assert not list(outside.iterdir())
    (tmp_path / "file").write_text("")
    assert "is a file" in gitml(tmp_path, "init", "file/deeper").err
    assert "no example" in gitml(tmp_path, "init", "--example", "flights").err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_leaves_nothing_half_written(small_disk: Path) -> None:
    (small_disk / "mine").write_text("mine")
    done = gitml(small_disk, "init")
    assert done.code == 4
    assert "nothing was written" in done.err
    assert os.listdir(small_disk) == ["mine"]


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "read only"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_read_only_place_is_named(read_only_disk: Path) -> None:
    done = gitml(read_only_disk, "init")
    assert done.code == 4
    assert "Read-only" in done.err


@pytest.mark.slow
@pytest.mark.nightly
def test_the_wheel_carries_the_templates(tmp_path: Path) -> None:
    subprocess.run(["uv", "build", "-q", "--wheel", "-o", tmp_path / "dist"], cwd=ROOT, check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    python = tmp_path / "venv/bin/python"
    subprocess.run(["uv", "venv", "-q", "-p", sys.executable, tmp_path / "venv"], check=True)
    constraints = ROOT / "constraints/ci.txt"
    subprocess.run(["uv", "pip", "install", "-q", "-p", python, "-c", constraints, wheel], check=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTHON"))}

    def installed(folder: Path, *words: str) -> str:
        done = subprocess.run(
            [tmp_path / "venv/bin/gitml", *words], cwd=folder, capture_output=True, text=True, env=env
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for number, example in enumerate(([], *(["--example", name] for name in EXAMPLES))):
        folder, reference = tmp_path / f"w{number}", tmp_path / f"c{number}"
        installed(tmp_path, "init", folder.name, *example)
        assert "no problem" in installed(folder, "check")
        assert gitml(tmp_path, "init", reference.name, *example).code == 0
        assert files(folder) == files(reference)
