"""``gitml ci run`` and ``gitml ci commit`` in fresh clones, killed, raced, lied to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cijobs.ci_kit import JOB, Ci, killing_git, new_ci
from conftest import TOY, dvc, git, gitml
from gitml.derivation import training
from gitml.derivation.handover import Fragment
from gitml.git.commands import Git
from gitml.git.merges import changes
from gitml.reports.charts import size
from gitml.reports.exchange import parse_report
from gitml.reports.markdown import render

pytestmark = pytest.mark.slow


@pytest.fixture
def ci(trained: Path, tmp_path: Path) -> Ci:
    return new_ci(trained, tmp_path)


Set = Callable[[Path, str, str], None]


def test_only_what_changed_runs_and_only_what_it_reads_is_fetched(ci: Ci, set_params: Set) -> None:
    set_params(ci.app, "rate: 0.5", "rate: 0.7")
    sha = ci.push("faster")
    ran = ci.run(sha, "faster")
    assert ran.code == 0, ran.err
    assert ci.how() == {"ingest": "restored", "train": "ran", "evaluate": "ran"}
    done = ci.commit(sha, "faster")
    assert done.code == 0, done.err
    head = ci.tip("faster")
    assert git(ci.bare, "rev-parse", f"{head}^") == sha
    assert len(ci.records("faster")) == len(ci.records("main")) + 1
    assert ci.report()["committed"] == head
    (model,) = ci.report()["models"]
    assert model["outcome"] == "new version"
    assert model["params"] == [{"name": "rate", "old": "0.5", "new": "0.7"}]
    (rows,) = [c["rows"] for c in model["comparisons"] if c["role"] == "base"]
    assert rows[0]["metric"] == "accuracy"
    assert rows[0]["paired"]


LABELS = """
import pyarrow.parquet
late = [int(i % 10 < rows // 10) for i in range(rows)]
columns = {
    "late": late,
    "wind": [float(i % 7 + rows) for i in range(rows)],
    "pilot": [f"pilot{i % 2}@air.example" for i in range(rows)],
    "salary": late,
}
pyarrow.parquet.write_table(pyarrow.table(columns), "labels.parquet")
"""


@pytest.mark.nightly
def test_the_report_says_how_labels_and_features_shifted(trained: Path, tmp_path: Path, set_params: Set) -> None:
    (trained / "ingest.py").write_text(TOY["ingest.py"] + LABELS)
    (trained / "dvc.yaml").write_text(TOY["dvc.yaml"].replace("outs: [data]", "outs: [data, labels.parquet]"))
    (trained / "gitml.yaml").write_text(TOY["gitml.yaml"] + "private: [salary]\n")
    assert gitml(trained, "train").code == 0
    ci = new_ci(trained, tmp_path)
    set_params(ci.app, "rows: 20", "rows: 30")
    ci.both(ci.push("more"), "more")
    (model,) = ci.report()["models"]
    (table,) = [t for t in model["data"] if t["path"] == "labels.parquet"]
    assert (table["old_rows"], table["new_rows"]) == (20, 30)
    assert table["labels"] == [{"name": "late", "old": 0.2, "new": 0.3}]
    (wind,) = table["shifted"]
    assert (wind["name"], wind["distance"]) == ("wind", 1.0)
    assert (table["steady"], table["unknown"]) == (1, 2)
    shown = render(parse_report(json.dumps(ci.report()).encode(), "report"))
    assert "label `late` of `labels.parquet`" in shown
    assert "| `wind` | 1.00 | mean 22.9 | mean 32.8 |" in shown
    (chart,) = [c for c in model["charts"] if c["name"] == "feature shift"]
    drawn = next(ci.folder.rglob(chart["image"]))
    assert min(size(drawn.read_bytes())) > 200
    assert json.loads((drawn.parent / "shift.m.vl.json").read_bytes())["concat"]
    (record,) = set(ci.records("more")) - set(ci.records("main"))
    told = git(ci.bare, "show", f"more:{record}")
    assert '"wind": {"kind": "number"' in told
    assert "air.example" not in told
    assert '"salary": {"kind": "untold", "why": "private"}' in told


@pytest.mark.nightly
def test_what_the_bot_committed_is_what_a_laptop_calls_up_to_date(ci: Ci, set_params: Set, tmp_path: Path) -> None:
    set_params(ci.app, "rate: 0.5", "rate: 0.7")
    ci.both(ci.push("faster"), "faster")
    laptop = tmp_path / "laptop"
    git(tmp_path, "clone", "-q", "-b", "faster", str(ci.bare), str(laptop))
    assert not git(laptop, "status", "--porcelain")
    trained = gitml(laptop, "train", "--json")
    assert json.loads(trained.out)[0]["outcome"] == "nothing changed"
    assert {s["how"] for s in json.loads(trained.out)[0]["stages"]} == {"not fetched", "restored"}


def test_an_unchanged_push_fetches_no_training_data_and_commits_nothing(ci: Ci) -> None:
    (ci.app / "notes.txt").write_text("words\n")
    sha = ci.push("words")
    assert ci.run(sha, "words").code == 0
    assert set(ci.how().values()) == {"up to date"}
    assert not (ci.folder / "job" / "data").exists()
    done = ci.commit(sha, "words")
    assert done.out.startswith("nothing to commit")
    assert ci.tip("words") == sha
    assert ci.report()["models"][0]["outcome"] == "nothing changed"


def test_the_bots_own_commit_has_nothing_to_train(ci: Ci, set_params: Set) -> None:
    set_params(ci.app, "rate: 0.5", "rate: 0.7")
    ci.both(ci.push("faster"), "faster")
    head = ci.tip("faster")
    done = ci.both(head, "faster")
    assert set(ci.how().values()) == {"up to date"}
    assert done.out.startswith("nothing to commit")
    assert ci.tip("faster") == head
    (rows,) = [c["rows"] for c in ci.report()["models"][0]["comparisons"] if c["role"] == "base"]
    assert rows, "the report still compares with main"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.nightly
def test_killed_around_its_push_it_ends_with_one_commit_and_one_record(ci: Ci, set_params: Set, when: str) -> None:
    set_params(ci.app, "rate: 0.5", "rate: 0.7")
    sha = ci.push("faster")
    ci.run(sha, "faster")
    killed = ci.commit(sha, "faster", env=killing_git(ci.folder, when))
    assert killed.code == -9
    assert (ci.tip("faster") == sha) == (when == "before")
    again = ci.commit(sha, "faster")
    assert again.code == 0, again.err
    assert again.out.startswith("committed")
    assert git(ci.bare, "rev-list", "--count", f"{sha}..faster") == "1"
    assert len(ci.records("faster")) == len(ci.records("main")) + 1
    assert ci.report()["committed"] == ci.tip("faster")


@pytest.mark.nightly
def test_killed_after_its_data_went_to_the_remote_the_job_runs_again(ci: Ci, set_params: Set) -> None:
    set_params(ci.app, "rate: 0.5", "rate: 0.7")
    sha = ci.push("faster")
    ci.run(sha, "faster")
    ci.forget()
    assert ci.run(sha, "faster").code == 0
    assert ci.commit(sha, "faster").code == 0
    assert git(ci.bare, "rev-list", "--count", f"{sha}..faster") == "1"


def test_a_branch_that_moved_is_left_alone(ci: Ci, set_params: Set) -> None:
    set_params(ci.app, "rate: 0.5", "rate: 0.7")
    sha = ci.push("faster")
    ci.run(sha, "faster")
    newer = ci.push("faster", "somebody else")
    done = ci.commit(sha, "faster")
    assert done.code == 0
    assert done.out.startswith("moved")
    assert ci.tip("faster") == newer


def test_a_branch_that_is_gone_does_not_come_back(ci: Ci, set_params: Set) -> None:
    set_params(ci.app, "rate: 0.5", "rate: 0.7")
    sha = ci.push("faster")
    git(ci.app, "push", "-q", str(ci.bare), f"{sha}:refs/heads/keeps-the-commit")
    ci.run(sha, "faster")
    git(ci.bare, "branch", "-q", "-D", "faster")
    done = ci.commit(sha, "faster")
    assert done.out.startswith("moved")
    assert not git(ci.bare, "branch", "--list", "faster")


@pytest.mark.nightly
def test_a_newer_version_replaces_the_bots_own_record_and_no_persons(ci: Ci, set_params: Set) -> None:
    set_params(ci.app, "rate: 0.5", "rate: 0.6")
    gitml(ci.app, "train")
    ci.both(ci.push("faster"), "faster")
    persons = set(ci.records("faster"))
    for old, new in (("rate: 0.6", "rate: 0.7"), ("rate: 0.7", "rate: 0.8")):
        git(ci.app, "pull", "-q", "--ff-only", str(ci.bare), "faster")
        set_params(ci.app, old, new)
        ci.both(ci.push("faster"), "faster")
        assert persons < set(ci.records("faster"))
        assert len(ci.records("faster")) == len(persons) + 1


@pytest.mark.nightly
def test_a_local_record_whose_bytes_nobody_pushed_gives_way_to_that_of_ci_once(ci: Ci, set_params: Set) -> None:
    """Nobody could ever serve it; the lock follows the record that can be served."""
    before = set(ci.records("main"))
    set_params(ci.app, "noise: false", "noise: true")
    assert gitml(ci.app, "train").code == 0
    sha = ci.push("local")
    (local,) = set(ci.records("local")) - before
    ci.both(sha, "local")
    head = ci.tip("local")
    (made,) = set(ci.records("local")) - before
    assert made != local
    assert json.loads(git(ci.bare, "show", f"{head}:{made}"))["origin"] == "ci"
    assert "its artifact was never pushed" in " ".join(ci.report()["notes"])
    ci.both(head, "local")
    assert ci.tip("local") == head
    # On main a record stays for good; the one of CI comes beside it.
    git(ci.bare, "update-ref", "refs/heads/main", sha)
    ci.both(ci.push("again"), "again")
    assert {local} < set(ci.records("again")) - before
    assert len(set(ci.records("again")) - before) == 2


def test_a_failing_stage_hands_over_its_log_without_secrets(ci: Ci) -> None:
    (ci.app / "train.py").write_text(
        "import base64, os\nkey = os.environ['API_KEY']\nprint('key', key, base64.b64encode(key.encode()).decode())\n"
        "print('named', os.environ['WAREHOUSE'])\nraise SystemExit('no gradient for ' + key)\n"
    )
    with (ci.app / "gitml.yaml").open("a") as spec:
        spec.write("ci: {secrets: [WAREHOUSE]}\n")
    sha = ci.push("broken")
    ran = ci.run(sha, "broken", env={"API_KEY": "hunter2-and-more", "WAREHOUSE": "open sesame"})
    assert ran.code == 1
    hidden = ("hunter2", "aHVudGVyMi1hbmQtbW9yZ", "open sesame")
    assert not [text for text in hidden if text in ran.out + ran.err]
    assert ci.how() == {"ingest": "restored", "train": "failed", "evaluate": "not reached"}
    tail = ci.fragment()["stages"][1]["log_tail"]
    assert "no gradient" in tail
    assert not [text for text in hidden if text in json.dumps(ci.fragment())]
    done = ci.commit(sha, "broken")
    assert done.code == 1
    comment = render(parse_report(json.dumps(ci.report()).encode()))
    assert "no gradient" in comment
    assert not [text for text in hidden if text in json.dumps(ci.report()) + comment + done.out + done.err]
    assert ci.tip("broken") == sha
    (model,) = ci.report()["models"]
    assert model["outcome"] == "failed"
    assert model["reason"] == "stage train failed: failed to run: python train.py, exited with 1"
    assert ci.report()["problem"] == ""


def test_a_job_that_never_came_is_named_with_its_labels(ci: Ci) -> None:
    sha = ci.push("lonely")
    done = ci.commit(sha, "lonely", env={"GITML_NEEDS": '{"train-cpu": {"result": "cancelled"}}'})
    assert done.code == 1
    assert "train-cpu was cancelled" in ci.report()["problem"]
    assert "ubuntu-latest" in ci.report()["problem"]


def test_without_a_remote_nothing_is_trained_for_the_bin(ci: Ci, set_params: Set) -> None:
    dvc(ci.app, "remote", "remove", "r")
    set_params(ci.app, "rate: 0.5", "rate: 0.7")
    sha = ci.push("faster")
    assert ci.run(sha, "faster").code == 1
    assert "no DVC remote" in ci.fragment()["error"]


def test_a_record_whose_data_is_gone_covers_nothing(ci: Ci) -> None:
    shutil.rmtree(ci.remote)
    sha = ci.push("gone")
    assert ci.run(sha, "gone").code == 0
    assert ci.how()["train"] == "ran"


def test_main_is_checked_and_never_trained(ci: Ci, set_params: Set) -> None:
    assert ci.both(ci.push("main"), "main").out.startswith("nothing to commit")
    set_params(ci.app, "rate: 0.5", "rate: 0.9")
    sha = ci.push("main")
    done = ci.both(sha, "main")
    assert ci.how() == {"ingest": "up to date", "train": "stale", "evaluate": "stale"}
    assert done.out.startswith("stale")
    assert ci.tip("main") == sha
    assert ci.report()["models"][0]["outcome"] == "refused"


def test_a_deployment_alone_is_never_trained_also_while_main_is_untrained(ci: Ci, set_params: Set) -> None:
    """CI's commit would make a rollback a pull request that changes other things as well, which nobody can merge."""
    set_params(ci.app, "rate: 0.5", "rate: 0.7")
    ci.push("main", "nobody trained it")
    place = ci.app / "models/m/production.yaml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("champion: {version: 20260101T000000Z-00000000, digest: " + "0" * 64 + "}\n")
    sha = ci.push("gitml/rollback/m/production/x")
    done = ci.both(sha, "gitml/rollback/m/production/x")
    assert done.code == 0, done.err
    assert set(ci.how().values()) == {"not reached"}
    assert ci.tip("gitml/rollback/m/production/x") == sha
    assert "only deployments change" in done.out
    (ci.app / "notes.md").write_text("more than a deployment\n")
    ci.both(ci.push("more"), "more")
    assert "ran" in ci.how().values()


def test_a_lock_that_nobody_ran_is_not_believed(ci: Ci, set_params: Set) -> None:
    set_params(ci.app, "rate: 0.5", "rate: 0.7")
    dvc(ci.app, "commit", "--force")
    sha = ci.push("forged")
    ci.run(sha, "forged")
    assert ci.how()["train"] == "ran"


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "ran at commit": lambda f: f.update(commit="0" * 40),
    "no stage leaves for Git": lambda f: f["files"].update({"train.py": "cm0gLXJm"}),
    "leaves the repository": lambda f: f["files"].update({"../x": ""}),
    "extra": lambda f: f.update(extra=1),
}


def test_fragments_that_lie_are_refused(ci: Ci, set_params: Set) -> None:
    set_params(ci.app, "rate: 0.5", "rate: 0.7")
    sha = ci.push("faster")
    ci.run(sha, "faster")
    honest = json.dumps(ci.fragment())
    for said, lie in LIES.items():
        fragment = json.loads(honest)
        lie(fragment)
        (ci.folder / "artifacts" / f"fragment-{JOB}.json").write_text(json.dumps(fragment))
        done = ci.commit(sha, "faster")
        assert done.code in (2, 4), said
        assert said in done.err
        assert ci.tip("faster") == sha


GPU = """\
hardware: {cpu: [ubuntu-latest], gpu: [self-hosted, gpu]}
stages: {train: {hardware: gpu}}
train: {commit: push}
"""


@pytest.mark.nightly
def test_jobs_on_different_hardware_hand_over_through_the_remote(
    trained: Path, tmp_path: Path, set_params: Set
) -> None:
    ci = new_ci(trained, tmp_path, GPU)
    set_params(ci.app, "rows: 20", "rows: 30")
    sha = ci.push("more")
    for job in ("train-cpu", "train-gpu", "train-cpu-2"):
        ran = ci.run(sha, "more", job=job)
        assert ran.code == 0, ran.err
    assert ci.how("train-gpu") == {"train": "ran"}
    assert ci.how("train-cpu-2") == {"evaluate": "ran"}
    done = ci.commit(sha, "more")
    assert done.out.startswith("committed"), done.err
    laptop = tmp_path / "laptop"
    git(tmp_path, "clone", "-q", "-b", "more", str(ci.bare), str(laptop))
    assert "nothing changed" in gitml(laptop, "train").out


@pytest.mark.nightly
def test_an_always_changed_stage_runs_for_people_and_not_for_the_bot(ci: Ci) -> None:
    text = TOY["dvc.yaml"].replace("    outs: [data]\n", "    outs: [data]\n    always_changed: true\n")
    (ci.app / "dvc.yaml").write_text(text)
    sha = ci.push("always")
    ci.both(sha, "always")
    assert ci.how()["ingest"] == "ran"
    head = ci.tip("always")
    assert head != sha
    ci.both(head, "always")
    assert ci.how()["ingest"] == "up to date"
    assert ci.tip("always") == head


@pytest.mark.nightly
def test_a_pipeline_in_a_folder_that_reads_a_part_of_an_output(trained: Path, tmp_path: Path, set_params: Set) -> None:
    """What the bot commits lies beside that dvc.yaml, is derived, and leaves nothing stale."""
    below = TOY["dvc.yaml"].replace("    cmd:", "    wdir: ..\n    cmd:")
    below = below.replace("[data, train.py]", "[data/rows.txt, train.py]")
    (trained / "pipe").mkdir()
    (trained / "pipe/dvc.yaml").write_text(below)
    for name in ("dvc.yaml", "dvc.lock"):
        (trained / name).unlink()
    assert gitml(trained, "train").code == 0
    ci = new_ci(trained, tmp_path)
    set_params(ci.app, "rate: 0.5", "rate: 0.7")
    sha = ci.push("faster")
    assert ci.run(sha, "faster").code == 0
    names = [f"pipe/dvc.yaml:{stage}" for stage in ("ingest", "train", "evaluate")]
    assert ci.how() == dict(zip(names, ("restored", "ran", "ran"), strict=True))
    assert ci.commit(sha, "faster").code == 0
    changed = set(git(ci.bare, "diff", "--name-only", f"{sha}..faster").split())
    assert {"pipe/dvc.lock", "artifacts/m/metrics.json"} < changed
    assert "dvc.lock" not in changed
    tip = ci.tip("faster")
    git(ci.app, "fetch", "-q", str(ci.bare), "faster")
    work = Git(ci.app)
    handed = training.handed_over(sha, {JOB: Fragment.model_validate_json(json.dumps(ci.fragment()))})
    assert training.check(work, tip, changes(work, sha, tip), handed, sha).wrong == ()
    ci.forget()
    assert ci.run(tip, "faster").code == 0
    assert set(ci.how().values()) == {"up to date"}
