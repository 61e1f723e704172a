"""A change of one deployment file as a pull request: one branch, one commit, opened once and kept up to date."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.errors import FailedError, OutsideError
from gitml.forges.base import NewPull, PullRequest
from gitml.forges.governed import Account
from gitml.git.bot import BOT_EMAIL, BOT_NAME
from gitml.git.edit import Who, bring, commit_files, swap, tip_of
from gitml.registry.resolve import deployment_path
from gitml.spec import Deployment, render_deployment

PROMOTE, ROLLBACK, RESUME = "gitml/promote", "gitml/rollback", "gitml/resume"
RAISE, TAKE_BACK, RELIEVE, RETIRE = "gitml/raise", "gitml/take-back", "gitml/relieve", "gitml/retire"
OVERTAKEN = "Overtaken:"
CHANGE, REQUESTED = "Gitml-Change", "Gitml-Requested-By"
BEGIN, END = "<!-- gitml:change:begin -->", "<!-- gitml:change:end -->"
_TRIES = 5
_REQUEST = re.compile(r"(?P<login>\S+)(?: (?P<id>\d{1,18}))?", re.ASCII)


@dataclass(frozen=True)
class Wish:
    """What a deployment file shall become, and the words for it. ``asked_by`` are those who want it.

    ``reason`` is whatever somebody typed; ``words`` are gitml's own. ``claim`` are trailers that say what it follows
    from: then it is the bot's own, whose account ever makes it. ``draft``: it is not to be reviewed yet. ``also``: what
    the files of other environments become with it, where a model ends in several at once.
    """

    model: str
    environment: str
    branch: str
    wanted: Deployment
    title: str
    words: str
    reason: str
    asked_by: tuple[Account, ...]
    claim: tuple[str, ...] = ()
    draft: bool = False
    also: Mapping[str, Deployment] = field(default_factory=dict)

    @property
    def files(self) -> Mapping[str, bytes]:
        """Paths from the folder of gitml.yaml, and what each becomes."""
        states = {self.environment: self.wanted, **self.also}
        return {deployment_path(self.model, name): render_deployment(state).encode() for name, state in states.items()}

    @property
    def subject(self) -> str:
        """Model and environments: the trailer by which gitml knows a commit of its own again."""
        return " ".join([self.model, self.environment, *self.also])

    def is_ours(self, trailer: str) -> bool:
        """Whether gitml itself put a commit on this branch. A model may have ended in one of several places since."""
        model, *names = trailer.split() or [""]
        return model == self.model and (names == [self.environment] or self.branch.startswith(f"{RETIRE}/"))

    def message(self) -> str:
        trailers = [f"{CHANGE}: {self.subject}"]
        trailers += [f"{REQUESTED}: {p.login} {p.id}" if p.id else f"{REQUESTED}: {p.login}" for p in self.asked_by]
        # On one line, so that no word of it is read as a trailer.
        why = [f"Why: {' '.join(self.reason.split())}"] if self.reason else []
        return "\n".join([self.title, "", self.words.strip(), *why, "", *trailers, *self.claim, ""])


def branch_of(main: Mainline, kind: str, model: str, *more: str) -> str:
    """A name that Git takes, different for different words; it has the folder of an application below the top."""
    parts = (f"{main.git.prefix.strip('/').replace('/', '+')}+{model}" if main.git.prefix else model, *more)
    return "/".join((kind, *(_part(part) for part in parts)))


def _part(text: str) -> str:
    """Git refuses two dots in a row and names that end in a dot or .lock (git check-ref-format)."""
    fine = re.sub(r"\.(?=\.|lock$|$)|^\.|[^A-Za-z0-9._+-]", "-", text)
    return fine if fine == text else f"{fine}-{sha256(text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class ChangeBranch:
    """``commit`` is the branch's head; ``is_new`` when it was made now."""

    commit: str
    is_new: bool


def put_branch(place: Place, wish: Wish, main: Mainline) -> ChangeBranch:
    """Have the change on its branch, as one commit on the newest mainline.

    What is there already and still fits stays, so that approvals do. Raises FailedError when somebody else pushed to
    the branch: their commits are never overwritten.
    """
    for _ in range(_TRIES):
        there = tip_of(place.root, place.remote, wish.branch)
        if there:
            bring(place.git, place.remote, there, whole=True)
            if _still_fits(place, wish, main, there):
                return ChangeBranch(there, is_new=False)
            _refuse_foreign(place, wish, main, there)
        files = {f"{main.git.prefix}{path}": content for path, content in wish.files.items()}
        who = Who(BOT_NAME, BOT_EMAIL) if wish.claim else place.who()
        commit = commit_files(place.git, main.commit, files, wish.message(), who)
        if swap(place.root, place.remote, wish.branch, there, commit):
            return ChangeBranch(commit, is_new=True)
    raise OutsideError(f"the branch {wish.branch} moves again and again", "try again")


