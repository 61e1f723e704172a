"""Reviews that are begun and not submitted: seen by who writes them, and counted by nobody."""

from __future__ import annotations

from github import PullRequestReview

from gitml_sandbox.forge.repos import Repo
from sandbox.forge_kit import Kit
from sandbox.rest_kit import Api, seeded
from sandbox.test_pygithub import client

NOTE = {"path": "feature.txt", "line": 1, "body": "why?"}


def begun(kit: Kit) -> tuple[Repo, Api, Api, Api, int, str]:
    """A pull request of ada's with a pending review of olga's: its number and the review's place."""
    repo, ada, olga, rita = seeded(kit)
    ada.protect()
    number = ada.pull()["number"]
    made = olga.post(f"pulls/{number}/reviews", expect=200, body="so far", comments=[NOTE])
    assert (made["state"], made["body"], "submitted_at" in made) == ("PENDING", "so far", False)
    return repo, ada, olga, rita, number, f"/api/v3/repos/{repo.full_name}/pulls/{number}/reviews/{made['id']}"


def ask(who: Api, method: str, path: str, expect: int = 200, **body: str) -> dict[str, object]:
    response = who.http.request(method, path, headers=who.headers, json=body or None)
    assert response.status_code == expect, response.text
    return dict(response.json())


def ask_list(who: Api, path: str) -> list[dict[str, object]]:
    return list(who.http.get(path, headers=who.headers).json())


def test_a_pending_review_is_seen_by_its_author_alone(kit: Kit) -> None:
    repo, ada, olga, rita, number, place = begun(kit)
    before = ada.get(f"pulls/{number}")
    assert [r["state"] for r in olga.get(f"pulls/{number}/reviews")] == ["PENDING"]
    assert ask(olga, "GET", place)["body"] == "so far"
    for who in (ada, rita):
        assert who.get(f"pulls/{number}/reviews") == []
        for method, path, body in (
            ("GET", place, {}),
            ("PUT", place, {"body": "mine"}),
            ("DELETE", place, {}),
            ("POST", f"{place}/events", {"event": "APPROVE"}),
            ("PUT", f"{place}/dismissals", {"message": "no"}),
        ):
            ask(who, method, path, expect=404, **body)
    (note,) = ask_list(olga, f"{place}/comments")
    ask(olga, "GET", f"/api/v3/repos/{repo.full_name}/pulls/comments/{note['id']}")
    ask(rita, "GET", f"/api/v3/repos/{repo.full_name}/pulls/comments/{note['id']}", expect=404)
    assert ask_list(olga, f"/api/v3/repos/{repo.full_name}/pulls/comments") == []
    assert (before["review_comments"], before["mergeable_state"]) == (0, "blocked")
    assert kit.events(repo).count("pull_request_review") == 0


def test_one_per_person_until_it_is_submitted(kit: Kit) -> None:
    repo, ada, olga, rita, number, place = begun(kit)
    assert "one pending review" in str(olga.post(f"pulls/{number}/reviews", expect=422))
    assert "one pending review" in str(olga.review(number, expect=422))
    rita.post(f"pulls/{number}/reviews", expect=200, body="another person")
    assert ask(olga, "PUT", place, body="done")["body"] == "done"
    assert ask(olga, "PUT", place, expect=422, body=" ")
    ask(olga, "POST", f"{place}/events", expect=422)
    done = ask(olga, "POST", f"{place}/events", event="APPROVE")
    assert (done["state"], done["body"], bool(done["submitted_at"])) == ("APPROVED", "done", True)
    assert ada.get(f"pulls/{number}")["review_comments"] == 1
    ask(olga, "POST", f"{place}/events", expect=422, event="COMMENT")
    ask(olga, "DELETE", place, expect=422)
    ask(rita, "PUT", place, expect=403, body="not mine")
    assert kit.events(repo).count("pull_request_review") == 1
    ada.merge(number)


def test_a_request_for_a_review_stands_until_it_is_submitted(kit: Kit) -> None:
    _, ada, olga, _, number, place = begun(kit)
    ada.post(f"pulls/{number}/requested_reviewers", reviewers=["olga"])
    ask(olga, "PUT", place, body="more")
    assert [u["login"] for u in ada.get(f"pulls/{number}/requested_reviewers")["users"]] == ["olga"]
    ask(olga, "POST", f"{place}/events", event="REQUEST_CHANGES")
    assert ada.get(f"pulls/{number}/requested_reviewers")["users"] == []


def test_a_stale_approval_does_not_come_back_by_a_late_submission(kit: Kit) -> None:
    _, ada, olga, _, number, place = begun(kit)
    ada.protect(required_pull_request_reviews={"required_approving_review_count": 1, "dismiss_stale_reviews": True})
    ada.write("more.txt", "more", "feature")
    ask(olga, "POST", f"{place}/events", event="APPROVE")
    ada.merge(number, expect=405)


def test_the_rules_of_a_review_hold_when_it_is_submitted(kit: Kit) -> None:
    _, ada, _, _, number, _ = begun(kit)
    mine = ada.post(f"pulls/{number}/reviews", expect=200)
    place = f"/api/v3/repos/{ada.repo}/pulls/{number}/reviews/{mine['id']}"
    assert "your own" in str(ask(ada, "POST", f"{place}/events", expect=422, event="APPROVE"))
    assert "blank" in str(ask(ada, "POST", f"{place}/events", expect=422, event="COMMENT"))
    ask(ada, "POST", f"{place}/events", event="COMMENT", body="a word")


def test_a_discarded_review_leaves_nothing(kit: Kit) -> None:
    _, ada, olga, _, number, place = begun(kit)
    assert ask(olga, "DELETE", place)["state"] == "PENDING"
    ask(olga, "GET", place, expect=404)
    assert olga.review(number)["state"] == "APPROVED"
    assert ada.get(f"pulls/{number}")["review_comments"] == 0


def test_pygithub_begins_changes_submits_and_deletes(kit: Kit) -> None:
    repo, ada, _, _ = seeded(kit)
    number = ada.pull()["number"]
    olga = client(kit, "olga")
    pull = olga.get_repo(repo.full_name).get_pull(number)
    first = pull.create_review(body="draft")
    assert (first.state, [r.id for r in pull.get_reviews()]) == ("PENDING", [first.id])
    first.edit("better")
    assert pull.get_review(first.id).body == "better"
    first.delete()
    assert list(pull.get_reviews()) == []
    second = pull.create_review(body="again", comments=[{"path": "feature.txt", "position": 1, "body": "why?"}])
    # The client has no word for this.
    olga.requester.requestJsonAndCheck(
        "POST", f"{pull.url}/reviews/{second.id}/events", input={"event": "REQUEST_CHANGES"}
    )
    (seen,) = client(kit, "ada").get_repo(repo.full_name).get_pull(number).get_reviews()
    assert isinstance(seen, PullRequestReview.PullRequestReview)
    assert (seen.state, seen.body, seen.user.login) == ("CHANGES_REQUESTED", "again", "olga")
    assert [c.body for c in pull.get_review_comments()] == ["why?"]
    assert [c.body for c in pull.get_single_review_comments(second.id)] == ["why?"]
    olga.close()
