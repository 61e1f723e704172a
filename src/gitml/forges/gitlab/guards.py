"""What guards a project: protected branches, variables of environments, approval rules where the tier has them.

Free protects branches by roles and variables by branches. It cannot require the status of one context, an approval, or
that an approval is of the newest commit: ``Protection.unable`` says so, and gitml's gate carries these rules.
https://docs.gitlab.com/api/protected_branches/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gitml.forges.gitlab.setup import checks
from gitml.forges.governed import ForgeCheck, ForgeEnvironment, Protection
from gitml.forges.rest import Rest, Shape, absent_is_none, word
from gitml.http import HttpError

_NOBODY, _MAINTAINERS = 0, 40
_PIPELINE = "only_allow_merge_if_pipeline_succeeds"
_NO_CONTEXT = "GitLab requires that all that is posted is green, and not that a certain status was posted"
_PREMIUM = "GitLab Premium"
_RULE = "gitml"


class GitlabGuards:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def environment(self, name: str) -> ForgeEnvironment | None:
        """None as long as no variable and no environment has this name.

        Any branch may name an environment; its variables reach protected branches alone where each is protected.
        """
        mine = [v for v in self._variables() if v.text_or("environment_scope") == name]
        if not mine and not any(s.text("name") == name for s in self._rest.pages("environments", name=name)):
            return None
        if not all(v.flag("protected") for v in mine):
            return ForgeEnvironment(name, None)
        branches = tuple(s.text("name") for s in self._rest.pages("protected_branches"))
        return ForgeEnvironment(name, branches, protected_only=True)

    def _variables(self) -> list[Shape]:
        return list(self._rest.pages("variables"))

    def secrets(self, environment: str) -> tuple[str, ...]:
        scope = environment or "*"
        return tuple(v.text("key") for v in self._variables() if v.text_or("environment_scope", default="*") == scope)

    def set_environment(self, name: str, branches: Sequence[str]) -> ForgeEnvironment:
        """Variables that are not protected stay so: GitLab changes that with the value alone, and none is read here."""
        there = self.environment(name)
        if there is None:
            self._rest.call("POST", "environments", {"name": name})
        for branch in branches:
            if self._protected(branch) is None:
                self.protect(branch, Protection())
        return self.environment(name) or ForgeEnvironment(name, None)

    def protection(self, branch: str) -> Protection | None:
        found = self._protected(branch)
        return self._told(found) if found else None

    def _protected(self, branch: str) -> Shape | None:
        with absent_is_none():
            return self._rest.one("GET", f"protected_branches/{word(branch)}")
        return None

    def _told(self, found: Shape) -> Protection:
        approvals = self._premium("approvals")
        rules = self._rules() if approvals else []
        return Protection(
            pull_request=all(s.number_or("access_level", default=99) == _NOBODY for s in _levels(found)),
            approvals=max((r.number_or("approvals_required") for r in rules), default=0),
            code_owners=found.flag("code_owner_approval_required"),
            dismiss_stale=bool(approvals and approvals.flag("reset_approvals_on_push")),
            last_push=bool(approvals and approvals.flag("merge_requests_disable_committers_approval")),
            # There is nobody whom a protected branch does not hold for.
            admins=True,
            may_rewrite=found.flag("allow_force_push"),
            unable=self._unable(is_premium=approvals is not None),
        )

    def _unable(self, *, is_premium: bool) -> dict[str, str]:
        needs = (
            {} if is_premium else dict.fromkeys(("approvals", "code_owners", "dismiss_stale", "last_push"), _PREMIUM)
        )
        return {"checks": _NO_CONTEXT, **needs}

    def _premium(self, path: str) -> Shape | None:
        """What only Premium has; None where the tier has it not, or the token may not see it."""
        with absent_is_none(401, 403):
            return self._rest.one("GET", path)
        return None

    def _rules(self) -> list[Shape]:
        with absent_is_none(401, 403):
            return list(self._rest.pages("approval_rules"))
        return []

    def protect(self, branch: str, wanted: Protection) -> Protection:
        there = self._protected(branch)
        now = self._told(there) if there else None
        if there is None or (wanted.pull_request and now and not now.pull_request):
            self._put(branch, there, wanted)
        elif now and now.may_rewrite and not wanted.may_rewrite:
            self._rest.call("PATCH", f"protected_branches/{word(branch)}", {"allow_force_push": False})
        if wanted.checks and not self._rest.one("GET", "").flag(_PIPELINE):
            self._rest.call("PUT", "", {_PIPELINE: True})
        if wanted.pull_request:
            self._raise_approvals(branch, wanted)
        return self._told(self._rest.one("GET", f"protected_branches/{word(branch)}"))

    def _put(self, branch: str, there: Shape | None, wanted: Protection) -> None:
        """Free changes no level of a branch that is protected: it is taken away, and put again at once."""
        merging = [s.number_or("access_level") for s in there.objects("merge_access_levels")] if there else []
        body = {
            "name": branch,
            "push_access_level": _NOBODY if wanted.pull_request else _MAINTAINERS,
            "merge_access_level": max([_MAINTAINERS, *merging]),
            "allow_force_push": wanted.may_rewrite and (there is None or there.flag("allow_force_push")),
        }
        if there is not None:
            self._rest.call("DELETE", f"protected_branches/{word(branch)}")
        self._rest.call("POST", "protected_branches", body)

    def _raise_approvals(self, branch: str, wanted: Protection) -> None:
        """Where the tier has it; never lowered."""
        there = self._premium("approvals")
        if there is None:
            return
        names = {"reset_approvals_on_push": wanted.dismiss_stale}
        names |= {"merge_requests_disable_committers_approval": wanted.last_push}
        change: dict[str, Any] = {name: True for name, asked in names.items() if asked and not there.flag(name)}
        if there.flag("merge_requests_author_approval"):
            change["merge_requests_author_approval"] = False
        if change:
            self._rest.call("POST", "approvals", change)
        if wanted.approvals > max((r.number_or("approvals_required") for r in self._rules()), default=0):
            rule = next((r for r in self._rules() if r.text_or("rule_type") == "any_approver"), None)
            body = {"approvals_required": wanted.approvals, "name": _RULE, "rule_type": "any_approver"}
            way = ("PUT", f"approval_rules/{rule.number('id')}") if rule else ("POST", "approval_rules")
            self._rest.call(*way, body)
        if wanted.code_owners:
            try:
                self._rest.call("PATCH", f"protected_branches/{word(branch)}", {"code_owner_approval_required": True})
            except HttpError as exc:
                if exc.status not in (403, 404):
                    raise

    def jobs_may_open(self) -> bool:
        """Jobs act with a token that was made for them: a job's own can open nothing, and no setting changes that."""
        return True

    def let_jobs_open(self, *, yes: bool) -> None:
        """There is nothing to set."""

    def own(self, schedules: Mapping[str, str], *, fix: bool = False) -> tuple[ForgeCheck, ...]:
        return tuple(checks(self._rest, schedules, fix=fix))


def _levels(shape: Shape) -> tuple[Shape, ...]:
    return shape.objects("push_access_levels") if shape.has("push_access_levels") else ()
