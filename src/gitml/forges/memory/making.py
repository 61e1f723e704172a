"""The commits that a merge makes, in GitHub's three ways. They are on no branch yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitml.errors import FailedError
from gitml.forges.memory.history import EMPTY_TREE, CommitObject, History
from gitml.forges.memory.session import Session, identity, refused
from gitml.forges.memory.state import ForgeState, PullRecord
from gitml.git.edit import Who, tree_with

_FORGE = Who("gitml forge", "noreply@localhost")


@dataclass(frozen=True)
class Made:
    """How to merge onto ``base``, where both sides together are ``tree``; texts are empty for those of the forge."""

    method: str
    base: str
    tree: str
    title: str = ""
    message: str = ""


@dataclass(frozen=True)
class Written:
    """Where a commit of files is made, and who wrote it, ``Name <address>``, where that is not the account."""

    repository: str = ""
    by: str = ""


def make(session: Session, state: ForgeState, record: PullRecord, how: Made) -> str:
    """The new tip of the base branch. Raises FailedError for commits that cannot be replayed."""
    history, pull = session.host.history(), record.pull
    title = (
        how.title or f"Merge pull request #{pull.number} from {pull.head.repository.split('/')[0]}/{pull.head.branch}"
    )
    made = f"{int(session.host.clock().timestamp())} +0000"
    if how.method == "merge":
        text = f"{title}\n\n{how.message or pull.title}"
        return _commit(
            history, how.tree, (how.base, pull.head.commit), text, (f"{session.who} {made}", f"{_FORGE} {made}")
        )
    commits = history.between(how.base, pull.head.commit)
    if how.method == "squash":
        text = _squashed(commits, pull.title, pull.number, how)
        author = identity(state, record.author)
        return _commit(history, how.tree, (how.base,), text, (f"{author} {made}", f"{_FORGE} {made}"))
    if how.method != "rebase":
        raise refused(422, f"{how.method} is not merge, squash or rebase")
    tip = how.base
    for commit in commits:
        if len(commit.parents) <= 1:
            tip = _replayed(history, commit, tip, f"{session.who} {made}")
    return tip


def _squashed(commits: tuple[CommitObject, ...], title: str, number: int, how: Made) -> str:
    only = commits[0].message.rstrip("\n") if len(commits) == 1 else ""
    subject, _, body = only.partition("\n")
    listed = body.strip("\n") if only else "\n\n".join(f"* {c.message.rstrip()}" for c in commits)
    return f"{how.title or f'{subject or title} (#{number})'}\n\n{how.message or listed}"


def _replayed(history: History, commit: CommitObject, onto: str, committer: str) -> str:
    before = next((history.of(p).tree for p in commit.parents), EMPTY_TREE)
    ours = history.of(onto).tree
    tree = commit.tree if ours == before else _three_way(history, before, ours, commit.tree)
    name, email, when = commit.author
    return _commit(history, tree, (onto,), commit.message, (f"{Who(name, email)} {when} +0000", committer))


def _three_way(history: History, base: str, ours: str, theirs: str) -> str:
    """A merge with a chosen base. Git before 2.40 has no --merge-base, so three commits stand in for the trees."""
    nobody = (f"{_FORGE} 0 +0000", f"{_FORGE} 0 +0000")
    root = _commit(history, base, (), "base", nobody)
    left, right = (_commit(history, tree, (root,), name, nobody) for tree, name in ((ours, "ours"), (theirs, "theirs")))
    tree = history.merged_tree(left, right)
    if tree is None:
        raise FailedError("its commits cannot be replayed on the base branch", "merge the base branch into it first")
    return tree


def _commit(history: History, tree: str, parents: tuple[str, ...], message: str, people: tuple[str, str]) -> str:
    above = "".join(f"parent {parent}\n" for parent in parents)
    text = f"tree {tree}\n{above}author {people[0]}\ncommitter {people[1]}\n\n{message.rstrip()}\n"
    return history.repository.store("commit", text.encode("utf-8", "surrogateescape"))


def commit_files(
    session: Session, parent: str | None, files: Mapping[str, str | bytes | None], message: str, how: Written
) -> str:
    """A commit with these files as they shall be; None: gone."""
    history = session.host.history(how.repository)
    tree = history.of(parent).tree if parent else ""
    for path, content in files.items():
        raw = content.encode() if isinstance(content, str) else content
        tree = tree_with(history.repository, tree, path, raw)
    made = f"{how.by or session.who} {int(session.host.clock().timestamp())} +0000"
    return _commit(history, tree, (parent,) if parent else (), message, (made, made))
