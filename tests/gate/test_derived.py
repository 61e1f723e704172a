"""Commits of the bot are nobody's work where they follow from main: derived again from real Git, without a forge."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import git
from gate.kit import REPOSITORY
from gitml.derivation import proposal, retrain, training
from gitml.derivation.claim import Claim, claim_of
from gitml.derivation.handover import StageRun
from gitml.dvc.lockentries import Content, Entry
from gitml.errors import FailedError
from gitml.evidence.statement import Binding, Statement
from gitml.git.bot import BOT_EMAIL, BOT_NAME
from gitml.git.commands import Git
from gitml.git.edit import Who, commit_file
from gitml.git.merges import changes
from gitml.registry.lineage import lineage_digest
from gitml.registry.record import Record, name_of

BOT = Who(BOT_NAME, BOT_EMAIL)
GITML = """\
application: flights
models:
  delay: {artifact: model.skops, metrics: metrics.json, better: {auc: higher}}
"""
CREATED = "2026-11-24T12:00:00Z"


@pytest.fixture
def repo(tmp_path: Path) -> Git:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "train.py").write_text("1\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "gitml.yaml").write_text(GITML)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "begin")
    return Git(tmp_path)


def tip(repo: Git, name: str = "main") -> str:
    return repo.resolve(f"refs/heads/{name}") or ""


def commit(repo: Git, parent: str, files: dict[str, str], message: str = "x") -> str:
    """A commit by the bot's address, one file after the other; ``parent`` is its only parent."""
    made = parent
    for path, text in files.items():
        made = commit_file(repo, made, path, text.encode(), message, BOT)
    tree = repo.repository.tree_of(made) or ""
    return git(repo.root, "commit-tree", tree, "-p", parent, "-m", message).strip()


# proposals


class Raise:
    """A toy: what the statement says goes into a file."""

    NAME = "raise"

    def derive(self, repo: Git, claim: Claim, causes: list[Statement]) -> str:
        if not causes:
            raise FailedError("no statement asks for it")
        text = f"weight: {causes[0].details['weight']}\n"
        made = commit_file(repo, claim.base, "models/delay/production.yaml", text.encode(), "x", BOT)
        return repo.repository.tree_of(made) or ""


KINDS = {"raise": Raise(), retrain.NAME: retrain}
EVENT = "2026/11/20261124T120000Z-canary-3f2a90bc11d2.json"


def look(weight: int) -> Statement:
    about = Binding(kind="canary", repository=REPOSITORY, time=CREATED, head="a" * 40)
    return Statement(about, {"weight": weight})


def test_a_proposal_follows_from_its_base_and_the_statement_it_names(repo: Git) -> None:
    base = tip(repo)
    claim = Claim("raise", base, (EVENT,), moment=CREATED)
    made = proposal.commit_of(repo, claim, [look(20)], "Raise the canary", BOT, kinds=KINDS)
    said = repo.text("show", "-s", "--format=%B", made)
    assert claim_of(said) == claim
    assert proposal.why_not(repo, made, claim, {EVENT: look(20)}, base, KINDS) == ""


def test_a_proposal_with_another_tree_base_cause_or_kind_is_not_believed(repo: Git) -> None:
    base = tip(repo)
    claim = Claim("raise", base, (EVENT,))
    made = proposal.commit_of(repo, claim, [look(20)], "Raise", BOT, kinds=KINDS)
    forged = commit(repo, base, {"models/delay/production.yaml": "weight: 100\n"})
    more = commit(repo, base, {"models/delay/production.yaml": "weight: 20\n", "train.py": "evil\n"})
    side = commit(repo, base, {"train.py": "evil\n"})
    on_side = proposal.commit_of(repo, replace(claim, base=side), [look(20)], "Raise", BOT, kinds=KINDS)
    causes = {EVENT: look(20)}
    for commit_, said, known, why in (
        (forged, claim, causes, "gives other files"),
        (more, claim, causes, "gives other files"),
        (made, claim, {}, "not on the ledger, or is not believed"),
        (made, claim, {EVENT: look(50)}, "gives other files"),
        (made, replace(claim, causes=()), causes, "no statement asks"),
        (made, replace(claim, kind="lower"), causes, "does not derive"),
        (on_side, replace(claim, base=side), causes, "not a commit of the default branch"),
        (made, replace(claim, base=side), causes, "not the last of its parents"),
    ):
        assert why in proposal.why_not(repo, commit_, said, known, base, KINDS)


