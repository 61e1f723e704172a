"""May this pull request be merged? Pure functions: facts in, all the reasons against it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gitml_sandbox.forge.protections import Check, Protection, Reviews

APPROVED, CHANGES, DISMISSED = "APPROVED", "CHANGES_REQUESTED", "DISMISSED"


@dataclass(frozen=True)
class Review:
    """One submitted review. ``covers`` is the head that it speaks for; ``writer``: may write now."""

    reviewer: int
    state: str
    covers: str
    writer: bool


@dataclass(frozen=True)
class Result:
    """A state of one context at a commit; results come oldest first. ``app_id`` None: posted by a person."""

    context: str
    state: str
    app_id: int | None
    is_check_run: bool = False


@dataclass(frozen=True)
class Owned:
    """Paths of the pull request that share owners, and the ids of those who may approve for them."""

    paths: tuple[str, ...]
    words: tuple[str, ...]
    owners: frozenset[int]


@dataclass(frozen=True)
class Facts:
    """All that the judgement rests on. ``conflict`` None: not computed yet; ``admin``: the person who merges."""

    state: str
    draft: bool
    author: int
    head: str
    last_pusher: int
    conflict: bool | None
    behind: bool
    reviews: tuple[Review, ...] = ()
    results: tuple[Result, ...] = ()
    owned: tuple[Owned, ...] = ()
    open_conversations: int = 0
    bypass: bool = False
    may_push: bool = True
    method: str = "merge"


@dataclass(frozen=True)
class Reason:
    """One thing in the way. ``kind`` is what mergeable_state is made of; ``bypassable``: admins may pass."""

    kind: str
    message: str
    bypassable: bool = True


@dataclass(frozen=True)
class Judgement:
    """``reasons`` empty: go ahead. ``bypassed``: what an admin's right took out of the way."""

    reasons: tuple[Reason, ...]
    bypassed: tuple[Reason, ...] = field(default=())

    @property
    def allowed(self) -> bool:
        return not self.reasons


def judge(facts: Facts, protection: Protection | None) -> Judgement:
    """Every reason against merging, in GitHub's order."""
    found = [*_always(facts), *(_protected(facts, protection) if protection else ())]
    may_bypass = facts.bypass and protection is not None and not protection.enforce_admins
    passed = tuple(r for r in found if may_bypass and r.bypassable)
    return Judgement(tuple(r for r in found if r not in passed), passed)


def _always(facts: Facts) -> Iterable[Reason]:
    if facts.state != "open":
        yield Reason("closed", "Pull Request is not open", bypassable=False)
    if facts.draft:
        yield Reason("draft", "Pull Request is still a draft", bypassable=False)
    if facts.conflict:
        yield Reason("dirty", "Pull Request is not mergeable: it has conflicts with the base branch", bypassable=False)
    if facts.conflict is None:
        yield Reason("unknown", "Pull Request is not mergeable: its merge is still being computed", bypassable=False)


def _protected(facts: Facts, protection: Protection) -> Iterable[Reason]:
    if protection.lock_branch:
        yield Reason("blocked", "The base branch is locked")
    if not facts.may_push:
        yield Reason("blocked", "You're not authorized to push to this branch.")
    if protection.required_linear_history and facts.method == "merge":
        yield Reason("method", "Merge commits are not allowed on this branch: use squash or rebase")
    if protection.required_pull_request_reviews is not None:
        yield from review_reasons(facts, protection.required_pull_request_reviews)
    if protection.required_conversation_resolution and facts.open_conversations:
        yield Reason("blocked", f"{facts.open_conversations} conversation(s) must be resolved")
    if protection.required_status_checks is not None:
        yield from check_reasons(facts.results, protection.required_status_checks.checks)
        if protection.required_status_checks.strict and facts.behind:
            yield Reason("behind", "The head branch is not up to date with the base branch")


