"""What guards a repository: Environments with their secrets, protection of branches, what jobs may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gitml.forges.governed import POSTED_LAST, ForgeCheck, ForgeEnvironment, Protection
from gitml.forges.rest import Rest, Shape, absent_is_none, word

_FLAGS = (
    "required_linear_history",
    "block_creations",
    "required_conversation_resolution",
    "lock_branch",
    "allow_fork_syncing",
)
_JOBS = "actions/permissions/workflow"


class GithubGuards:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def environment(self, name: str) -> ForgeEnvironment | None:
        with absent_is_none():
            return self._environment(name, self._rest.one("GET", f"environments/{word(name)}"))
        return None

    def _environment(self, name: str, shape: Shape) -> ForgeEnvironment:
        custom = shape.flag("deployment_branch_policy", "custom_branch_policies")
        protected = shape.flag("deployment_branch_policy", "protected_branches")
        if not custom:
            return ForgeEnvironment(shape.text("name"), None, protected)
        pages = self._rest.pages(f"environments/{word(name)}/deployment-branch-policies", wrap="branch_policies")
        return ForgeEnvironment(shape.text("name"), tuple(s.text("name") for s in pages), protected)

    def secrets(self, environment: str) -> tuple[str, ...]:
        place = f"environments/{word(environment)}" if environment else "actions"
        pages = self._rest.pages(f"{place}/secrets", wrap="secrets")
        return tuple(s.text("name") for s in pages)

    def set_environment(self, name: str, branches: Sequence[str]) -> ForgeEnvironment:
        path = f"environments/{word(name)}"
        body: dict[str, Any] = {"deployment_branch_policy": _NAMED_ONLY}
        with absent_is_none():
            # What is left out of the call would be taken away.
            body |= _kept_rules(self._rest.one("GET", path))
        self._rest.call("PUT", path, body)
        there = self.environment(name)
        for branch in branches:
            if there is None or branch not in (there.branches or ()):
                self._rest.call("POST", f"{path}/deployment-branch-policies", {"name": branch, "type": "branch"})
        return self._environment(name, self._rest.one("GET", path))

    def protection(self, branch: str) -> Protection | None:
        found = self._protection(branch)
        return _protection(found) if found else None

    def _protection(self, branch: str) -> Shape | None:
        with absent_is_none():
            return self._rest.one("GET", f"branches/{word(branch)}/protection")
        return None

    def protect(self, branch: str, wanted: Protection) -> Protection:
        there = self._protection(branch)
        body = _raised(there or Shape({}, ""), wanted)
        return _protection(self._rest.one("PUT", f"branches/{word(branch)}/protection", body))

    def jobs_may_open(self) -> bool:
        return self._rest.one("GET", _JOBS).flag("can_approve_pull_request_reviews")

    def let_jobs_open(self, *, yes: bool) -> None:
        default = self._rest.one("GET", _JOBS).text_or("default_workflow_permissions", default="read")
        body = {"default_workflow_permissions": default, "can_approve_pull_request_reviews": yes}
        self._rest.call("PUT", _JOBS, body)

    def own(self, schedules: Mapping[str, str], *, fix: bool = False) -> tuple[ForgeCheck, ...]:
        """Nothing: all that workflows need stands in their files."""
        return ()


_NAMED_ONLY = {"protected_branches": False, "custom_branch_policies": True}


def _kept_rules(shape: Shape) -> dict[str, Any]:
    """The rules of an Environment in the words in which they are set."""
    kept: dict[str, Any] = {}
    for rule in shape.objects("protection_rules"):
        if rule.text("type") == "wait_timer":
            kept["wait_timer"] = rule.number_or("wait_timer")
        elif rule.text("type") == "required_reviewers":
            who = rule.objects("reviewers")
            kept["reviewers"] = [{"type": w.text("type"), "id": w.number("reviewer", "id")} for w in who]
            kept["prevent_self_review"] = rule.flag("prevent_self_review")
    return kept


def _protection(shape: Shape) -> Protection:
    reviews, checks = "required_pull_request_reviews", shape.plain("required_status_checks").get("checks")
    return Protection(
        checks=_checks(checks),
        pull_request=bool(shape.plain(reviews)),
        approvals=shape.number_or(reviews, "required_approving_review_count"),
        code_owners=shape.flag(reviews, "require_code_owner_reviews"),
        dismiss_stale=shape.flag(reviews, "dismiss_stale_reviews"),
        last_push=shape.flag(reviews, "require_last_push_approval"),
        admins=shape.flag("enforce_admins", "enabled"),
        may_rewrite=shape.flag("allow_force_pushes", "enabled") or shape.flag("allow_deletions", "enabled"),
    )


def _checks(listed: object) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict) and isinstance(item.get("context"), str):
            app = item.get("app_id")
            found[item["context"]] = app if isinstance(app, int) and app > 0 else None
    return found


def _raised(there: Shape, wanted: Protection) -> dict[str, Any]:
    """The body that asks for what is there and what is wanted; the stricter of both."""
    now = _protection(there)
    checks: dict[str, int | None] = {**now.checks}
    for context, app in wanted.checks.items():
        checks[context] = app or now.checks.get(context) or app
    strict = there.flag("required_status_checks", "strict")
    asked = {"strict": strict, "contexts": [], "checks": [_check(c, app) for c, app in checks.items()]}
    flags = {flag: there.flag(flag, "enabled") for flag in _FLAGS}
    return {
        **flags,
        "required_status_checks": asked if checks or there.plain("required_status_checks") else None,
        "enforce_admins": now.admins or wanted.admins,
        "required_pull_request_reviews": _reviews(there, now, wanted),
        "restrictions": _names(there.plain("restrictions")),
        "allow_force_pushes": there.flag("allow_force_pushes", "enabled") and wanted.may_rewrite,
        "allow_deletions": there.flag("allow_deletions", "enabled") and wanted.may_rewrite,
    }


def _check(context: str, app: int | None) -> dict[str, Any]:
    # GitHub pins a check without a number to the app that posted it last; -1 says anybody.
    return {"context": context, **({} if app == POSTED_LAST else {"app_id": -1 if app is None else app})}


def _reviews(there: Shape, now: Protection, wanted: Protection) -> dict[str, Any] | None:
    if not (now.pull_request or wanted.pull_request):
        return None
    body: dict[str, Any] = {
        "required_approving_review_count": max(now.approvals, wanted.approvals),
        "require_code_owner_reviews": now.code_owners or wanted.code_owners,
        "dismiss_stale_reviews": now.dismiss_stale or wanted.dismiss_stale,
        "require_last_push_approval": now.last_push or wanted.last_push,
    }
    for name in ("dismissal_restrictions", "bypass_pull_request_allowances"):
        named = _names(there.plain("required_pull_request_reviews").get(name))
        body |= {name: named} if named is not None else {}
    return body


def _names(actors: object) -> dict[str, list[str]] | None:
    """People, teams and apps of an answer, as they are written in a request."""
    if not isinstance(actors, Mapping) or not actors:
        return None
    words = {"users": "login", "teams": "slug", "apps": "slug"}
    return {
        kind: [str(one[key]) for one in actors.get(kind) or [] if isinstance(one, dict) and key in one]
        for kind, key in words.items()
    }