def test_the_retrain_branch_takes_main_in_and_never_an_older_main(repo: Git) -> None:
    """The bot's merge of main has main's tree: judged against both parents it is nobody's work."""
    old = tip(repo)
    first = proposal.commit_of(repo, Claim(retrain.NAME, old), (), "Train", BOT)
    trained = commit(repo, first, {"dvc.lock": "schema: '2.0'\n"})
    (repo.root / "train.py").write_text("2\n")
    git(repo.root, "commit", "-qam", "main moves")
    new = tip(repo)
    again = proposal.commit_of(repo, Claim(retrain.NAME, new), (), "Train", BOT, onto=trained)
    assert proposal.why_not(repo, first, Claim(retrain.NAME, old), {}, new) == ""
    assert proposal.why_not(repo, again, Claim(retrain.NAME, new), {}, new) == ""
    assert repo.repository.tree_of(again) == repo.repository.tree_of(new)
    assert proposal.has_main_s_tree(repo, again, new)  # as bots of before said nothing of what they made
    assert not proposal.has_main_s_tree(repo, trained, new)
    back = proposal.commit_of(repo, Claim(retrain.NAME, old), (), "Train", BOT, onto=new)
    assert not proposal.has_main_s_tree(repo, back, new)
    assert "gone past" in proposal.why_not(repo, back, Claim(retrain.NAME, old), {}, new)


@pytest.mark.parametrize(
    "message",
    [
        "x\n\nGitml-Derived: retrain\n",
        f"x\n\nGitml-Derived: retrain\nGitml-Derived: raise\nGitml-Base: {'a' * 40}\n",
        "x\n\nGitml-Derived: retrain\nGitml-Base: main\n",
        "Gitml-Derived: retrain",
    ],
)
def test_a_claim_is_one_kind_and_one_commit(message: str) -> None:
    assert claim_of(message) is None


# trainings

METRICS = '{"auc": 0.7}'


def entry(code: str = "1") -> Entry:
    outs = (Content("metrics.json", f"md5:{'b' * 32}", 12), Content("model.skops", f"md5:{'a' * 32}", 9))
    return Entry(
        ("python train.py",), (Content("train.py", f"md5:{code * 32}", 2),), {"params.yaml": {"rate": 0.5}}, outs
    )


def record(parent: str, stage: Entry, **more: object) -> Record:
    digest = lineage_digest("delay", {"train": stage})
    sha = hashlib.sha256(METRICS.encode()).hexdigest()
    about = {
        "model": "delay",
        "version": name_of(digest, CREATED),
        "digest": digest,
        "created": CREATED,
        "origin": "ci",
        "commit": parent,
        "artifact": "model.skops",
        "files": {"model.skops": {"sha256": "1" * 64, "size": 9}, "metrics.json": {"sha256": sha, "size": 12}},
        "metrics": {"auc": {"value": 0.7}},
        "roles": {"metrics": "metrics.json"},
        "stages": {"train": stage.to_dict()},
        **more,
    }
    return Record.model_validate(about)


def lock(stage: Entry) -> str:
    """As DVC writes it."""
    part = {
        name: [{"path": c.path, "hash": "md5", "md5": c.digest[4:], "size": c.size} for c in contents]
        for name, contents in (("deps", stage.deps), ("outs", stage.outs))
    }
    return json.dumps({"schema": "2.0", "stages": {"train": {"cmd": stage.cmd[0], **part, "params": stage.params}}})


def handed(parent: str, stage: Entry) -> training.HandedOver:
    outputs = {path: file.model_dump(exclude_none=True) for path, file in record(parent, stage).files.items()}
    run = StageRun.model_validate({"stage": "train", "how": "ran", "entry": stage.to_dict(), "outputs": outputs})
    return training.HandedOver(parent, {"train": run}, {"metrics.json": METRICS.encode()})


def files_of(version: Record, stage: Entry) -> dict[str, str]:
    path = f"models/delay/versions/{version.version}.json"
    return {
        "dvc.lock": lock(stage),
        path: version.to_json(),
        "metrics.json": METRICS,
        ".gitignore": "*.log\n/model.skops\n",
    }


def checked(repo: Git, made: str, parent: str, stage: Entry) -> training.CheckedTraining:
    return training.check(repo, made, changes(repo, parent, made), handed(parent, stage), parent)


