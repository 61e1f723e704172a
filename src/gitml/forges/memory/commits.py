"""Commits: their statuses, how they stand to each other, branches and what protects them, files."""

from __future__ import annotations

from dataclasses import replace

from gitml.forges.base import Branch, Relation, Status
from gitml.forges.governed import Protection
from gitml.forges.memory.session import Session, refused
from gitml.forges.words import cut


class MemoryCommits:
    def __init__(self, session: Session) -> None:
        self._session = session

    def statuses(self, commit: str) -> tuple[Status, ...]:
        with self._session.turn() as state:
            newest: dict[str, Status] = {}
            for status in reversed(state.statuses.get(commit, [])):
                newest.setdefault(status.context, status)
            return tuple(newest.values())

    def post(self, commit: str, status: Status) -> Status:
        with self._session.turn("write") as state:
            if self._session.host.history().find(commit) is None:
                raise refused(422, f"no commit found for {commit}")
            line, by = cut(status.description), self._session.person.login
            made = replace(status, description=line, author=by, created=self._session.host.now())
            state.statuses.setdefault(commit, []).append(made)
            return made

    def compare(self, base: str, head: str) -> Relation | None:
        with self._session.turn():
            sides = [self._session.host.commit(name) for name in (base, head)]
            return self._session.host.history().relation(sides[0], sides[1]) if sides[0] and sides[1] else None

    def author(self, commit: str) -> str:
        with self._session.turn() as state:
            name = self._session.host.commit(commit)
            found = name and self._session.host.history().find(name)
            person = state.whose(found.author[1]) if found else None
            return person.login if person else ""

    def branch(self, name: str) -> Branch | None:
        with self._session.turn() as state:
            commit = self._session.host.head(name)
            return Branch(name, commit, name in state.protections) if commit else None

    def rules(self, branch: str) -> tuple[tuple[str, dict[str, object]], ...]:
        with self._session.turn() as state:
            rule = state.protections.get(branch)
            return _rules(rule) if rule else ()

    def file(self, path: str, ref: str = "") -> bytes | None:
        with self._session.turn() as state:
            commit = self._session.host.commit(ref or state.default_branch)
            repository = self._session.host.history().repository
            entry = repository.entry(commit, path) if commit else None
            if entry is None:
                return None
            if not entry.is_file:
                raise refused(422, f"{path} is not a file")
            return repository.blob(entry.id)


def _rules(rule: Protection) -> tuple[tuple[str, dict[str, object]], ...]:
    """A protection in GitHub's words for rules."""
    found: list[tuple[str, dict[str, object]]] = []
    if not rule.may_rewrite:
        found += [("deletion", {}), ("non_fast_forward", {})]
    if rule.pull_request:
        asked: dict[str, object] = {
            "required_approving_review_count": rule.approvals,
            "dismiss_stale_reviews_on_push": rule.dismiss_stale,
            "require_code_owner_review": rule.code_owners,
            "require_last_push_approval": rule.last_push,
        }
        found.append(("pull_request", asked))
    if rule.checks:
        listed = [{"context": c, **({"integration_id": app} if app else {})} for c, app in rule.checks.items()]
        found.append(("required_status_checks", {"required_status_checks": listed}))
    return tuple(found)
