"""The loop as people see it: push, act, training, status and comment. Real Git, DVC, act and HTTP."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from conftest import TOY, gitml
from loop.loop_kit import Loop
from sandbox.forge_kit import git

pytestmark = pytest.mark.slow


@pytest.mark.nightly
def test_draft_reports_only_and_the_next_push_updates_the_same_comment(loop: Loop) -> None:
    first = loop.rate(0.7, branch="faster")
    number = loop.pull("faster", draft=True)
    status = loop.judged(first)
    assert status["state"] == "success", loop.logs()
    assert "new version" in status["description"]
    (comment,) = loop.comments(number)
    assert "accuracy" in comment["body"]
    assert "draft" in comment["body"]
    assert loop.tip("faster") == first
    second = loop.rate(0.8, branch="faster", base="origin/faster")
    assert loop.judged(second)["state"] == "success", loop.logs()
    (again,) = loop.comments(number)
    assert again["id"] == comment["id"]
    assert second[:7] in again["body"]
    assert first[:7] not in again["body"].partition("ommits")[0]


def test_ready_gets_one_commit_with_lock_and_record_and_main_is_right_after_the_merge(
    loop: Loop, tmp_path: Path
) -> None:
    pushed = loop.rate(0.7, branch="faster")
    number = loop.pull("faster")
    loop.judged(pushed)
    head = loop.tip("faster")
    assert head != pushed, loop.logs()
    assert loop.judged(head)["state"] == "success"
    before = loop.files("main")
    after = loop.files("faster")
    assert len(after) == len(before) + 1
    assert len(loop.comments(number)) == 1
    clone = loop.fresh(tmp_path / "clone", "faster")
    assert git(clone, "rev-list", "--count", f"{pushed}..HEAD").strip() == "1"
    assert git(clone, "log", "-1", "--format=%an").strip() == "gitml-bot"
    ran = gitml(clone, "train")
    assert "nothing changed" in ran.out or "reproduced" in ran.out, ran.out
    merged = loop.merge(number)
    status = loop.judged(merged)
    assert status["state"] == "success"
    assert loop.tip("main") == merged


@pytest.mark.nightly
def test_a_pull_request_that_opens_after_the_training_takes_over_what_it_left(loop: Loop) -> None:
    pushed = loop.rate(0.7, branch="faster")
    assert loop.judged(pushed)["state"] == "success", loop.logs()
    (run,) = (r for r in loop.works.runs("push") if r["head_branch"] == "faster")
    began = loop.works.jobs(run)["train-cpu"]["started_at"]
    number = loop.pull("faster")
    loop.until(lambda: loop.tip("faster") != pushed and loop.comments(number))
    loop.settled()
    assert not loop.works.runs("workflow_dispatch"), "nothing is trained again"
    again = next(r for r in loop.works.runs("push") if r["id"] == run["id"])
    assert (again["attempt"], again["conclusion"]) == (2, "success"), loop.logs()
    newest = [job for job in loop.works.query("SELECT * FROM jobs WHERE run_id = ?", run["id"]) if job["attempt"] == 2]
    assert {job["name"]: job["started_at"] == began for job in newest} == {
        "train-cpu": True,
        "commit": False,
        "publish": False,
    }
    assert len(loop.files("faster")) == len(loop.files("main")) + 1
    assert len(loop.comments(number)) == 1


@pytest.mark.nightly
def test_a_second_push_replaces_the_bots_own_unmerged_record(loop: Loop) -> None:
    first = loop.rate(0.7, branch="faster")
    loop.pull("faster")
    loop.judged(first)
    mine = set(loop.files("faster")) - set(loop.files("main"))
    assert len(mine) == 1
    second = loop.rate(0.9, branch="faster", base="origin/faster")
    loop.judged(second)
    now = set(loop.files("faster")) - set(loop.files("main"))
    assert len(now) == 1
    assert now != mine


@pytest.mark.nightly
def test_a_failing_stage_is_reported_with_its_last_lines_and_nothing_is_committed(loop: Loop) -> None:
    broken = TOY["train.py"] + "print('the token is', 'ghp_' + 'a' * 36)\nraise SystemExit('no gradient in sight')\n"
    sha = loop.change({"train.py": broken}, branch="broken")
    number = loop.pull("broken")
    status = loop.judged(sha)
    assert status["state"] == "failure", loop.logs()
    assert "train" in status["description"]
    (comment,) = loop.comments(number)
    assert "no gradient in sight" in comment["body"]
    assert "ghp_aaaa" not in comment["body"]
    assert loop.tip("broken") == sha


@pytest.mark.nightly
def test_two_pushes_in_quick_succession_end_with_one_right_report(loop: Loop) -> None:
    first = loop.rate(0.7, branch="faster")
    number = loop.pull("faster")
    second = loop.rate(0.8, branch="faster", base=first)
    loop.judged(second)
    (comment,) = loop.comments(number)
    head = loop.tip("faster")
    assert second[:7] in comment["body"] or head[:7] in comment["body"]
    assert len(set(loop.files("faster")) - set(loop.files("main"))) == 1
    assert "rate: 0.8" in git(loop.clone, "show", f"{second}:params.yaml")
    assert loop.judged(head)["state"] == "success"


@pytest.mark.nightly
def test_two_branches_that_trained_merged_one_after_the_other_end_with_a_right_main(loop: Loop, tmp_path: Path) -> None:
    faster = loop.rate(0.7, branch="faster")
    one = loop.pull("faster")
    more = loop.change({"params.yaml": "rows: 30\nrate: 0.5\nnoise: false\n"}, branch="more")
    two = loop.pull("more")
    loop.judged(faster)
    loop.judged(more)
    loop.merge(one)
    # Git merges dvc.lock line by line; here it cannot, so the branch takes main in and keeps its own lock.
    clone = loop.fresh(tmp_path / "merge", "more")
    git(clone, "fetch", "-q", "origin", "main")
    git(clone, "merge", "-q", "--no-commit", "-s", "ours", "origin/main", ok=True)
    git(clone, "checkout", "origin/main", "--", "models")
    (clone / "params.yaml").write_text("rows: 30\nrate: 0.7\nnoise: false\n")
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "Take main in")
    git(clone, "push", "-q", "origin", "HEAD:more")
    loop.judged(git(clone, "rev-parse", "HEAD").strip())
    main = loop.merge(two)
    assert loop.judged(main)["state"] == "success", loop.logs()
    clone = loop.fresh(tmp_path / "after", "main")
    ran = gitml(clone, "train")
    assert "nothing changed" in ran.out, ran.out


@pytest.mark.nightly
def test_a_stale_main_gets_a_retrain_pull_request_that_puts_it_right(loop: Loop) -> None:
    allowed = loop.works.api("PUT", "/actions/permissions/workflow", {"can_approve_pull_request_reviews": True})
    assert allowed.status_code == 204, allowed.text
    loop.works.push({"params.yaml": "rows: 20\nrate: 0.9\nnoise: false\n"}, branch="main", message="untrained")
    status = loop.judged(loop.tip("main"))
    assert status["state"] == "failure", f"{status}\n{loop.logs()}"
    (pull,) = loop.works.api("GET", "/pulls").json()
    assert pull["head"]["ref"] == "gitml/retrain-toy"
    loop.until(lambda: len(loop.files("gitml/retrain-toy")) == 2)
    loop.settled()
    merged = loop.merge(pull["number"])
    assert loop.judged(merged)["state"] == "success"


@pytest.mark.nightly
def test_where_actions_may_open_no_pull_requests_the_report_of_a_stale_main_says_what_to_do(loop: Loop) -> None:
    loop.works.push({"params.yaml": "rows: 20\nrate: 0.9\nnoise: false\n"}, branch="main", message="untrained")
    sha = loop.tip("main")
    assert loop.judged(sha)["state"] == "failure", loop.logs()
    (comment,) = loop.commit_comments(sha)
    assert "open a pull request" in comment["body"]
    assert "gitml/retrain-toy" in comment["body"]
    loop.until(lambda: len(loop.files("gitml/retrain-toy")) == 2)


@pytest.mark.nightly
def test_an_unchanged_push_says_that_there_is_nothing_to_train(loop: Loop) -> None:
    sha = loop.change({"notes.txt": "other words\n"}, branch="words")
    number = loop.pull("words")
    status = loop.judged(sha)
    assert status["state"] == "success"
    assert "nothing changed" in status["description"]
    assert len(loop.comments(number)) == 1
    assert loop.tip("words") == sha


@pytest.mark.nightly
def test_hostile_names_do_nothing(loop: Loop) -> None:
    evil = TOY["evaluate.py"].replace('"accuracy": spread', '"accuracy": spread, "<img src=x>@olga|`$(id)`": 1.0')
    sha = loop.change({"evaluate.py": evil}, branch="x;touch${IFS}pwned", message="$(touch pwned) ::set-env name=A::b")
    number = loop.pull("x;touch${IFS}pwned", title="${{ github.token }} $(touch pwned) <script>alert(1)</script>")
    assert loop.judged(sha)["state"] == "success", loop.logs()
    (comment,) = loop.comments(number)
    assert "olga" in comment["body"], "the metric is shown, as what it is called"
    page = httpx.get(f"{loop.works.kit.url}/{loop.works.repo.full_name}/pull/{number}").text
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert not list(loop.works.kit.sandbox.root.rglob("pwned"))
