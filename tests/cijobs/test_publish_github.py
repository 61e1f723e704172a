"""What of publishing hangs on GitHub's client: tokens, pages, names in URLs, and the command with all of it."""

from pathlib import Path

import pytest

from cijobs.publishing import MARKER, desk, failed, weak
from conftest import gitml
from forges.fixtures import many_comments
from gitml.http import HttpError
from gitml.reports.facts import Outcome, ReportedHow, ReportedModel, ReportedStage
from sandbox.forge_kit import Kit


@pytest.mark.parametrize("login", ["ada", "gitml-bot[bot]"])
def test_tokens_of_people_and_apps(kit: Kit, tmp_path: Path, login: str) -> None:
    d = desk(kit, tmp_path)
    d.ada.put("collaborators/gitml-bot[bot]", expect=201, permission="push")
    d.token = kit.token[login]
    d.run()
    d.run(run=2)
    assert [c.author for c in d.comments()] == [login]


def test_found_behind_many_pages(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    many_comments(kit, d.ada.repo, d.number, 110)
    first = d.run()
    many_comments(kit, d.ada.repo, d.number, 40)
    second = d.run(d.report(failed()), run=2)
    assert (second.how, second.url) == ("updated", first.url)
    assert d.token not in " ".join(d.said)
    bodies = [c["body"] for c in d.ada.get(f"issues/{d.number}/comments", per_page=100, page=2)]
    assert sum(MARKER in b for b in bodies) == 1


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
        assert [f"run={run} " in c.body for c in d.comments()] == [True]
    assert any("status" in line for line in d.said)


def test_a_wrong_idea_of_who_we_are(kit: Kit, tmp_path: Path) -> None:
    d = desk(kit, tmp_path)
    d.env["GITML_BOT"] = "somebody[bot]"
    for run in (1, 2, 3):
        d.run(run=run)
    assert [c.author for c in d.comments()] == ["gitml-bot[bot]"]


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
    assert comment.body.count("<!--") == 2
    assert d.status()[0] == "failure"
    assert not (tmp_path / "pwned").exists()


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
