"""JSON of issues, pull requests, reviews, comments and labels."""

from __future__ import annotations

import json
import sqlite3
from urllib.parse import quote

from gitml_sandbox.forge import comments, issues, pulls, repos, reviews
from gitml_sandbox.forge.context import View
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.serial import people as people_json
from gitml_sandbox.serial.people import JSON, node_id, repo_api, repo_web


def label(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    return {
        "id": row["id"],
        "node_id": node_id("Label", row["id"]),
        "url": f"{repo_api(view, repo)}/labels/{quote(row['name'], safe='')}",
        "name": row["name"],
        "color": row["color"],
        "default": False,
        "description": row["description"] or "",
    }


def reactions(url: str) -> JSON:
    """Nobody reacts here, but clients look."""
    kinds = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
    return {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(kinds, 0)}


def _people(view: View, issue_id: int) -> JSON:
    assigned = [people_json.user_id(view, u) for u in issues.assignees(view.tx, issue_id)]
    return {"assignee": assigned[0] if assigned else None, "assignees": assigned}


def issue(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    """issue; for a pull request with the links that tell it from one."""
    api, web = repo_api(view, repo), repo_web(view, repo)
    url = f"{api}/issues/{row['number']}"
    shown = {
        "id": row["id"],
        "node_id": node_id("Issue", row["id"]),
        "url": url,
        "repository_url": api,
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "timeline_url": f"{url}/timeline",
        "html_url": f"{web}/{'pull' if row['is_pull'] else 'issues'}/{row['number']}",
        "number": row["number"],
        "state": row["state"],
        "state_reason": row["state_reason"],
        "title": row["title"],
        "body": row["body"],
        "user": people_json.user_id(view, row["user_id"]),
        "labels": [label(view, repo, r) for r in issues.labels_of(view.tx, row["id"])],
        **_people(view, row["id"]),
        "milestone": None,
        "locked": False,
        "active_lock_reason": None,
        "comments": comments.count(view.tx, row["id"]),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "closed_at": row["closed_at"],
        "closed_by": people_json.user_id(view, row["closed_by"]),
        "author_association": people_json.association(view, repo, row["user_id"]),
        "performed_via_github_app": people_json.app_id(view, row["app_id"]),
        "reactions": reactions(url),
    }
    return {**shown, **(_as_pull(view, repo, row) if row["is_pull"] else {})}


def _as_pull(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    pull = pulls.by_id(view.tx, row["id"])
    web = f"{repo_web(view, repo)}/pull/{pull.number}"
    return {
        "draft": pull.draft,
        "pull_request": {
            "url": f"{repo_api(view, repo)}/pulls/{pull.number}",
            "html_url": web,
            "diff_url": f"{web}.diff",
            "patch_url": f"{web}.patch",
            "merged_at": pull.merged_at,
        },
    }


def comment(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    """issue-comment."""
    api, parent = repo_api(view, repo), issues.by_id(view.tx, row["issue_id"])
    url = f"{api}/issues/comments/{row['id']}"
    place = "pull" if parent["is_pull"] else "issues"
    return {
        "id": row["id"],
        "node_id": node_id("IssueComment", row["id"]),
        "url": url,
        "html_url": f"{repo_web(view, repo)}/{place}/{parent['number']}#issuecomment-{row['id']}",
        "issue_url": f"{api}/issues/{parent['number']}",
        "user": people_json.user_id(view, row["user_id"]),
        "body": row["body"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "author_association": people_json.association(view, repo, row["user_id"]),
        "performed_via_github_app": people_json.app_id(view, row["app_id"]),
        "reactions": reactions(url),
    }


def commit_comment(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    url = f"{repo_api(view, repo)}/comments/{row['id']}"
    return {
        "id": row["id"],
        "node_id": node_id("CommitComment", row["id"]),
        "url": url,
        "html_url": f"{repo_web(view, repo)}/commit/{row['sha']}#commitcomment-{row['id']}",
        "commit_id": row["sha"],
        "path": row["path"],
        "line": row["line"],
        "position": row["position"],
        "user": people_json.user_id(view, row["user_id"]),
        "body": row["body"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "author_association": people_json.association(view, repo, row["user_id"]),
        "reactions": reactions(url),
    }


def review(view: View, repo: Repo, pull: Pull, row: sqlite3.Row) -> JSON:
    """pull-request-review."""
    html = f"{repo_web(view, repo)}/pull/{pull.number}#pullrequestreview-{row['id']}"
    url = f"{repo_api(view, repo)}/pulls/{pull.number}"
    return {
        "id": row["id"],
        "node_id": node_id("PullRequestReview", row["id"]),
        "user": people_json.user_id(view, row["user_id"]),
        "body": row["body"],
        "state": row["state"],
        "commit_id": row["commit_id"],
        "html_url": html,
        "pull_request_url": url,
        "author_association": people_json.association(view, repo, row["user_id"]),
        "_links": {"html": {"href": html}, "pull_request": {"href": url}},
        **({"submitted_at": row["submitted_at"]} if row["submitted_at"] else {}),
    }


def review_comment(view: View, repo: Repo, pull: Pull, row: sqlite3.Row) -> JSON:
    """pull-request-review-comment; the hunk that it stands in is left to the difference."""
    url = f"{repo_api(view, repo)}/pulls/comments/{row['id']}"
    parent = f"{repo_api(view, repo)}/pulls/{pull.number}"
    html = f"{repo_web(view, repo)}/pull/{pull.number}#discussion_r{row['id']}"
    return {
        "id": row["id"],
        "node_id": node_id("PullRequestReviewComment", row["id"]),
        "url": url,
        "pull_request_review_id": row["review_id"],
        "diff_hunk": "",
        "path": row["path"],
        "line": row["line"],
        "original_line": row["line"],
        "side": row["side"],
        "commit_id": row["commit_id"],
        "original_commit_id": row["commit_id"],
        "user": people_json.user_id(view, row["user_id"]),
        "body": row["body"],
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
        "html_url": html,
        "pull_request_url": parent,
        "author_association": people_json.association(view, repo, row["user_id"]),
        "_links": {name: {"href": link} for name, link in (("self", url), ("html", html), ("pull_request", parent))},
        "reactions": reactions(url),
    }


def review_dismissed(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    """issue-event of a review that was taken out of the count."""
    return {
        "id": row["id"],
        "node_id": node_id("ReviewDismissedEvent", row["id"]),
        "url": f"{repo_api(view, repo)}/issues/events/{row['id']}",
        "actor": people_json.user_id(view, row["dismissed_by"]) if row["dismissed_by"] else None,
        "event": "review_dismissed",
        "commit_id": None,
        "commit_url": None,
        "created_at": row["dismissed_at"],
        "performed_via_github_app": None,
        "dismissed_review": {
            "state": row["dismissed_state"].lower(),
            "review_id": row["id"],
            "dismissal_message": row["dismissal"] or None,
        },
    }


def labeled(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    """issue-event of a label that somebody put on; ``row`` is the webhook's event of it."""
    told = json.loads(row["payload"])
    return {
        "id": row["id"],
        "node_id": node_id("LabeledEvent", row["id"]),
        "url": f"{repo_api(view, repo)}/issues/events/{row['id']}",
        "actor": people_json.user_id(view, row["actor_id"]) if row["actor_id"] else None,
        "event": "labeled",
        "commit_id": None,
        "commit_url": None,
        "created_at": told["pull_request"]["updated_at"],
        "performed_via_github_app": None,
        "label": {"name": told["label"]["name"], "color": told["label"]["color"]},
    }


def side(view: View, ref: str, sha: str, repo_id: int | None) -> JSON:
    """The head or the base of a pull request; a fork may be gone."""
    home = repos.by_id(view.tx, repo_id) if repo_id is not None else None
    return {
        "label": f"{home.owner if home else 'unknown repository'}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": people_json.user_id(view, home.owner_id) if home else None,
        "repo": people_json.repository(view, home) if home else None,
    }


def pull_minimal(view: View, repo: Repo, pull: Pull) -> JSON:
    def short(ref: str, sha: str, repo_id: int | None) -> JSON:
        home = repos.by_id(view.tx, repo_id) if repo_id is not None else repo
        return {"ref": ref, "sha": sha, "repo": {"id": home.id, "url": repo_api(view, home), "name": home.name}}

    return {
        "id": pull.id,
        "number": pull.number,
        "url": f"{repo_api(view, repo)}/pulls/{pull.number}",
        "head": short(pull.head_ref, pull.head_sha, pull.head_repo_id),
        "base": short(pull.base_ref, pull.base_sha, pull.repo_id),
    }


def pull_simple(view: View, repo: Repo, pull: Pull) -> JSON:
    """pull-request-simple: as in lists."""
    api, web = repo_api(view, repo), f"{repo_web(view, repo)}/pull/{pull.number}"
    links = _links(api, web, pull)
    return {
        "id": pull.id,
        "node_id": node_id("PullRequest", pull.id),
        "url": links["self"],
        "html_url": web,
        "diff_url": f"{web}.diff",
        "patch_url": f"{web}.patch",
        "issue_url": links["issue"],
        "commits_url": links["commits"],
        "comments_url": links["comments"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "statuses_url": links["statuses"],
        "number": pull.number,
        "state": pull.state,
        "locked": False,
        "active_lock_reason": None,
        "title": pull.title,
        "body": pull.body,
        "user": people_json.user_id(view, pull.author_id),
        "labels": [label(view, repo, r) for r in issues.labels_of(view.tx, pull.id)],
        "milestone": None,
        **_people(view, pull.id),
        "requested_reviewers": [people_json.user_id(view, u) for u in pulls.requested_users(view.tx, pull.id)],
        "requested_teams": [people_json.team(view, t) for t in pulls.requested_teams(view.tx, pull.id)],
        "head": side(view, pull.head_ref, pull.head_sha, pull.head_repo_id),
        "base": side(view, pull.base_ref, pull.base_sha, pull.repo_id),
        "draft": pull.draft,
        "auto_merge": None,
        "merge_commit_sha": pull.merge_commit_sha or pull.merge_sha,
        "merged_at": pull.merged_at,
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "author_association": people_json.association(view, repo, pull.author_id),
        "_links": {name: {"href": link} for name, link in links.items()},
    }


def _links(api: str, web: str, pull: Pull) -> dict[str, str]:
    here = f"{api}/pulls/{pull.number}"
    return {
        "self": here,
        "html": web,
        "issue": f"{api}/issues/{pull.number}",
        "comments": f"{api}/issues/{pull.number}/comments",
        "review_comments": f"{here}/comments",
        "review_comment": f"{api}/pulls/comments{{/number}}",
        "commits": f"{here}/commits",
        "statuses": f"{api}/statuses/{pull.head_sha}",
    }


def pull(view: View, repo: Repo, this: Pull, mergeable_state: str) -> JSON:
    """pull-request: with counts and what stands in the way. ``mergeable`` is null while it is not known."""
    bare = repos.path(view.sandbox, repo)
    start = pulls.merge_base(view.sandbox, repo, this)
    changed = gitview.counts(bare, start, this.head_sha)
    base = start if start != gitview.EMPTY_TREE else None
    mergeable = this.mergeable if this.state == "open" else None
    return {
        **pull_simple(view, repo, this),
        "merged": this.merged,
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": mergeable_state,
        "merged_by": people_json.user_id(view, this.merged_by),
        "comments": comments.count(view.tx, this.id),
        "review_comments": len(reviews.conversation(view.tx, this.id)),
        "maintainer_can_modify": this.maintainer_can_modify,
        "commits": len(gitrepo.commits_between(bare, base, this.head_sha)),
        "additions": changed[1],
        "deletions": changed[2],
        "changed_files": changed[0],
    }
