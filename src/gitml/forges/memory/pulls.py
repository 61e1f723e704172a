"""Pull requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gitml.forges.base import ChangedFile, LabelPut, NewPull, PullRequest, Side
from gitml.forges.memory.session import Session, one_of, refused
from gitml.forges.memory.state import ForgeState, PullRecord


class MemoryPulls:
    def __init__(self, session: Session) -> None:
        self._session = session

    def of_branch(self, branch: str, owner: str = "", *, closed: bool = False) -> tuple[PullRequest, ...]:
        with self._session.turn() as state:
            found = [r.pull for r in state.pulls.values() if r.pull.head.branch == branch]
            mine = [p for p in found if _is_of(p, owner, state) and (closed or p.is_open)]
            return tuple(sorted(mine, key=lambda p: p.number))

    def of_commit(self, commit: str) -> tuple[PullRequest, ...]:
        with self._session.turn() as state:
            if self._session.host.history().find(commit) is None:
                raise refused(422, f"no commit found for {commit}")
            return tuple(r.pull for r in state.pulls.values() if self._brings(r, commit))

    def _brings(self, record: PullRecord, commit: str) -> bool:
        """Whether it would bring the commit, or its merge put it on the base's own line."""
        pull, history = record.pull, self._session.host.history()
        if commit in {c.id for c in history.between(pull.base.commit, pull.head.commit)}:
            return True
        merge = record.merged.commit if record.merged else None
        if merge is None:
            return commit == pull.head.commit
        return commit in (merge, pull.head.commit) or commit in history.own_line(pull.base.commit, merge)

    def get(self, number: int) -> PullRequest:
        with self._session.turn() as state:
            return one_of(state.pulls, number, "pull request").pull

    def all_open(self) -> tuple[PullRequest, ...]:
        with self._session.turn() as state:
            return tuple(sorted((r.pull for r in state.pulls.values() if r.pull.is_open), key=lambda p: p.number))

    def files(self, number: int) -> tuple[ChangedFile, ...]:
        with self._session.turn() as state:
            pull, history = one_of(state.pulls, number, "pull request").pull, self._session.host.history()
            base = pull.base.commit if pull.is_merged else self._session.host.head(pull.base.branch)
            return history.changes(history.merge_base(base or pull.base.commit, pull.head.commit), pull.head.commit)

    def open(self, new: NewPull) -> PullRequest:
        with self._session.turn("write") as state:
            if self._session.is_job and not state.jobs_may_open:
                raise refused(403, "jobs are not permitted to create or approve pull requests")
            return opened(self._session, state, replace(new, draft=new.draft and state.has_drafts), state.repository)

    def edit(self, number: int, *, title: str | None = None, body: str | None = None) -> PullRequest:
        with self._session.turn() as state:
            record = one_of(state.pulls, number, "pull request")
            if record.author != self._session.person and not self._session.may("write"):
                raise refused(403, f"{self._session.login} may not change what {record.author} wrote")
            pull = record.pull
            texts = (pull.title if title is None else title, pull.body if body is None else body)
            state.pulls[number] = replace(record, pull=replace(pull, title=texts[0], body=texts[1]))
            return state.pulls[number].pull

    def ready(self, number: int) -> PullRequest:
        with self._session.turn() as state:
            record = one_of(state.pulls, number, "pull request")
            if record.author != self._session.person and not self._session.may("write"):
                raise refused(403, f"{self._session.login} may not change what {record.author} opened")
            state.pulls[number] = replace(record, pull=replace(record.pull, is_draft=False))
            return state.pulls[number].pull

    def label(self, number: int, labels: Sequence[str]) -> None:
        with self._session.turn("triage") as state:
            record = one_of(state.pulls, number, "pull request")
            every = tuple(dict.fromkeys((*record.pull.labels, *labels)))
            by, now = self._session.login, self._session.host.now()
            new = tuple(LabelPut(one, by, now) for one in every if one not in record.pull.labels)
            pull = replace(record.pull, labels=every)
            state.pulls[number] = replace(record, pull=pull, labelled=(*record.labelled, *new))

    def labelled(self, number: int) -> tuple[LabelPut, ...]:
        with self._session.turn() as state:
            return one_of(state.pulls, number, "pull request").labelled


def opened(session: Session, state: ForgeState, new: NewPull, repository: str) -> PullRequest:
    """The pull request from a branch of ``repository``, or the one that is open already."""
    host = session.host
    head, base = host.head(new.head, repository), host.head(new.base)
    if head is None or base is None:
        raise refused(422, f"there is no branch {new.base if base is None else new.head}")
    there = [
        p.pull for p in state.pulls.values() if p.pull.is_open and _sides(p.pull) == (repository, new.head, new.base)
    ]
    if there:
        return there[0]
    host.bring(repository, head)
    if host.history().is_ancestor(head, base):
        raise refused(422, f"there are no commits between {new.base} and {new.head}")
    number = max(state.pulls, default=0) + 1
    pull = PullRequest(
        number,
        new.title,
        host.page(f"pull/{number}"),
        session.person.login,
        head=Side(repository, new.head, head),
        base=Side(state.repository, new.base, base),
        is_open=True,
        is_draft=new.draft,
        body=new.body,
    )
    host.hold(number, head)
    state.pulls[number] = PullRecord(pull, session.person, session.person)
    return pull


def _sides(pull: PullRequest) -> tuple[str, str, str]:
    return pull.head.repository, pull.head.branch, pull.base.branch


def _is_of(pull: PullRequest, owner: str, state: ForgeState) -> bool:
    if not owner:
        return pull.head.repository == state.repository
    return pull.head.repository.partition("/")[0].lower() == owner.lower()