def test_a_training_commit_is_what_the_run_handed_over(repo: Git) -> None:
    parent, stage = tip(repo), entry()
    version = record(parent, stage)
    made = commit(repo, parent, files_of(version, stage), f"trained\n\nGitml-Trained: {parent}\n")
    found = checked(repo, made, parent, stage)
    assert (found.wrong, found.records) == ((), (version,))
    assert training.trained_at(repo.text("show", "-s", "--format=%B", made)) == parent
    told = training.of_records(found.records)
    assert training.check(repo, made, changes(repo, parent, made), told, parent).wrong == ()


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("train.py", "evil\n", "not as the run handed it over"),
        ("params.yaml", "rate: 1\n", "not as the run handed it over"),
        ("dvc.yaml", "stages: {}\n", "not as the run handed it over"),
        (".gitattributes", "* merge=union\n", "not as the run handed it over"),
        ("metrics.json", '{"auc": 0.9}', "not as the run handed it over"),
        ("dvc.lock", lock(entry("2")), "what the run did not hand over"),
        ("dvc.lock", "stages: [", "cannot be read"),
        ("dvc.lock", "stages: {}\nmore: 1", "cannot be read"),
        (".gitignore", "*.log\n/model.skops\n/train.py\n", "otherwise than by the outputs"),
        ("models/delay/versions/20261124T120000Z-3f2a90bc.json", "{}", "is no record"),
    ],
)
def test_whatever_else_it_brings_is_somebody_s_work(repo: Git, path: str, text: str, why: str) -> None:
    parent, stage = tip(repo), entry()
    made = commit(repo, parent, {**files_of(record(parent, stage), stage), path: text})
    assert any(why in line for line in checked(repo, made, parent, stage).wrong)


@pytest.mark.parametrize(("wdir", "fine"), [("sub", True), ("other", False)])
def test_paths_of_a_lock_count_from_where_the_stage_runs(repo: Git, wdir: str, fine: bool) -> None:
    """A dvc.yaml in a folder below, and a stage of it with `wdir`: the run's entry counts from the root."""
    pipeline = f"stages:\n  train: {{cmd: python train.py, wdir: {wdir}, deps: [train.py]}}\n"
    parent = commit(repo, tip(repo), {"one/dvc.yaml": pipeline})
    at = "one/sub/"
    stage = Entry(
        ("python train.py",),
        (Content(f"{at}train.py", f"md5:{'1' * 32}", 2),),
        {f"{at}params.yaml": {"rate": 0.5}},
        (Content(f"{at}model.skops", f"md5:{'a' * 32}", 9),),
    )
    run = StageRun.model_validate({"stage": "one/dvc.yaml:train", "how": "ran", "entry": stage.to_dict()})
    told = training.HandedOver(parent, {run.stage: run}, {})
    made = commit(repo, parent, {"one/dvc.lock": lock(stage).replace(at, "")})
    wrong = training.check(repo, made, changes(repo, parent, made), told, parent).wrong
    assert wrong == (() if fine else ("one/dvc.lock says of stage train what the run did not hand over",))


def test_a_record_of_another_origin_or_commit_is_not_of_this_run(repo: Git) -> None:
    parent, stage = tip(repo), entry()
    for more in ({"origin": "local"}, {"commit": "f" * 40}):
        made = commit(repo, parent, files_of(record(parent, stage, **more), stage))
        assert any("is not of the run" in why for why in checked(repo, made, parent, stage).wrong)
    for more, why in (
        ({"metrics": {"auc": {"value": 0.9}}}, "other metrics"),
        ({"roles": {"metrics": "metrics.json", "signature": "metrics.json"}}, "other roles"),
        ({"packages": {"path": "evil.lock", "sha256": "1" * 64, "python": "3.11.2"}}, "other packages"),
        ({"dirty": ("train.py",)}, "did not hand over"),
        (
            {"files": {**record(parent, stage).model_dump()["files"], "more": {"sha256": "1" * 64, "size": 1}}},
            "did not hand over",
        ),
    ):
        made = commit(repo, parent, files_of(record(parent, stage, **more), stage))
        assert any(why in line for line in checked(repo, made, parent, stage).wrong), why
    later = commit(repo, commit(repo, parent, {"a.txt": "1"}), {"metrics.json": METRICS})
    assert "not on top of" in checked(repo, later, parent, stage).wrong[0]


def test_it_takes_back_its_own_records_and_nobody_else_s(repo: Git) -> None:
    stage = entry()
    path = "models/delay/versions/20261101T120000Z-bbbbbbbb.json"
    main = tip(repo)
    parent = commit(repo, main, {path: "{}"})
    git(repo.root, "checkout", "-q", "--detach", parent)
    git(repo.root, "rm", "-q", path)
    git(repo.root, "commit", "-qm", "gone")
    made = repo.resolve("HEAD") or ""
    rows = changes(repo, parent, made)
    assert training.check(repo, made, rows, handed(parent, stage), main).wrong == ()
    assert "deletes" in training.check(repo, made, rows, handed(parent, stage), parent).wrong[0]
