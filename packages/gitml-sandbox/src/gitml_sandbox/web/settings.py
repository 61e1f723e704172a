"""Pages to read: what protects the branches, who may do what, Environments and deployments."""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.responses import Response

from gitml_sandbox.actions import jobstatus
from gitml_sandbox.changes import merge
from gitml_sandbox.forge import deployments, environments, protections, repos, users
from gitml_sandbox.forge.protections import Actors, Protection
from gitml_sandbox.web.serve import Page, Visit
from gitml_sandbox.web.words import plural

MAX_DEPLOYMENTS = 100


def settings(visit: Visit) -> Response:
    """Protection, collaborators and switches; they are changed by the API or the command line."""
    guarded = protections.branches(visit.tx, visit.repo.id)
    people = visit.tx.execute(
        "SELECT login, type, permission FROM collaborators JOIN users ON users.id = user_id WHERE repo_id = ?"
        " ORDER BY login",
        (visit.repo.id,),
    ).fetchall()
    return visit.show(
        "settings.html",
        tab="settings",
        guarded={name: rules_in_words(visit, rule) for name, rule in guarded.items()},
        people=people if visit.writes else [],
        methods=[name for name, switch in merge.METHODS.items() if repos.switch(visit.repo, switch)],
        delete_branch=repos.switch(visit.repo, "delete_branch_on_merge"),
    )


def rules_in_words(visit: Visit, rule: Protection) -> list[str]:
    """Each rule of a branch as a sentence."""
    found = [*_reviews(rule), *_checks(visit, rule)]
    if rule.restrictions is not None:
        found.append(f"Only these may push or merge: {names(rule.restrictions) or 'nobody'}")
    switches = {
        "History must be linear: squash or rebase": rule.required_linear_history,
        "All conversations must be resolved": rule.required_conversation_resolution,
        "The branch is locked: nobody may push": rule.lock_branch,
        "Force pushes are allowed": rule.allow_force_pushes,
        "The branch may be deleted": rule.allow_deletions,
    }
    found += [words for words, on in switches.items() if on]
    admins = "Administrators have to follow these rules, too" if rule.enforce_admins else "Administrators may bypass"
    return [*found, admins]


def _reviews(rule: Protection) -> list[str]:
    wanted = rule.required_pull_request_reviews
    if wanted is None:
        return []
    found = [f"Changes need a pull request with {plural(wanted.required_approving_review_count, 'approval')}"]
    switches = {
        "A push makes approvals of older commits void": wanted.dismiss_stale_reviews,
        "Code owners must approve": wanted.require_code_owner_reviews,
        "Somebody other than the last pusher must approve": wanted.require_last_push_approval,
    }
    found += [words for words, on in switches.items() if on]
    if bypass := names(wanted.bypass_pull_request_allowances):
        found.append(f"These need no pull request: {bypass}")
    return found


def _checks(visit: Visit, rule: Protection) -> list[str]:
    wanted = rule.required_status_checks
    if wanted is None:
        return []
    strict = ["The branch must be up to date before it is merged"] if wanted.strict else []
    sources = {c.context: users.by_id(visit.tx, c.app_id).login if c.app_id else "" for c in wanted.checks}
    return [*strict, *(f"Check “{c}” must succeed{f', posted by {by}' if by else ''}" for c, by in sources.items())]


def names(actors: Actors) -> str:
    return ", ".join((*actors.users, *(f"team {t}" for t in actors.teams), *(f"app {a}" for a in actors.apps)))


def deployed(visit: Visit) -> Response:
    """Environments with their rules and what runs there; deployments, newest first.

    Each run of a job that names an environment, for its secrets, makes one: the newest stands for all of these.
    """
    rows = deployments.listing(visit.tx, visit.repo.id)
    known = {e.name: e for e in environments.listing(visit.tx, visit.repo.id)}
    newest: dict[str, sqlite3.Row] = {}
    for row in rows:
        newest.setdefault(row["environment"], row)
    current = {name: _deployment(visit, newest[name]) if name in newest else None for name in {**known, **newest}}
    rules = {name: _environment(visit, known[name]) if name in known else [] for name in current}
    job = users.find(visit.tx, jobstatus.BOT)
    kept = [r for r in rows if not job or r["creator_id"] != job.id or r is newest[r["environment"]]]
    shown = [_deployment(visit, row) for row in kept[:MAX_DEPLOYMENTS]]
    told = {"rows": shown, "total": len(kept), "left": len(rows) - len(kept)}
    return visit.show("deployments.html", tab="deployments", current=current, rules=rules, told=told)


def _deployment(visit: Visit, row: sqlite3.Row) -> dict[str, Any]:
    said = deployments.statuses(visit.tx, row["id"])
    url = said[0]["environment_url"] if said else ""
    log = said[0]["log_url"] if said else ""
    return {
        "row": row,
        "by": users.by_id(visit.tx, row["creator_id"]),
        "state": said[0]["state"] if said else "pending",
        "words": said[0]["description"] if said else "",
        "at": said[0]["created_at"] if said else row["created_at"],
        "url": url if url.startswith(("http://", "https://")) else "",
        "log": log if log.startswith(("http://", "https://")) else "",
    }


def _environment(visit: Visit, place: environments.Environment) -> list[str]:
    found = []
    if place.reviewers:
        people = ", ".join(users.by_id(visit.tx, n).login for n in place.reviewers)
        found.append(f"One of these must let a job in: {people}")
    if place.prevent_self_review:
        found.append("Not by the one who started the run")
    if place.wait_minutes:
        found.append(f"Jobs wait {plural(place.wait_minutes, 'minute')}")
    if place.protected_branches:
        found.append("Only for protected branches")
    if place.branches is not None:
        found.append(f"Only for these branches: {', '.join(place.branches) or 'none'}")
    return found


_R = "/{owner}/{repo}"
PAGES = (
    Page(f"{_R}/settings", settings),
    Page(f"{_R}/deployments", deployed),
    Page(f"{_R}/deployments/activity_log", deployed),
)