def latest(reviews: Sequence[Review]) -> dict[int, Review]:
    """The opinion of each reviewer: the newest review that is not a mere comment (reviews come oldest first)."""
    opinions = (r for r in reviews if r.state in (APPROVED, CHANGES, DISMISSED))
    return {review.reviewer: review for review in opinions}


def approvals(facts: Facts, wanted: Reviews) -> tuple[Review, ...]:
    """The approvals that count: newest per person, by writers other than the author, fresh where that is asked."""
    return tuple(
        r
        for r in latest(facts.reviews).values()
        if r.state == APPROVED
        and r.writer
        and r.reviewer != facts.author
        and (r.covers == facts.head or not wanted.dismiss_stale_reviews)
    )


def review_reasons(facts: Facts, wanted: Reviews) -> Iterable[Reason]:
    counted = approvals(facts, wanted)
    needed = wanted.required_approving_review_count
    if len(counted) < needed:
        many = "s are" if needed != 1 else " is"
        yield Reason("blocked", f"At least {needed} approving review{many} required by reviewers with write access.")
    if any(r.state == CHANGES and r.writer for r in latest(facts.reviews).values()):
        yield Reason("blocked", "Changes have been requested by a reviewer with write access.")
    if wanted.require_code_owner_reviews:
        yield from owner_reasons(facts.owned, {r.reviewer for r in counted})
    fresh = [r for r in counted if r.covers == facts.head and r.reviewer != facts.last_pusher]
    if wanted.require_last_push_approval and not fresh:
        yield Reason("blocked", "New changes require approval from someone other than the last pusher.")


def owner_reasons(groups: Sequence[Owned], approved_by: set[int]) -> Iterable[Reason]:
    for group in groups:
        if not group.owners & approved_by:
            yield Reason("blocked", f"Waiting on code owner review from {', '.join(group.words)} for {group.paths[0]}")


def check_reasons(results: Sequence[Result], required: Sequence[Check]) -> Iterable[Reason]:
    for check in required:
        state = check_state(results, check)
        if state is None:
            yield Reason("blocked", f'Required status check "{check.context}" is expected.')
        elif state != "success":
            words = {"pending": "is pending"}.get(state, "is failing")
            yield Reason("blocked", f'Required status check "{check.context}" {words}.')


def check_state(results: Sequence[Result], check: Check) -> str | None:
    """'success', 'pending', 'failure', or None where the expected source has posted nothing.

    Of statuses the newest counts, of check runs the newest of each app; where both exist, both must be good.
    """
    matching = [r for r in results if r.context == check.context and check.app_id in (None, r.app_id)]
    newest = {(r.is_check_run, r.app_id if r.is_check_run else None): r.state for r in matching}
    return combined(newest.values()) if newest else None


def combined(states: Iterable[str]) -> str:
    """GitHub's rule for many statuses: any failure or error fails; none, or a pending one, is pending."""
    found = set(states)
    if found & {"failure", "error"}:
        return "failure"
    return "success" if found and found <= {"success"} else "pending"


# A neutral or skipped check run does not stand in the way, as on GitHub.
_CONCLUSIONS: Mapping[str, str] = {"success": "success", "neutral": "success", "skipped": "success"}


def check_run_state(status: str, conclusion: str | None) -> str:
    """The state of a check run in the words of a commit status."""
    if status != "completed":
        return "pending"
    return _CONCLUSIONS.get(conclusion or "", "failure")


_ORDER = ("unknown", "dirty", "draft", "blocked", "behind")


def mergeable_state(facts: Facts, judgement: Judgement) -> str:
    """clean, unstable, behind, blocked, draft, dirty or unknown."""
    kinds = {r.kind for r in judgement.reasons}
    for kind in _ORDER:
        if kind in kinds:
            return kind
    states = [check_state(facts.results, Check(context=name)) for name in {r.context for r in facts.results}]
    return "unstable" if any(state != "success" for state in states) else "clean"
