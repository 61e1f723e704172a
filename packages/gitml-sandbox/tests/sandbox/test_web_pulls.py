"""Pull requests in the browser: review, comment, merge, and every reason why not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gitml_sandbox.changes import merge
from gitml_sandbox.forge import repos, reviews
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.web import checks as web_checks
from gitml_sandbox.web import serve as web_serve
from sandbox.forge_kit import Kit, commit, git
from sandbox.web_kit import Case, api, browser, png, protect

ONE_REVIEW = {"required_pull_request_reviews": {"required_approving_review_count": 1, "dismiss_stale_reviews": True}}


@pytest.fixture
def case(kit: Kit, tmp_path: Path) -> Case:
    return Case(kit, tmp_path / "a")


def test_review_and_merge(case: Case) -> None:
    protect(case.kit, case.repo, ONE_REVIEW)
    ada, olga = browser(case.kit, "ada"), browser(case.kit, "olga")
    before = olga.get(case.page)
    assert "Merging is blocked" in before
    assert "At least 1 approving review is required" in before
    assert case.review(olga, "APPROVE", "Good **work**").status_code == 303
    assert [r["state"] for r in case.api("ada", "GET", "/reviews")] == ["APPROVED"]
    after = ada.get(case.page)
    assert "Ready to merge" in after
    assert "Good <strong>work</strong>" in after
    answer = case.merge(ada)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{case.page}#merged"
    assert case.api("ada", "GET")["merged"] is True
    done = ada.get(case.page)
    assert "merged this into main" in done
    assert 'value="merge"' not in done
    assert "pull_request_review" in case.kit.events(case.repo)


def test_a_review_ends_the_one_that_was_begun(case: Case) -> None:
    olga = browser(case.kit, "olga")
    case.api("olga", "POST", "/reviews", {"body": "begun elsewhere"})
    assert "is not submitted yet" in olga.get(case.page)
    assert "begun elsewhere" not in browser(case.kit, "rita").get(case.page)
    assert case.review(olga, "APPROVE").status_code == 303
    assert [(r["state"], r["body"]) for r in case.api("ada", "GET", "/reviews")] == [("APPROVED", "begun elsewhere")]


@pytest.mark.nightly
@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_each_way_to_merge(case: Case, method: str) -> None:
    case.push()
    case.sha = case.head()
    assert case.merge(browser(case.kit, "olga"), method=method).status_code == 303
    git(case.clone, "fetch", "-q")
    parents = git(case.clone, "log", "-1", "--format=%P", "origin/main").split()
    assert len(parents) == (2 if method == "merge" else 1)
    assert (
        git(case.clone, "rev-list", "--count", "origin/main").strip()
        == {"merge": "4", "squash": "2", "rebase": "3"}[method]
    )


def test_nobody_approves_their_own(case: Case) -> None:
    me = browser(case.kit, "ada")
    page = me.get(case.page)
    assert "others have to approve it" in page
    assert page.count("disabled") == 2
    answer = case.review(me, "APPROVE", "I am great")
    assert answer.status_code == 422
    assert "Can not approve your own pull request" in answer.text
    assert "I am great" in answer.text
    assert case.api("ada", "GET", "/reviews") == []
    assert case.review(me, "COMMENT", "A remark").status_code == 303


def test_an_approval_is_for_what_was_on_the_screen(case: Case) -> None:
    olga = browser(case.kit, "olga")
    case.push()
    answer = case.review(olga, "APPROVE")
    assert answer.status_code == 409
    assert "The head moved while you were looking" in answer.text
    assert case.api("ada", "GET", "/reviews") == []


def test_a_moved_head_is_not_merged(case: Case) -> None:
    case.push()
    answer = case.merge(browser(case.kit, "olga"))
    assert answer.status_code == 409
    assert merge.HEAD_MOVED in answer.text
    assert case.merge(browser(case.kit, "olga"), sha="").status_code == 409
    assert case.api("ada", "GET")["merged"] is False


def test_all_reasons_are_on_the_page(case: Case) -> None:
    rule = {**ONE_REVIEW, "required_status_checks": {"strict": True, "contexts": ["gate"]}, "enforce_admins": True}
    protect(case.kit, case.repo, {**rule, "required_conversation_resolution": True})
    git(case.clone, "checkout", "-q", "-B", "other", "origin/main")
    olga = browser(case.kit, "olga")
    note = {"do": "note", "path": "work.txt", "line": "2", "side": "RIGHT", "body": "Why two?", "commit_id": case.sha}
    assert olga.post(f"{case.page}/files", note).status_code == 303
    page = olga.get(case.page)
    for words in ("At least 1 approving review", "gate", "1 conversation(s) must be resolved", "nobody has reported"):
        assert words in page
    answer = case.merge(olga)
    assert answer.status_code == 405
    assert "At least 1 approving review" in answer.text
    assert "conversation(s) must be resolved" in answer.text


@pytest.mark.nightly
def test_stale_approvals_after_a_push(case: Case) -> None:
    protect(case.kit, case.repo, ONE_REVIEW)
    case.review(browser(case.kit, "olga"), "APPROVE")
    case.push()
    page = browser(case.kit, "rita").get(case.page)
    assert "Merging is blocked" in page
    assert "gave a review that was dismissed" in page


def test_strangers_comment_and_cannot_do_more(case: Case) -> None:
    eve = browser(case.kit, "eve")
    assert eve.post(case.page, {"do": "comment", "body": "Nice"}).status_code == 303
    assert "Only people who may write to this repository can merge." in eve.get(case.page)
    assert "does not count" in eve.get(case.page)
    for form in ({"do": "close"}, {"do": "draft"}, {"do": "ready"}):
        assert eve.post(case.page, form).status_code in (400, 403)
    assert eve.post(case.page, {"do": "comment", "body": "bye", "then": "close"}).status_code == 403
    assert case.merge(eve).status_code == 403
    assert case.api("ada", "GET")["state"] == "open"
    protect(case.kit, case.repo, ONE_REVIEW)
    assert case.review(eve, "APPROVE").status_code == 303
    assert "Merging is blocked" in browser(case.kit, "rita").get(case.page)


def test_nobody_without_a_login_changes_anything(case: Case) -> None:
    nobody = browser(case.kit)
    assert "Log in" in nobody.get(case.page)
    assert nobody.send(case.page, {"do": "comment", "body": "x"}).status_code == 401


@pytest.mark.nightly
def test_admins_pass_over_rules_only_when_they_say_so(case: Case) -> None:
    protect(case.kit, case.repo, ONE_REVIEW)
    ada = browser(case.kit, "ada")
    assert "Requirements are not met" in ada.get(case.page)
    answer = case.merge(ada)
    assert answer.status_code == 422
    assert "Tick the box" in answer.text
    assert case.merge(ada, bypass="1").status_code == 303
    assert case.api("ada", "GET")["merged"] is True


def test_the_box_gives_nobody_else_a_right(case: Case) -> None:
    protect(case.kit, case.repo, ONE_REVIEW)
    assert case.merge(browser(case.kit, "olga"), bypass="1").status_code == 405


@pytest.mark.nightly
def test_close_reopen_and_draft(case: Case) -> None:
    ada = browser(case.kit, "ada")
    assert ada.post(case.page, {"do": "comment", "body": "Not now", "then": "close"}).status_code == 303
    closed = ada.get(case.page)
    assert "Not now" in closed
    assert "Reopen pull request" in closed
    assert f'href="{case.page}"' in ada.get(f"{case.home}/pulls?state=closed")
    assert ada.post(case.page, {"do": "comment", "body": "", "then": "reopen"}).status_code == 303
    assert ada.post(case.page, {"do": "comment", "body": "", "then": "draft"}).status_code == 303
    draft = ada.get(case.page)
    assert "Pull Request is still a draft" in draft
    assert ada.post(case.page, {"do": "ready"}).status_code == 303
    story = ada.get(case.page)
    for words in ("closed this", "reopened this", "turned this into a draft", "marked this as ready for review"):
        assert words in story
    assert story.index("Not now") < story.index("reopened this") < story.index("marked this as ready")


@pytest.mark.nightly
def test_the_story_is_in_order_within_a_second(case: Case) -> None:
    """And whatever the clocks say: of comments, reviews and pushes, the one that came first stands first."""
    olga, home = browser(case.kit, "olga"), f"/repos{case.home}/issues/{case.number}/comments"
    case.review(olga, "COMMENT", "the first word")
    api(case.kit, "rita", "POST", home, {"body": "the second word"}, 201)
    api(case.kit, "rita", "POST", home, {"body": "the third word"}, 201)
    sha = case.push()
    case.review(olga, "COMMENT", "the fifth word", sha)
    with case.kit.sandbox.store.write() as tx:
        for table, column in (("events", "created_at"), ("issue_comments", "created_at"), ("reviews", "submitted_at")):
            tx.execute(f"UPDATE {table} SET {column} = '2026-01-01T00:00:00Z'")
    story = olga.get(case.page)
    words = ("the first word", "the second word", "the third word", "More work", "the fifth word")
    assert sorted(words, key=story.index) == list(words)


def test_an_empty_comment_and_what_was_typed(case: Case) -> None:
    ada = browser(case.kit, "ada")
    answer = ada.post(case.page, {"do": "comment", "body": "  "})
    assert answer.status_code == 422
    long = ada.post(case.page, {"do": "comment", "body": "ä" * 65_537})
    assert long.status_code == 422
    assert "too long" in long.text
    assert "ä" * 65_537 in long.text


@pytest.mark.nightly
def test_comments_on_lines_and_their_resolution(case: Case) -> None:
    olga, ada, eve = (browser(case.kit, login) for login in ("olga", "ada", "eve"))
    form = olga.get(f"{case.page}/files?path=work.txt&side=RIGHT&line=2")
    assert 'id="compose"' in form
    note = {
        "do": "note",
        "path": "work.txt",
        "side": "RIGHT",
        "line": "2",
        "body": "Why **two**?",
        "commit_id": case.sha,
    }
    assert olga.post(f"{case.page}/files", note).status_code == 303
    assert olga.post(f"{case.page}/files", {**note, "line": "x"}).status_code == 422
    assert olga.post(f"{case.page}/files", {**note, "body": ""}).status_code == 422
    for page in (f"{case.page}/files", case.page):
        assert "Why <strong>two</strong>?" in ada.get(page)
    with case.kit.sandbox.store.read() as tx:
        row = reviews.conversation(tx, case.api("ada", "GET")["id"])[0]
    assert (row["path"], row["line"], row["side"]) == ("work.txt", 2, "RIGHT")
    resolve = {"do": "resolve", "note": str(row["id"])}
    assert eve.post(case.page, resolve).status_code == 403
    assert ada.post(case.page, {**resolve, "note": "999999"}).status_code == 404
    assert ada.post(case.page, resolve).status_code == 303
    assert "resolved by ada" in ada.get(case.page)
    assert ada.post(case.page, {**resolve, "do": "unresolve"}).status_code == 303
    assert "resolved by ada" not in ada.get(case.page)


@pytest.mark.nightly
def test_dismissing_a_review(case: Case) -> None:
    protect(case.kit, case.repo, ONE_REVIEW)
    olga, ada = browser(case.kit, "olga"), browser(case.kit, "ada")
    assert case.review(olga, "REQUEST_CHANGES", "No").status_code == 303
    review = case.api("ada", "GET", "/reviews")[0]["id"]
    form = {"do": "dismiss", "review_id": str(review), "message": ""}
    assert ada.post(case.page, form).status_code == 422
    assert browser(case.kit, "eve").post(case.page, {**form, "message": "x"}).status_code == 403
    assert ada.post(case.page, {**form, "message": "She is on holiday"}).status_code == 303
    assert "She is on holiday" in ada.get(case.page)


@pytest.mark.nightly
def test_a_force_push_is_told(case: Case) -> None:
    git(case.clone, "commit", "-q", "--amend", "-m", "Said better")
    git(case.clone, "push", "-q", "--force", "origin", "HEAD:work")
    page = browser(case.kit, "ada").get(case.page)
    assert f"force-pushed: the head was {case.sha[:7]} and is now {case.head()[:7]}" in page


def test_statuses_lead_to_their_details(case: Case) -> None:
    for context, url in (("here", f"{case.kit.url}{case.home}/actions"), ("there", "https://ci.example/1")):
        body = {"state": "success", "context": context, "target_url": url}
        api(case.kit, "olga", "POST", f"/repos/{case.repo.full_name}/statuses/{case.sha}", body, 201)
    page = browser(case.kit, "ada").get(f"{case.page}/checks")
    assert f'href="{case.home}/actions" rel="nofollow' in page
    assert 'href="https://ci.example/1" rel="nofollow noopener noreferrer"' in page


@pytest.mark.nightly
def test_pictures_of_a_report(case: Case) -> None:
    git(case.clone, "checkout", "-q", "--orphan", "pictures")
    (case.clone / "p.png").write_bytes(png(3, 3, lambda x, y: (9, 9, 9)))
    git(case.clone, "add", "p.png")
    git(case.clone, "commit", "-q", "-m", "p")
    git(case.clone, "push", "-q", "origin", "HEAD:pictures")
    body = f"![a]({case.kit.url}{case.home}/raw/pictures/p.png) ![b](https://evil.example/p.png)"
    ada = browser(case.kit, "ada")
    ada.post(case.page, {"do": "comment", "body": body})
    text = ada.get(case.page)
    assert f'src="{case.home}/raw/pictures/p.png"' in text
    assert "evil.example" not in text
    assert ada.client.get(f"{case.home}/raw/pictures/p.png").headers["content-type"] == "image/png"


@pytest.mark.nightly
def test_a_conflict_is_a_reason(case: Case) -> None:
    git(case.clone, "checkout", "-q", "-B", "other", "origin/main")
    commit(case.clone, "work.txt", "other\n")
    git(case.clone, "push", "-q", "origin", "HEAD:main")
    ada = browser(case.kit, "ada")
    deadline = time.monotonic() + 20
    # The first look starts the trial; the page loads itself again until it is known.
    while 'http-equiv="refresh"' in (page := ada.get(case.page)):
        assert "The merge is being tried" in page
        assert time.monotonic() < deadline
    assert "it has conflicts with the base branch" in page
    assert 'value="merge" disabled' in page


def test_words_of_a_refusal() -> None:
    both = web_serve.RefusalError(422, "Validation Failed", errors=[{"field": "title", "code": "missing_field"}])
    assert web_serve.sentence(both) == "title: missing_field"


def test_addresses_of_checks(kit: Kit, case: Case) -> None:
    class Here:
        sandbox = kit.sandbox

    assert web_checks.local_url(Here, "javascript:alert(1)") == ""  # type: ignore[arg-type]
    assert web_checks.local_url(Here, f"{kit.sandbox.base_url}/a/b") == "/a/b"  # type: ignore[arg-type]


@pytest.mark.nightly
def test_a_repository_without_ways_to_merge(case: Case) -> None:
    off = {"allow_merge_commit": False, "allow_squash_merge": False, "allow_rebase_merge": False}
    with case.kit.sandbox.store.write() as tx:
        repos.set_settings(tx, case.repo, off)
    assert "No way to merge is allowed" in browser(case.kit, "ada").get(case.page)
    assert case.merge(browser(case.kit, "ada")).status_code == 405


def test_an_empty_repository_says_how_to_fill_it(kit: Kit) -> None:
    repo: Repo = kit.repo()
    assert f"git clone {kit.url}/{repo.full_name}.git" in browser(kit).get(f"/{repo.full_name}")
    for page in ("/commits", "/tree/main", "/blob/main/x"):
        browser(kit).get(f"/{repo.full_name}{page}", 404)
    for page in ("/branches", "/pulls", "/compare", "/actions", "/settings", "/deployments"):
        browser(kit).get(f"/{repo.full_name}{page}")
