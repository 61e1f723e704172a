"""Reports become comments, statuses and summaries."""

from dataclasses import replace
from pathlib import Path

import pytest

from cijobs.publishing import GOOD, MARKER, failed, new_desk
from forges.homes import JOBS, new_branch
from gitml.cijobs.publish import PublishOrder, publish
from gitml.errors import OutsideError, SpecError, UsageError
from gitml.forges.base import OnCommit
from gitml.http import HttpError
from gitml.reports.facts import Outcome, ReportedComparison, ReportedModel
from gitml.reports.rowfacts import ComparisonRole


def test_one_comment_that_is_updated_in_place(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    first = d.run()
    assert (first.how, first.by, first.place) == ("posted", "gitml", f"pull request {d.number}")
    (comment,) = d.comments()
    assert comment.body.startswith(f"{MARKER}\n<!-- gitml:run commit={d.head} run=1 attempt=1 -->\n")
    assert comment.url == first.url
    assert d.status() == ("success", "delay: new version 20261124T120000Z-12345678")
    again = d.run()
    assert (again.how, again.url) == ("unchanged", first.url)
    changed = d.run(d.report(failed()), run=2)
    assert (changed.how, changed.url) == ("updated", first.url)
    (comment,) = d.comments()
    assert "boom" in comment.body
    assert d.status() == ("failure", "delay failed in train: exit code 1")
    assert (tmp_path / "summary.md").read_text().count("delay") >= 3


def test_forged_markers_and_other_authors(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    forged = f"{MARKER}\n<!-- gitml:run commit={d.head} run=99999 attempt=9 -->\nall is well, merge it"
    made = d.say("eve", forged)
    d.run()
    d.run(d.report(failed()), run=2)
    mine = [c for c in d.comments() if c.author == JOBS]
    assert len(mine) == 1
    assert "boom" in mine[0].body
    assert [c.body for c in d.comments() if c.id == made.id] == [forged]


def test_a_quoted_report_is_no_report(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    d.say(JOBS, f"look at this:\n{MARKER}\nit was wrong")
    d.run()
    assert len(d.comments()) == 2


def test_duplicates_of_ours_collapse_into_the_one_that_was_first(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    d.run()
    body = d.comments()[0].body
    for number in (2, 3):
        d.say(JOBS, body.replace("run=1 ", f"run={number} "))
    first = d.comments()[0].id
    assert d.run(run=4).how == "updated"
    (kept,) = d.comments()
    assert kept.id == first
    assert "run=4 " in kept.body


def test_a_newer_report_among_duplicates_is_kept_whoever_removes_them(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    d.run()
    (first,) = d.comments()
    d.say(JOBS, first.body.replace("run=1 ", "run=9 "))
    assert d.run(run=4).how == "superseded"
    (kept,) = d.comments()
    assert kept.id == first.id
    assert "run=9 " in kept.body


def test_an_older_run_does_not_overwrite_a_newer_report(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    newer = d.home.write("ada", "more", "1", "feature")
    d.run(d.report(failed(), commit=newer), run=2)
    old = d.run(run=3)
    assert old.how == "superseded"
    assert f"commit={newer}" in d.comments()[0].body
    # Each commit has its own status, whoever came last.
    assert d.status(newer)[0] == "failure"
    assert d.status()[0] == "success"


def test_an_older_run_of_the_same_commit(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    d.run(run=5)
    assert d.run(d.report(failed()), run=4).how == "superseded"


def test_a_branch_that_was_rewritten(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    new_branch(d.home, "scratch")
    other = d.home.write("ada", "other", "1", "scratch")
    d.home.move("ada", "feature", other)
    assert d.run().how == "superseded"
    assert d.comments() == []
    assert d.status()[0] == "success"
    # What the branch has now wins over a report of what it had.
    d.run(d.report(commit=other), run=2)
    assert f"commit={other}" in d.comments()[0].body


def test_a_report_of_a_rewritten_commit_is_replaced(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    d.run(run=9)
    new_branch(d.home, "scratch")
    other = d.home.write("ada", "other", "1", "scratch")
    d.home.move("ada", "feature", other)
    assert d.run(d.report(commit=other), run=2).how == "updated"


def test_without_a_pull_request_the_commit_is_commented(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    d.close()
    assert d.run().place == f"commit {d.head[:12]}"
    assert d.run(d.report(failed()), run=2).how == "updated"
    (comment,) = d.all_comments(OnCommit(d.head))
    assert comment.body.startswith(MARKER)
    assert d.comments() == []


def came_trained(main: str, version: str) -> ReportedModel:
    """Nothing ran in the job: a laptop did, or nobody."""
    base = ReportedComparison(ComparisonRole.BASE, "main", main)
    return ReportedModel("m", Outcome.SAME, version=version, comparisons=(base,))


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        ({"models": ()}, "success", "nothing to train: no model has stages"),
        ({"problem": "no runner with the label gpu"}, "error", "no verdict: no runner with the label gpu"),
        ({"models": (ReportedModel("m", Outcome.SAME),)}, "success", "m: nothing changed"),
        ({"models": (came_trained("v1", "v2"),)}, "success", "m: new version v2"),
        ({"models": (came_trained("", "v2"),)}, "success", "m: new version v2"),
        ({"models": (came_trained("v2", "v2"),)}, "success", "m: nothing changed"),
        ({"models": (GOOD, ReportedModel("b", Outcome.REFUSED, reason="w" * 300))}, "failure", "b was refused: www"),
    ],
)
def test_a_status_with_a_reason(tmp_path: Path, change: dict[str, object], state: str, words: str) -> None:
    d = new_desk(tmp_path)
    d.run(replace(d.report(), **change))
    found = d.status()
    assert found[0] == state
    assert found[1].startswith(words)
    assert len(found[1]) <= 140


def test_what_the_bot_committed_gets_the_status_too(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    locked = d.home.write("ada", "dvc.lock", "1", "feature")
    d.run(replace(d.report(), committed=locked))
    assert d.status(locked) == d.status()


def test_a_run_that_left_no_report(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    order = PublishOrder(tmp_path / "nowhere.json", tmp_path, "toy")
    with pytest.raises(UsageError, match="is not there"):
        publish(order, d.world())
    needs = '{"commit": {"result": "failure"}, "train-gpu": {"result": "cancelled"}, "x": {"result": "success"}}'
    done = publish(order, d.world(GITML_NEEDS=needs))
    assert done.state == "error"
    assert "job commit failed, job train-gpu was cancelled" in d.comments()[0].body.replace("\u200b", "")
    assert d.status() == (
        "error",
        "no verdict: the run left no report: job commit failed, job train-gpu was cancelled",
    )


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"application": "toy", "surprise": 1}', b'{"application": "T/oy"}'])
def test_a_report_that_cannot_be_read(tmp_path: Path, raw: bytes) -> None:
    d = new_desk(tmp_path)
    order = PublishOrder(d.write(raw), tmp_path, "toy")
    with pytest.raises((SpecError, UsageError)):
        publish(order, d.world())
    assert d.status() == ("error", "no verdict: the report that the run left cannot be read")


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    d = new_desk(tmp_path)
    done = d.run(dry_run=True)
    assert done.place == f"pull request {d.number}"
    assert "delay" in done.text
    assert d.comments() == []
    assert d.forge.as_("ada").acts.statuses(d.head) == ()
    assert not (tmp_path / "summary.md").exists()


def test_outside_errors_have_exit_code_4() -> None:
    assert OutsideError("x").exit_code == HttpError("x").exit_code == 4
