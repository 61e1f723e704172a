"""What becomes of pull requests: merged, closed, pushed to by whom."""

from __future__ import annotations

from dataclasses import replace

from gitml.errors import FailedError, OutsideError
from gitml.forges.base import OnPull, PullRequest
from gitml.forges.governed import CommitIdentity, Merged, PullCommit, Pushed, Readiness
from gitml.forges.memory.comments import MemoryComments
from gitml.forges.memory.history import CommitObject
from gitml.forges.memory.making import Made, make
from gitml.forges.memory.moves import BranchMove, moved
from gitml.forges.memory.rules import obstacles
from gitml.forges.memory.session import Session, one_of, refused
from gitml.forges.memory.state import ForgeState, PullRecord
from gitml.forges.words import co_authors

# The word that says most comes first.
_WORDS = ("unknown", "dirty", "draft", "blocked")


class MemoryMerges:
    def __init__(self, session: Session) -> None:
        self._session = session

    def under(self, prefix: str) -> tuple[PullRequest, ...]:
        with self._session.turn() as state:
            found = [r.pull for r in state.pulls.values() if r.pull.is_open and r.pull.head.branch.startswith(prefix)]
            mine = [p for p in found if p.head.repository == state.repository]
            return tuple(sorted(mine, key=lambda p: p.number))

    def readiness(self, number: int) -> Readiness:
        with self._session.turn() as state:
            record = one_of(state.pulls, number, "pull request")
            pull, tree = record.pull, self._tree(record)
            words = {word for word, _ in obstacles(self._session.host, record, tree)}
            word = next((w for w in _WORDS if w in words), _unforced(state, pull.head.commit))
            return Readiness(pull.head.commit, tree is not None, word, pull.is_open, record.author)

    def _tree(self, record: PullRecord) -> str | None:
        base = self._session.host.head(record.pull.base.branch)
        return self._session.host.history().merged_tree(base, record.pull.head.commit) if base else None

    def merge(self, number: int, head: str, *, method: str = "merge", title: str = "", message: str = "") -> str:
        with self._session.turn("write") as state:
            record = one_of(state.pulls, number, "pull request")
            pull = record.pull
            if pull.head.commit != head:
                said = f"pull request {number} is at {pull.head.commit[:12]} by now, not at {head[:12]}"
                raise FailedError(f"{said}: nothing was merged", "look at what came, and call it again")
            tree = self._tree(record)
            reasons = obstacles(self._session.host, record, tree, self._session)
            if reasons or tree is None:
                why = "; ".join(why for _, why in reasons)
                raise FailedError(f"pull request {number} cannot be merged: {why}", "see the pull request")
            host = self._session.host
            base = host.head(pull.base.branch)
            commit = make(self._session, state, record, Made(method, base or "", tree, title, message))
            try:
                host.move(pull.base.branch, base, commit)
            except OutsideError as exc:
                # Somebody pushed into the folder meanwhile.
                raise FailedError(f"{pull.base.branch} has moved: nothing was merged", "call it again") from exc
            moved(host, BranchMove(state.repository, pull.base.branch, base, commit, self._session.person, number))
            return commit

    def merged(self, number: int) -> Merged | None:
        with self._session.turn() as state:
            return one_of(state.pulls, number, "pull request").merged

    def close(self, number: int, comment: str = "") -> None:
        with self._session.turn() as state:
            record = one_of(state.pulls, number, "pull request")
            if not record.pull.is_open:
                return
            if record.author != self._session.person and not self._session.may("triage"):
                raise refused(403, f"{self._session.login} may not close pull request {number}")
            if comment:
                MemoryComments(self._session).add(OnPull(number), comment)
            state.pulls[number] = replace(record, pull=replace(record.pull, is_open=False))

    def commits(self, number: int) -> tuple[PullCommit, ...]:
        with self._session.turn() as state:
            pull, history = one_of(state.pulls, number, "pull request").pull, self._session.host.history()
            base = pull.base.commit if pull.is_merged else self._session.host.head(pull.base.branch)
            return tuple(_told(state, c) for c in history.between(base or pull.base.commit, pull.head.commit))

    def commit(self, commit: str) -> PullCommit:
        with self._session.turn() as state:
            found = self._session.host.history().find(self._session.host.commit(commit) or "")
            if found is None:
                raise refused(422, f"no commit found for {commit}")
            return _told(state, found)

    def pushes(self, branch: str, repository: str = "") -> tuple[Pushed, ...]:
        with self._session.turn() as state:
            wanted = (repository or state.repository, branch)
            return tuple(m.pushed for m in reversed(state.moves) if (m.repository, m.branch) == wanted)


def _unforced(state: ForgeState, head: str) -> str:
    """Statuses that nothing requires make it unstable."""
    newest = {status.context: status.state.value for status in state.statuses.get(head, [])}
    return "clean" if set(newest.values()) <= {"success"} else "unstable"


def _told(state: ForgeState, found: CommitObject) -> PullCommit:
    own = tuple(CommitIdentity(name, email) for name, email, _ in (found.author, found.committer))
    claims = tuple(dict.fromkeys((*own, *co_authors(found.message))))
    author, committer = (state.whose(claim.email) for claim in own)
    return PullCommit(found.id, author, committer, claims, found.message.rstrip("\n"))
