"""Events as the forge itself makes them, from end to end: which run starts at which ref, about which commit."""

from __future__ import annotations

import sqlite3

import pytest

from sandbox.runner_kit import Works

EVERYTHING = """
    name: All
    on:
      pull_request: {types: [opened, synchronize, closed]}
      pull_request_review:
      push: {tags: ['v*']}
    jobs:
      a:
        runs-on: ubuntu-latest
        steps:
          - run: echo "$GITHUB_EVENT_NAME ref=$GITHUB_REF head=$GITHUB_HEAD_REF base=$GITHUB_BASE_REF by=$GITHUB_ACTOR"
          - uses: actions/checkout@v4
          - run: test "$(git rev-parse HEAD)" = "$GITHUB_SHA"; git status --short --branch; ls
    """


def said(works: Works, run: sqlite3.Row) -> str:
    job = works.jobs(run)["a"]
    assert job["conclusion"] == "success", works.log(job)
    return works.log(job)


def test_the_life_of_a_pull_request(works: Works) -> None:
    works.flow(EVERYTHING)
    head = works.push({"new.txt": "1"}, branch="topic")
    number = works.pull("topic")["number"]
    (opened,) = works.done("pull_request")
    assert f"pull_request ref=refs/pull/{number}/merge head=topic base=main by=ada" in said(works, opened)
    assert "new.txt" in said(works, opened)
    assert works.statuses(head) == {"All / a": "success"}
    assert (opened["head_sha"], opened["head_branch"]) == (head, "topic")
    assert opened["sha"] != head

    later = works.push({"new.txt": "2"}, branch="topic")
    synchronized = works.done("pull_request", 2)[1]
    assert (synchronized["action"], synchronized["head_sha"]) == ("synchronize", later)

    review = {"event": "APPROVE", "body": "good", "commit_id": later}
    assert works.api("POST", f"/pulls/{number}/reviews", review, token="olga").status_code == 200
    (reviewed,) = works.done("pull_request_review")
    assert f"pull_request_review ref=refs/pull/{number}/merge head=topic base=main by=olga" in said(works, reviewed)
    assert reviewed["head_sha"] == later

    assert works.api("PUT", f"/pulls/{number}/merge", {"sha": later}).status_code == 200
    closed = works.done("pull_request", 3)[2]
    assert (closed["action"], closed["ref"]) == ("closed", "refs/heads/main")
    works.settled()
    assert {r["event"] for r in works.runs()} == {"pull_request", "pull_request_review"}


@pytest.mark.nightly
def test_tags(works: Works) -> None:
    sha = works.flow(EVERYTHING)
    works.push({}, branch="x")
    assert works.api("POST", "/git/refs", {"ref": "refs/tags/v1", "sha": sha}).status_code == 201
    (tagged,) = works.done("push")
    assert "push ref=refs/tags/v1" in said(works, tagged)
