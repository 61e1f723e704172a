"""REST: branch protection, and its read-only view as rules."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, ValidationError

from gitml_sandbox.forge import protections, repos, statuses, users
from gitml_sandbox.forge.protections import Actors, Protection
from gitml_sandbox.forge.refusals import RefusalError, invalid
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.rest.call import Body, Call, Operation, Reply, paged
from gitml_sandbox.serial import checks as json_of


class Rule(Body):
    """The whole body goes to ``protections.from_request``; what GitHub demands must be there, even as null."""

    model_config = ConfigDict(frozen=True, extra="allow")

    required_status_checks: dict[str, Any] | None
    enforce_admins: bool | None
    required_pull_request_reviews: dict[str, Any] | None
    restrictions: dict[str, Any] | None


def _branch(call: Call) -> str:
    """Raises RefusalError 404 when the branch is not there."""
    name = call.path["branch"]
    if gitrepo.ref_sha(repos.path(call.sandbox, call.repo), f"refs/heads/{name}") is None:
        raise RefusalError(404, "Branch not found")
    return name


def get(call: Call) -> Reply:
    name = _branch(call)
    rule = protections.find(call.view.tx, call.repo.id, name)
    if rule is None:
        raise RefusalError(404, "Branch not protected")
    return Reply(json_of.protection(call.view, call.repo, name, rule))


def part(call: Call) -> Reply:
    """One part of a protection, by the path that its link has."""
    found: Any = get(call).body
    for word in (call.path[name] for name in ("part", "inner") if name in call.path):
        inner = found.get("required_pull_request_reviews", {}) if word == "dismissal_restrictions" else found
        if word not in inner:
            raise RefusalError(404, "Branch not protected")
        found = inner[word]
    return Reply(found)


def put(call: Call) -> Reply:
    name, view, repo = _branch(call), call.view, call.repo
    body = call.body(Rule).model_dump(exclude_unset=True)
    try:
        rule = protections.from_request(body)
    except ValidationError as exc:
        first = exc.errors()[0]
        raise invalid("BranchProtection", ".".join(map(str, first["loc"])), "invalid", first["msg"]) from None
    rule = _with_sources(call, rule, body)
    _check_names(call, rule)
    protections.save(view.tx, repo.id, name, rule)
    return Reply(json_of.protection(view, repo, name, rule))


def _with_sources(call: Call, rule: Protection, body: dict[str, Any]) -> Protection:
    """A check without app_id is pinned to the app that last posted it, as on GitHub; -1 leaves it open."""
    wanted = rule.required_status_checks
    listed = (body.get("required_status_checks") or {}).get("checks")
    if wanted is None or not isinstance(listed, list):
        return rule
    free = {c.get("context") for c in listed if isinstance(c, dict) and c.get("app_id") is None}
    pinned = tuple(
        c.model_copy(update={"app_id": statuses.newest_source(call.view.tx, call.repo.id, c.context)})
        if c.context in free
        else c
        for c in wanted.checks
    )
    return rule.model_copy(update={"required_status_checks": wanted.model_copy(update={"checks": pinned})})


def _check_names(call: Call, rule: Protection) -> None:
    """Everybody named must exist, or a rule would silently name nobody."""
    reviews = rule.required_pull_request_reviews
    groups = [rule.restrictions]
    if reviews is not None:
        groups += [reviews.dismissal_restrictions, reviews.bypass_pull_request_allowances]
    for group in groups:
        for login in _unknown(call, group or Actors()):
            raise invalid("BranchProtection", "users", "invalid", f"{login} is not known here")


def _unknown(call: Call, actors: Actors) -> list[str]:
    tx = call.view.tx
    people = [login for login in actors.users if users.find(tx, login) is None]
    apps = [slug for slug in actors.apps if users.find(tx, f"{slug}[bot]") is None]
    sql = "SELECT 1 FROM teams WHERE org_id = ? AND slug = ?"
    teams = [slug for slug in actors.teams if tx.execute(sql, (call.repo.owner_id, slug)).fetchone() is None]
    return [*people, *apps, *teams]


def delete(call: Call) -> Reply:
    if not protections.delete(call.view.tx, call.repo.id, _branch(call)):
        raise RefusalError(404, "Branch not protected")
    return Reply(status=204)


def branch_rules(call: Call) -> Reply:
    """The protection of a branch in the words of rulesets; a branch that does not exist has none."""
    rule = protections.find(call.view.tx, call.repo.id, call.path["branch"])
    return paged(call, json_of.branch_rules(call.repo, rule), lambda r: r)


def rulesets(call: Call) -> Reply:
    """None: this forge has branch protection, and shows it through rules/branches."""
    return paged(call, (), lambda r: r)


_ONE = "/repos/{owner}/{repo}"
_PROTECTION = f"{_ONE}/branches/{{branch}}/protection"
OPERATIONS = (
    Operation("GET", _PROTECTION, get, scope="administration", role="admin"),
    Operation("GET", f"{_PROTECTION}/{{part}}", part, scope="administration", role="admin"),
    Operation("GET", f"{_PROTECTION}/{{part}}/{{inner}}", part, scope="administration", role="admin"),
    Operation("PUT", _PROTECTION, put, scope="administration", role="admin", tx="write", body=Rule),
    Operation("DELETE", _PROTECTION, delete, scope="administration", role="admin", tx="write"),
    Operation("GET", f"{_ONE}/rules/branches/{{branch}}", branch_rules),
    Operation("GET", f"{_ONE}/rulesets", rulesets),
)
