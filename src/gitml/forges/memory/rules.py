"""What stands in the way of a merge, and of a push to a branch that is protected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitml.forges.base import State, Status
from gitml.forges.governed import Protection
from gitml.forges.memory.host import Host
from gitml.forges.memory.session import Session
from gitml.forges.memory.state import ForgeState, PullRecord, ReviewRecord

_OWNERS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
_OPINIONS = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")


def obstacles(
    host: Host, record: PullRecord, tree: str | None, by: Session | None = None
) -> tuple[tuple[str, str], ...]:
    """Each reason against merging it now, behind the word that ``Readiness.state`` has for it.

    ``tree`` None: it conflicts. ``by`` None: for an account without special rights.
    """
    pull = record.pull
    found: list[tuple[str, str]] = []
    if not pull.is_open:
        found.append(("unknown", "it is not open"))
    if tree is None:
        found.append(("dirty", "it has conflicts with the base branch"))
    if pull.is_draft:
        found.append(("draft", "it is still a draft"))
    rule = host.state.protections.get(pull.base.branch)
    if rule is not None and not (by and _passes(by, rule)):
        whys = (*_reviews(host, record, rule), *checks(host.state, pull.head.commit, rule))
        found += [("blocked", why) for why in whys]
    return tuple(found)


def push_obstacles(session: Session, branch: str, after: str | None, *, forced: bool) -> Iterator[str]:
    """Why the account may not move the branch to ``after`` (None: away) by a push."""
    state = session.host.state
    rule = state.protections.get(branch)
    if after is None and branch == state.default_branch:
        yield "the default branch cannot be deleted"
    if rule is None or _passes(session, rule):
        return
    if (after is None or forced) and not rule.may_rewrite:
        yield f"{branch} is protected: it cannot be rewritten or deleted"
    if after is not None:
        if rule.pull_request:
            yield f"{branch} is protected: changes come by pull requests"
        yield from checks(state, after, rule)


def _passes(session: Session, rule: Protection) -> bool:
    """Administrators pass where the rule does not hold for them too; never by a job's token."""
    return not rule.admins and not session.is_job and session.may("admin")


def _reviews(host: Host, record: PullRecord, rule: Protection) -> Iterator[str]:
    if not rule.pull_request:
        return
    state = host.state
    opinions = _opinions(state, record.pull.number)
    approvals = [r for r in opinions.values() if _counts(state, record, r, rule)]
    if len(approvals) < rule.approvals:
        yield f"it needs {rule.approvals} approving reviews by people who may write, and has {len(approvals)}"
    if any(r.review.state == "CHANGES_REQUESTED" and state.may(login, "write") for login, r in opinions.items()):
        yield "changes have been requested"
    if rule.last_push and not any(_is_fresh(record, r) for r in approvals):
        yield "the last push needs the approval of another person"
    if rule.code_owners and _names_owners(host, record):
        yield "the base branch names code owners, whom this forge does not read"


def _opinions(state: ForgeState, number: int) -> dict[str, ReviewRecord]:
    """The newest review of each person that is more than a comment."""
    records = state.reviews.get(number, {}).values()
    return {r.review.person.login: r for r in records if r.review.state in _OPINIONS}


def _counts(state: ForgeState, record: PullRecord, found: ReviewRecord, rule: Protection) -> bool:
    person = found.review.person
    is_right = found.review.state == "APPROVED" and person != record.author and state.may(person.login, "write")
    return is_right and (found.covers == record.pull.head.commit or not rule.dismiss_stale)


def _is_fresh(record: PullRecord, found: ReviewRecord) -> bool:
    return found.covers == record.pull.head.commit and found.review.person != record.pusher


def _names_owners(host: Host, record: PullRecord) -> bool:
    base = host.head(record.pull.base.branch)
    repository = host.history().repository
    return base is not None and any(repository.entry(base, path) for path in _OWNERS)


def checks(state: ForgeState, commit: str, rule: Protection) -> Iterator[str]:
    """Each required status that is missing or not good."""
    for context, app in rule.checks.items():
        newest = _newest(state, commit, context, app)
        if newest is None:
            yield f'the required status "{context}" is missing'
        elif newest.state is not State.SUCCESS:
            yield f'the required status "{context}" is {newest.state.value}'


def _newest(state: ForgeState, commit: str, context: str, app: int | None) -> Status | None:
    said = [s for s in state.statuses.get(commit, []) if s.context == context]
    return next((s for s in reversed(said) if not app or _id(state, s.author) == app), None)


def _id(state: ForgeState, login: str) -> int:
    account = state.account(login)
    return account.person.id if account and account.is_bot else 0


def pinned(
    state: ForgeState, checks: Mapping[str, int | None], there: Mapping[str, int | None]
) -> dict[str, int | None]:
    """The checks with the account that must post each: 0 is the app that posted it last, and what is pinned stays."""
    return {c: (app or there.get(c) or (app if app is None else _poster(state, c))) for c, app in checks.items()}


def _poster(state: ForgeState, context: str) -> int | None:
    said = [s for listed in state.statuses.values() for s in listed if s.context == context]
    newest = max(said, key=lambda s: s.created, default=None)
    return (_id(state, newest.author) or None) if newest else None
