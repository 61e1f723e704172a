"""Reports become comments, statuses and summaries: against the real sandbox."""

from dataclasses import replace
from pathlib import Path

import pytest

from cijobs.publishing import GOOD, MARKER, as_person, desk, failed, weak
from conftest import gitml
from forges.fixtures import many_comments
from gitml.cijobs.publish import PublishOrder, publish
from gitml.errors import OutsideError, SpecError, UsageError
from gitml.http import HttpError
from gitml.reports.facts import Outcome, ReportedHow, ReportedModel, ReportedStage
from sandbox.forge_kit import Kit


def test_one_comment_that_is_updated_in_place(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    first = d.run()
    assert (first.how, first.by, first.place) == ("posted", "gitml", f"pull request {d.number}")
    (comment,) = d.comments()
    assert comment["body"].startswith(f"{MARKER}\n<!-- gitml:run commit={d.head} run=1 attempt=1 -->\n")
    assert comment["html_url"] == first.url
    assert d.status() == ("success", "delay: new version 20261124T120000Z-12345678")
    again = d.run()
    assert (again.how, again.url) == ("unchanged", first.url)
    changed = d.run(d.report(failed()), run=2)
    assert (changed.how, changed.url) == ("updated", first.url)
    (comment,) = d.comments()
    assert "boom" in comment["body"]
    assert d.status() == ("failure", "delay failed in train: exit code 1")
    assert (tmp_path / "summary.md").read_text().count("delay") >= 3
    assert d.token not in " ".join(d.said)


@pytest.mark.parametrize("login", ["ada", "gitml-bot[bot]"])
def test_tokens_of_people_and_apps(kit: Kit, tmp_path: Path, login: str) -> None:
    d = desk(kit, tmp_path)
    d.ada.put("collaborators/gitml-bot[bot]", expect=201, permission="push")
    d.token = kit.token[login]
    d.run()
    d.run(run=2)
    assert [c["user"]["login"] for c in d.comments()] == [login]


def test_forged_markers_and_other_authors(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    forged = f"{MARKER}\n<!-- gitml:run commit={d.head} run=99999 attempt=9 -->\nall is well, merge it"
    eve = as_person(d, "eve")
    made = eve.post(f"issues/{d.number}/comments", body=forged)
    d.run()
    d.run(d.report(failed()), run=2)
    mine = [c for c in d.comments() if c["user"]["login"] == "gitml-bot[bot]"]
    assert len(mine) == 1
    assert "boom" in mine[0]["body"]
    assert d.ada.get(f"issues/comments/{made['id']}")["body"] == forged


def test_a_quoted_report_is_no_report(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    bot = as_person(d, d.token)
    bot.post(f"issues/{d.number}/comments", body=f"look at this:\n{MARKER}\nit was wrong")
    d.run()
    assert len(d.comments()) == 2


def test_found_behind_many_pages(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    many_comments(kit, d.ada.repo, d.number, 110)
    first = d.run()
    many_comments(kit, d.ada.repo, d.number, 40)
    second = d.run(d.report(failed()), run=2)
    assert (second.how, second.url) == ("updated", first.url)
    bodies = [c["body"] for c in d.ada.get(f"issues/{d.number}/comments", per_page=100, page=2)]
    assert sum(MARKER in b for b in bodies) == 1


def test_duplicates_of_ours_collapse_into_the_one_that_was_first(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    d.run()
    bot, body = as_person(d, d.token), d.comments()[0]["body"]
    for number in (2, 3):
        bot.post(f"issues/{d.number}/comments", body=body.replace("run=1 ", f"run={number} "))
    first = d.comments()[0]["id"]
    assert d.run(run=4).how == "updated"
    (kept,) = d.comments()
    assert kept["id"] == first
    assert "run=4 " in kept["body"]


def test_a_newer_report_among_duplicates_is_kept_whoever_removes_them(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    d.run()
    bot, (first,) = as_person(d, d.token), d.comments()
    bot.post(f"issues/{d.number}/comments", body=first["body"].replace("run=1 ", "run=9 "))
    assert d.run(run=4).how == "superseded"
    (kept,) = d.comments()
    assert kept["id"] == first["id"]
    assert "run=9 " in kept["body"]


def test_an_older_run_does_not_overwrite_a_newer_report(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    newer = d.ada.write("more", "1", "feature")
    d.run(d.report(failed(), commit=newer), run=2)
    old = d.run(run=3)
    assert old.how == "superseded"
    assert f"commit={newer}" in d.comments()[0]["body"]
    # Each commit has its own status, whoever came last.
    assert d.status(newer)[0] == "failure"
    assert d.status()[0] == "success"


def test_an_older_run_of_the_same_commit(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    d.run(run=5)
    assert d.run(d.report(failed()), run=4).how == "superseded"


def test_a_branch_that_was_rewritten(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    d.ada.branch("scratch")
    other = d.ada.write("other", "1", "scratch")
    d.ada.patch("git/refs/heads/feature", sha=other, force=True)
    assert d.run().how == "superseded"
    assert d.comments() == []
    assert d.status()[0] == "success"
    # What the branch has now wins over a report of what it had.
    d.run(d.report(commit=other), run=2)
    assert f"commit={other}" in d.comments()[0]["body"]


def test_a_report_of_a_rewritten_commit_is_replaced(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    d.run(run=9)
    d.ada.branch("scratch")
    other = d.ada.write("other", "1", "scratch")
    d.ada.patch("git/refs/heads/feature", sha=other, force=True)
    assert d.run(d.report(commit=other), run=2).how == "updated"


def test_without_a_pull_request_the_commit_is_commented(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    d.ada.patch(f"pulls/{d.number}", state="closed")
    assert d.run().place == f"commit {d.head[:12]}"
    assert d.run(d.report(failed()), run=2).how == "updated"
    (comment,) = d.ada.get(f"commits/{d.head}/comments")
    assert comment["body"].startswith(MARKER)
    assert d.comments() == []


def test_a_token_that_may_not_comment(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    d.token = weak(d, statuses="write", contents="read")
    with pytest.raises(HttpError, match="403") as caught:
        d.run()
    assert "permission" in caught.value.hint
    assert d.status() == ("success", "delay: new version 20261124T120000Z-12345678 (the report could not be posted)")
    assert "delay" in (tmp_path / "summary.md").read_text()


def test_a_token_that_may_not_set_statuses(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    d.token = weak(d, pull_requests="write", contents="read")
    for run in (1, 2):
        with pytest.raises(HttpError, match="403"):
            d.run(run=run)
        assert [f"run={run} " in c["body"] for c in d.comments()] == [True]
    assert any("status" in line for line in d.said)


def test_a_wrong_idea_of_who_we_are(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    d.env["GITML_BOT"] = "somebody[bot]"
    for run in (1, 2, 3):
        d.run(run=run)
    assert [c["user"]["login"] for c in d.comments()] == ["gitml-bot[bot]"]


def test_a_wrong_token(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    d.token = "ghs_wrongwrongwrongwrong"
    with pytest.raises(HttpError, match="401") as caught:
        d.run()
    assert "revoked" in caught.value.hint
    assert all(d.token not in line for line in [*d.said, caught.value.message])


HOSTILE = "x-$(touch${IFS}pwned)-`id`-&per_page=1#é%2F'\"<b>"


def test_hostile_names(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path, branch=HOSTILE, body="x")
    d.ada.patch(f"pulls/{d.number}", title=f"{MARKER} @eve <script>")
    bad = "@eve --> <!-- gitml:report:other/train -->\n| a | ![](https://x.example/p.png)"
    stage = ReportedStage(bad, ReportedHow.FAILED, why=bad, log_tail=f"```\n{MARKER}\n</details>")
    model = ReportedModel(bad, Outcome.FAILED, reason=bad, stages=(stage,))
    d.run(d.report(model, notes=(bad,)))
    d.run(d.report(model, notes=(bad, bad)), run=2)
    (comment,) = d.comments()
    assert comment["body"].count("<!--") == 2
    assert d.status()[0] == "failure"
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        ({"models": ()}, "success", "nothing to train: no model has stages"),
        ({"problem": "no runner with the label gpu"}, "error", "no verdict: no runner with the label gpu"),
        ({"models": (ReportedModel("m", Outcome.SAME),)}, "success", "m: nothing changed"),
        ({"models": (GOOD, ReportedModel("b", Outcome.REFUSED, reason="w" * 300))}, "failure", "b was refused: www"),
    ],
)
def test_a_status_with_a_reason(kit: Kit, tmp_path: Path, change: dict[str, object], state: str, words: str) -> None:
    d = desk(kit, tmp_path)
    d.run(replace(d.report(), **change))
    found = d.status()
    assert found[0] == state
    assert found[1].startswith(words)
    assert len(found[1]) <= 140


def test_what_the_bot_committed_gets_the_status_too(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    locked = d.ada.write("dvc.lock", "1", "feature")
    d.run(replace(d.report(), committed=locked))
    assert d.status(locked) == d.status()


def test_a_run_that_left_no_report(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    order = PublishOrder(tmp_path / "nowhere.json", tmp_path, "toy")
    with pytest.raises(UsageError, match="is not there"):
        publish(order, d.world())
    needs = '{"commit": {"result": "failure"}, "train-gpu": {"result": "cancelled"}, "x": {"result": "success"}}'
    done = publish(order, d.world(GITML_NEEDS=needs))
    assert done.state == "error"
    assert "job commit failed, job train-gpu was cancelled" in d.comments()[0]["body"].replace("\u200b", "")
    assert d.status() == (
        "error",
        "no verdict: the run left no report: job commit failed, job train-gpu was cancelled",
    )


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"application": "toy", "surprise": 1}', b'{"application": "T/oy"}'])
def test_a_report_that_cannot_be_read(kit: Kit, tmp_path: Path, raw: bytes) -> None:
    d = desk(kit, tmp_path)
    order = PublishOrder(d.write(raw), tmp_path, "toy")
    with pytest.raises((SpecError, UsageError)):
        publish(order, d.world())
    assert d.status() == ("error", "no verdict: the report that the run left cannot be read")


def test_a_dry_run_writes_nothing(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    done = d.run(dry_run=True)
    assert done.place == f"pull request {d.number}"
    assert "delay" in done.text
    assert d.comments() == []
    assert d.ada.get(f"commits/{d.head}/statuses") == []
    assert not (tmp_path / "summary.md").exists()


@pytest.mark.slow
def test_the_command(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    (tmp_path / ".gitml-ci").mkdir()
    d.write(d.report(), ".gitml-ci/report.json")
    env = dict(d.world().env)
    env.pop("PATH")
    ran = gitml(tmp_path, "ci", "publish", env=env)
    assert ran.code == 0, ran.err
    assert f"report posted on pull request {d.number} by gitml" in ran.out
    ran = gitml(tmp_path, "ci", "publish", "--dry-run", env=env)
    assert "would be posted on" in ran.out
    ran = gitml(tmp_path, "ci", "publish", env={**env, "GITHUB_TOKEN": ""})
    assert (ran.code, "GITHUB_TOKEN" in ran.err) == (2, True)
    ran = gitml(tmp_path, "ci", "publish", env={**env, "GITHUB_TOKEN": "ghs_wrongwrongwrong"})
    assert ran.code == 4
    assert "401" in ran.err
    assert "ghs_wrong" not in ran.out + ran.err
    ran = gitml(tmp_path, "ci", "publish", "--json", env=env)
    assert '"comment": "unchanged"' in ran.out


def test_outside_errors_have_exit_code_4() -> None:
    assert OutsideError("x").exit_code == HttpError("x").exit_code == 4
