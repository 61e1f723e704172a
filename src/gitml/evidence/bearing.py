"""What evidence bears on: one change of one file, by one pull request, on main as it was, at that time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from gitml.errors import OutsideError
from gitml.evidence.statement import Binding, SignedChange
from gitml.evidence.trust import LEEWAY, Believed, Cause
from gitml.git.commands import Git
from gitml.git.repository import Repository
from gitml.spec.policy import TrustedKey


def why_not(git: Git, about: Binding, change: SignedChange, base: str, pull: int | None = None) -> str:
    """Why evidence does not bear on what ``change`` does to main at ``base``, or "". ``pull`` None: any.

    The same two contents may follow each other again, weeks after a rollback: so what was signed counts only while
    nothing touched the file since the commit that it was judged on.
    """
    if about.change != change:
        return f"is of another change of {change.path}"
    if pull is not None and about.pull != pull:
        return f"is of pull request {about.pull}" if about.pull else "names no pull request"
    if not about.base:
        return "does not say which commit of main it was judged on"
    try:
        git.text("merge-base", "--is-ancestor", about.base, base)
        moved = git.text("rev-list", "-1", f"{about.base}..{base}", "--", f":(top,literal){change.path}").strip()
    except OutsideError:
        return f"was judged on {about.base[:12]}, which main does not have"
    return f"is from before {moved[:12]}, which changed {change.path}" if moved else ""


def predates(repository: Repository, about: Binding, commit: str, until: datetime | None) -> str:
    """Why evidence of a key that counts ``until`` then cannot be from when it says, or "".

    ``commit``, of which it speaks, did not exist then: whoever finds an old key can sign with an old date, but not of a
    commit that was made when the key's time was over. The answer is the same whenever it is asked: a commit that is
    dated ahead takes nothing from keys that still counted then.
    """
    made = _made(repository, commit) if commit and until else None
    if made is None or until is None or made < until or about.moment >= made - LEEWAY:
        return ""
    return f"is dated {about.time}, before there was the commit {commit[:12]} of which it speaks"


def without_backdated(git: Git, events: tuple[Believed, ...], keys: Mapping[str, TrustedKey]) -> tuple[Believed, ...]:
    """The same, but nothing counts that says it is older than what it was judged on, which is from after its key's
    time."""

    def judged(event: Believed) -> Believed:
        about = event.binding
        until = keys[event.signer].until if event.signer in keys else None
        if about is None or until is None:
            return event
        return event.unless(predates(git.repository, about, about.base, until), Cause.EXPIRED_KEY)

    return tuple(map(judged, events))


def _made(repository: Repository, commit: str) -> datetime | None:
    found = repository.load(commit)
    if found is None or found.kind != "commit" or found.content is None:
        return None
    header = found.content.partition(b"\n\n")[0].decode("utf-8", "replace")
    lines = (line.rsplit(" ", 2) for line in header.split("\n") if line.startswith("committer "))
    times = [parts[1] for parts in lines if len(parts) == 3 and parts[1].isdecimal()]
    try:
        return datetime.fromtimestamp(int(times[0]), UTC) if times else None
    except (OverflowError, OSError, ValueError):
        return None
