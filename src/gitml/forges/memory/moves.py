"""What a moved branch does to pull requests: new heads, stale approvals, merges, closed branches."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gitml.forges.governed import Account, Merged, Pushed, Review
from gitml.forges.memory.host import ZERO, Host
from gitml.forges.memory.state import PullRecord, RecordedPush


@dataclass(frozen=True)
class BranchMove:
    """``before`` None: it is new; ``after`` None: it is gone. ``merging`` is the pull request whose merge this is."""

    repository: str
    branch: str
    before: str | None
    after: str | None
    by: Account
    merging: int = 0


def notice(host: Host, by: Account) -> None:
    """Take in what happened to the branches since the last look, as done by this account.

    A push into a folder tells no account, so whoever looks first after it counts as the one who pushed.
    """
    repositories = {host.state.repository, *(name for name, _ in host.state.tips)}
    for repository in sorted(repositories):
        now = host.heads(repository)
        then = {branch: commit for (name, branch), commit in host.state.tips.items() if name == repository}
        for branch in sorted({*now, *then}):
            if now.get(branch) != then.get(branch):
                moved(host, BranchMove(repository, branch, then.get(branch), now.get(branch), by))


def moved(host: Host, move: BranchMove) -> None:
    """To be called once for each move, when Git has it."""
    state, place = host.state, (move.repository, move.branch)
    if move.after is None:
        state.tips.pop(place, None)
    else:
        state.tips[place] = move.after
    said = Pushed(move.by, move.before or ZERO, move.after or ZERO, host.now(), _kind(host, move))
    state.moves.append(RecordedPush(move.repository, move.branch, said))
    for record in _open(host):
        if (state.repository, record.pull.base.branch) == place:
            _base_moved(host, record, move)
    for record in _open(host):
        if (record.pull.head.repository, record.pull.head.branch) == place:
            _head_moved(host, record, move)


def _open(host: Host) -> list[PullRecord]:
    return [record for record in host.state.pulls.values() if record.pull.is_open]


def _kind(host: Host, move: BranchMove) -> str:
    if move.before is None or move.after is None:
        return "branch_deletion" if move.after is None else "branch_creation"
    if move.merging:
        return "pr_merge"
    return "push" if host.history(move.repository).is_ancestor(move.before, move.after) else "force_push"


def _base_moved(host: Host, record: PullRecord, move: BranchMove) -> None:
    if move.after is None:
        _close(host, record)
    elif move.merging == record.pull.number:
        _merged(host, record, move, move.after)
    elif host.history().is_ancestor(record.pull.head.commit, move.after):
        # Its commits reached the base some other way: GitHub calls that merged, too.
        _merged(host, record, move, record.pull.head.commit)


def _merged(host: Host, record: PullRecord, move: BranchMove, commit: str) -> None:
    base = replace(record.pull.base, commit=move.before or record.pull.base.commit)
    pull = replace(record.pull, base=base, is_open=False, is_merged=True)
    host.state.pulls[pull.number] = replace(record, pull=pull, merged=Merged(commit, move.by, host.now()))


def _close(host: Host, record: PullRecord) -> None:
    host.state.pulls[record.pull.number] = replace(record, pull=replace(record.pull, is_open=False))


def _head_moved(host: Host, record: PullRecord, move: BranchMove) -> None:
    if move.after is None:
        _close(host, record)
    elif move.after != record.pull.head.commit:
        _new_head(host, record, move.after, move.by)


def _new_head(host: Host, record: PullRecord, head: str, by: Account) -> None:
    """Take the new head and let reviews go stale."""
    pull, history = record.pull, host.history()
    host.bring(pull.head.repository, head)
    host.hold(pull.number, head)
    base = host.head(pull.base.branch) or pull.base.commit
    sides = [(history.merge_base(base, side), side) for side in (pull.head.commit, head)]
    same = history.same_change(sides[0], sides[1])
    now = replace(pull, head=replace(pull.head, commit=head), base=replace(pull.base, commit=base))
    fresh = replace(record, pull=now, pusher=record.pusher if same else by)
    host.state.pulls[pull.number] = fresh
    if same:
        _carry_over(host, pull.number, pull.head.commit, head)
    else:
        dismiss_stale(host, fresh)
    if history.is_ancestor(head, base):
        # Nothing is left to merge (a reset to the base): GitHub closes it.
        _close(host, fresh)


def _carry_over(host: Host, number: int, old: str, new: str) -> None:
    """Reviews of the head speak for a new head that changes the same files in the same way."""
    reviews = host.state.reviews.get(number, {})
    for key, record in reviews.items():
        if record.covers == old:
            reviews[key] = replace(record, covers=new)


def dismissed(review: Review, now: str) -> Review:
    """The review, taken out of the count now."""
    return replace(review, state="DISMISSED", dismissed=now, was=review.state)


def dismiss_stale(host: Host, record: PullRecord) -> None:
    """Where the base branch asks for it, approvals of another difference than the one that is there count no more."""
    rule = host.state.protections.get(record.pull.base.branch)
    if rule is None or not rule.dismiss_stale:
        return
    reviews = host.state.reviews.get(record.pull.number, {})
    for key, found in reviews.items():
        if found.review.state == "APPROVED":
            reviews[key] = replace(found, review=dismissed(found.review, host.now()))
