"""What evidence bears on: one change of one file, by one pull request, on main as it was, at that time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from gitml.errors import OutsideError
from gitml.evidence.statement import Binding, SignedChange
from gitml.evidence.trust import LEEWAY, Believed, Cause
from gitml.git.commands import Git
from gitml.git.filechange import FileChange
from gitml.git.repository import Repository
from gitml.spec.policy import TrustedKey

# What became of the file since a commit of main's own line, until the change: the commit that touched it, or "" for
# none. None where that line did not have the commit then.
Touched = Callable[[str], str | None]


def why_not(about: Binding, change: FileChange | SignedChange, touched: Touched, pull: int | None = None) -> str:
    """Why evidence does not bear on what ``change`` does to main, or "". ``pull`` None: any.

    The same two contents may follow each other again, weeks after a rollback: so what was signed counts only while
    nothing touched the file since the commit that it was judged on. Gates, agents and audits all ask this; each knows
    main in its own way.
    """
    signed = about.change
    if signed is None or (signed.path, signed.old, signed.new) != (change.path, change.old, change.new):
        return f"is of another change of {change.path}"
    if (about.model, about.environment) != _subject(change.path):
        return f"speaks of {about.model or 'no model'} in {about.environment or 'no environment'}"
    if pull is not None and about.pull != pull:
        return f"is of pull request {about.pull}" if about.pull else "names no pull request"
    if not about.base:
        return "does not say on which commit of main it was judged"
    moved = touched(about.base)
    if moved is None:
        return f"was judged on {about.base[:12]}, which is not on main"
    return f"was judged on {about.base[:12]}, and {moved[:12]} has changed the file since" if moved else ""


def _subject(path: str) -> tuple[str, str]:
    """Model and environment of a deployment file."""
    folder, _, name = path.removesuffix(".yaml").rpartition("/")
    return folder.rpartition("/")[2], name


def touched_in(git: Git, path: str, main: str) -> Touched:
    """For changes that are not on ``main`` yet."""

    def touched(base: str) -> str | None:
        words = ("rev-list", "--first-parent", main)
        try:
            if git.resolve(base) is None or base not in git.text(*words).split():
                return None
            return git.text(*words, "-1", f"^{base}", "--", f":(top,literal){path}").strip()
        except OutsideError:
            return None

    return touched


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