def _still_fits(place: Place, wish: Wish, main: Mainline, there: str) -> bool:
    """Whether merging ``there`` gives the wanted files: it has them, and the mainline's did not change meanwhile."""
    git, files = place.git, wish.files
    if any(git.read_file(there, path) != content for path, content in files.items()):
        return False
    fork = _merge_base(place, main.commit, there)
    if fork is None or fork == there:
        return False
    changed = git.text("diff", "--name-only", "-z", "--no-renames", fork, there).split("\0")
    only = {name for name in changed if name} == {f"{git.prefix}{path}" for path in files}
    return only and all(git.read_file(fork, path) == main.file(path) for path in files)


def _refuse_foreign(place: Place, wish: Wish, main: Mainline, there: str) -> None:
    fork = _merge_base(place, main.commit, there)
    span = f"{fork}..{there}" if fork else there
    told = place.git.text(
        "log", "--no-show-signature", "-z", f"--format=%H%x1f%an%x1f%(trailers:key={CHANGE},valueonly)", span
    ).split("\0")
    for one in told:
        commit, author, trailer = (*one.split("\x1f"), "", "")[:3]
        if commit.strip() and not wish.is_ours(trailer):
            raise FailedError(
                f"the branch {wish.branch} has a commit of {author} that is not gitml's: {commit.strip()[:12]}",
                "see what it is for; with --anew its pull request is closed, and it begins again on a new branch",
            )


def _merge_base(place: Place, one: str, other: str) -> str | None:
    try:
        return place.git.text("merge-base", one, other).strip() or None
    except OutsideError:
        return None


@dataclass(frozen=True)
class Put:
    """``how`` is opened, updated or unchanged."""

    pull: PullRequest
    how: str


def put_pull(place: Place, wish: Wish, branch: ChangeBranch, body: Callable[[str], str]) -> Put:
    """Open the pull request, or bring the open one up to date. ``body`` gets the commit."""
    new = NewPull(wish.title, wish.branch, place.branch, body(branch.commit), draft=wish.draft)
    return keep_pull(place, new, is_new=branch.is_new)


def keep_pull(place: Place, new: NewPull, *, is_new: bool) -> Put:
    """The same for any change; ``is_new``: its commit was made now.

    What people wrote around gitml's part of the text stays.
    """
    text = f"{BEGIN}\n{new.body.strip()}\n{END}"
    there = [p for p in place.forge.pulls.of_branch(new.head) if p.base.branch == place.branch]
    if not there:
        return Put(place.forge.pulls.open(replace(new, body=text)), "opened")
    pull = there[0]
    whole = _around(pull.body, text)
    title = new.title if is_new else pull.title
    if same_text(whole, pull.body) and title == pull.title:
        return Put(pull, "updated" if is_new else "unchanged")
    return Put(place.forge.pulls.edit(pull.number, title=title, body=whole), "updated")


def _around(body: str, text: str) -> str:
    before, begin, rest = body.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + text + after if begin and end else text


def same_text(one: str, other: str) -> bool:
    """Whether two texts are the same but for the line ends that a forge may change."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def requested_by(message: str) -> tuple[Account, ...]:
    """Who asked for a change, as the trailers of its commit say."""
    values = re.findall(rf"^{REQUESTED}:[ \t]*(.+?)[ \t]*$", message, re.M)
    found = (_REQUEST.fullmatch(value) for value in values)
    return tuple(Account(m["login"], int(m["id"] or 0)) for m in found if m)


def drop_branch(place: Place, branch: str, commit: str) -> bool:
    """Remove a branch that is at ``commit``; False when it moved, or the forge did not let us."""
    try:
        return swap(place.root, place.remote, branch, commit, None)
    except OutsideError as exc:
        place.say(f"the branch {branch} stays: {exc.message.splitlines()[0]}")
        return False


def begin_anew(place: Place, branch: str) -> tuple[int, ...]:
    """Close what is open of a branch that is stuck, and remove it, whatever is on it: the forge keeps the commits."""
    pulls = {p.number: p for p in place.forge.pulls.of_branch(branch) if p.base.branch == place.branch}
    for number in pulls:
        place.forge.merges.close(number, "Closed, because it begins again from the newest state of the default branch.")
    there = tip_of(place.root, place.remote, branch)
    if there is not None and not swap(place.root, place.remote, branch, there, None):
        raise OutsideError(f"the branch {branch} moved while it was to begin again", "call this again")
    return tuple(pulls)


def close_overtaken(place: Place, pulls: Mapping[int, PullRequest], why: str) -> tuple[int, ...]:
    """Close pull requests with a comment, and remove their branches."""
    for number, pull in pulls.items():
        place.forge.merges.close(number, why)
        drop_branch(place, pull.head.branch, pull.head.commit)
    return tuple(pulls)
