"""What people do at a forge that gitml itself never does: review, push, reopen, point at another base, run jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gitml.forges.base import Artifact, Job, NewPull, PullRequest, Run, Status
from gitml.forges.governed import ForgeEnvironment, Review
from gitml.forges.memory.host import create_bare
from gitml.forges.memory.making import Written, commit_files
from gitml.forges.memory.moves import BranchMove, dismiss_stale, dismissed, moved
from gitml.forges.memory.pulls import opened
from gitml.forges.memory.rules import push_obstacles
from gitml.forges.memory.session import Session, one_of, refused
from gitml.forges.memory.state import ReviewRecord

_OPINIONS = {"APPROVED": "approve", "CHANGES_REQUESTED": "request changes on"}


class MemoryActs:
    def __init__(self, session: Session) -> None:
        self._session = session

    def write(
        self,
        files: Mapping[str, str | bytes | None],
        branch: str = "",
        message: str = "",
        *,
        by: str = "",
        repository: str = "",
    ) -> str:
        """A commit of these files (None: deleted), and the branch moved there. ``by`` is its author if not the account.

        ``repository`` is a fork of the account's own.
        """
        with self._session.turn() as state:
            self._may_push(repository or state.repository)
            name = branch or state.default_branch
            text = message or f"write {', '.join(files)}"
            head = self._session.host.head(name, repository)
            made = commit_files(self._session, head, files, text, Written(repository, by))
            return self._push(name, made, repository)

    def _may_push(self, repository: str) -> None:
        owner = repository.partition("/")[0].lower()
        mine = owner == self._session.login.lower()
        if not mine and not (repository == self._session.host.state.repository and self._session.may("write")):
            raise refused(403, f"{self._session.login} may not push to {repository}")

    def push(self, branch: str, commit: str | None, repository: str = "") -> None:
        """Move a branch (None: delete it) to a commit that the repository has, whatever was there, as a push does."""
        with self._session.turn() as state:
            self._may_push(repository or state.repository)
            self._push(branch, commit, repository)

    def _push(self, branch: str, commit: str | None, repository: str = "") -> str:
        host, name = self._session.host, repository or self._session.host.state.repository
        before = host.head(branch, name)
        if commit is not None and host.history(name).find(commit) is None:
            raise refused(422, f"no commit found for {commit}")
        if name == host.state.repository:
            forced = bool(before and commit and not host.history().is_ancestor(before, commit))
            reasons = list(push_obstacles(self._session, branch, commit, forced=forced))
            if reasons:
                raise refused(422, "; ".join(reasons))
        if before != commit:
            host.move(branch, before, commit, name)
            moved(host, BranchMove(name, branch, before, commit, self._session.person))
        return commit or ""

    def branch(self, name: str, base: str = "") -> str:
        """A new branch at a commit, or at the tip of another branch."""
        with self._session.turn("write") as state:
            commit = self._session.host.commit(base or state.default_branch)
            if commit is None:
                raise refused(422, f"there is no {base}")
            return self._push(name, commit)

    def fork(self) -> str:
        """A fork under the account's own name, with all branches; its ``owner/name``."""
        with self._session.turn() as state:
            name = f"{self._session.person.login}/{state.repository.partition('/')[2]}"
            host = self._session.host
            create_bare(host.path(name), state.default_branch, host.path())
            state.tips |= {(name, branch): commit for branch, commit in host.heads(name).items()}
            return name

    def open_from(self, repository: str, new: NewPull) -> PullRequest:
        """A pull request from a branch of a fork."""
        with self._session.turn() as state:
            return opened(self._session, state, new, repository)

    def review(self, number: int, state: str = "APPROVED", commit: str = "") -> Review:
        """Hand in a review: APPROVED, CHANGES_REQUESTED or COMMENTED, of the head or an older commit of it."""
        with self._session.turn() as known:
            record = one_of(known.pulls, number, "pull request")
            if state in _OPINIONS and record.author == self._session.person:
                raise refused(422, f"can not {_OPINIONS[state]} your own pull request")
            if state in _OPINIONS and record.pull.is_merged:
                raise refused(422, "can not review a merged pull request")
            of, key, host = commit or record.pull.head.commit, known.number(), self._session.host
            url = host.page(f"pull/{number}#review-{key}")
            made = Review(key, self._session.person, state, of, host.now(), url)
            known.reviews.setdefault(number, {})[key] = ReviewRecord(made, of)
            if state in _OPINIONS:
                people = tuple(p for p in record.asked.people if p != self._session.person.login)
                known.pulls[number] = replace(record, asked=replace(record.asked, people=people))
            return made

    def dismiss(self, number: int, review: int) -> None:
        """Take an approval, or a request for changes, out of the count."""
        with self._session.turn("write") as state:
            found = one_of(state.reviews.get(number, {}), review, "review")
            if found.review.state not in _OPINIONS:
                raise refused(422, "can not dismiss a review that is neither approving nor blocking")
            state.reviews[number][review] = replace(found, review=dismissed(found.review, self._session.host.now()))

    def reopen(self, number: int) -> None:
        with self._session.turn() as state:
            record, host = one_of(state.pulls, number, "pull request"), self._session.host
            pull = record.pull
            head = host.head(pull.head.branch, pull.head.repository)
            if pull.is_merged or head is None:
                raise refused(422, "the pull request was merged" if pull.is_merged else "its branch has been deleted")
            host.bring(pull.head.repository, head)
            host.hold(number, head)
            pusher = record.pusher if head == pull.head.commit else self._session.person
            now = replace(pull, is_open=True, head=replace(pull.head, commit=head))
            state.pulls[number] = replace(record, pull=now, pusher=pusher)

    def draft(self, number: int, *, yes: bool) -> None:
        """Make it a draft, or ready for review."""
        with self._session.turn() as state:
            record = one_of(state.pulls, number, "pull request")
            state.pulls[number] = replace(record, pull=replace(record.pull, is_draft=yes))

    def take_drafts(self) -> None:
        """The owner's plan has no drafts from now on."""
        with self._session.turn() as state:
            state.has_drafts = False

    def retarget(self, number: int, base: str) -> None:
        """Point it at another branch; approvals go stale where that makes another difference of it."""
        with self._session.turn() as state:
            record, host = one_of(state.pulls, number, "pull request"), self._session.host
            commit, head = host.head(base), record.pull.head.commit
            history = host.history()
            if commit is None or history.is_ancestor(head, commit):
                raise refused(422, f"there are no new commits between {base} and {record.pull.head.branch}")
            old = host.head(record.pull.base.branch) or record.pull.base.commit
            now = replace(record, pull=replace(record.pull, base=replace(record.pull.base, branch=base, commit=commit)))
            state.pulls[number] = now
            sides = [(history.merge_base(side, head), head) for side in (old, commit)]
            if not history.same_change(sides[0], sides[1]):
                dismiss_stale(host, now)
                reviews = state.reviews.get(number, {})
                state.reviews[number] = {key: replace(found, covers="") for key, found in reviews.items()}

    def statuses(self, commit: str) -> tuple[Status, ...]:
        """Everything that was ever said of a commit, oldest first."""
        with self._session.turn() as state:
            return tuple(state.statuses.get(commit, ()))

    def unprotect(self, branch: str) -> None:
        with self._session.turn("admin") as state:
            state.protections.pop(branch, None)

    def secret(self, environment: str, name: str) -> None:
        """Keep a secret in an Environment; only its name is remembered."""
        with self._session.turn("admin") as state:
            state.secrets[environment] = tuple(dict.fromkeys((*state.secrets.get(environment, ()), name)))

    def open_environment(self, name: str) -> None:
        """Let every branch use it."""
        with self._session.turn("admin") as state:
            state.environments[name] = ForgeEnvironment(name, None)

    def ran(self, run: Run, jobs: Sequence[Job] = (), artifacts: Mapping[str, bytes] | None = None) -> Run:
        """A run that some runner carries out or has carried out, its jobs, and the archives that it left."""
        with self._session.turn("write") as state:
            known = replace(run, id=run.id or state.number())
            state.runs[known.id], state.jobs[known.id] = known, list(jobs)
            kept = {state.number(): (name, content) for name, content in (artifacts or {}).items()}
            listed = {key: (Artifact(key, name, len(content), False), content) for key, (name, content) in kept.items()}
            state.artifacts[known.id] = listed
            return known

    def expire(self, run: int) -> None:
        """The forge deletes the archives of a run, and remembers that they were there."""
        with self._session.turn("write") as state:
            kept = state.artifacts.get(run, {})
            gone = {number: (replace(artifact, is_expired=True), b"") for number, (artifact, _) in kept.items()}
            state.artifacts[run] = gone
