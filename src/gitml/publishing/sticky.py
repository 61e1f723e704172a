"""One comment per report: found by its marker and its author, updated in place, never doubled.

A body begins with two lines that people do not see: the marker, which names the report, and the stamp, which says what
the report is about, so that the run of an older commit does not overwrite the report of a newer one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cmp_to_key

from gitml.errors import UsageError
from gitml.forges.base import Comment, Comments, Commits, Place, Relation

# GitHub counts characters; what is longer is refused there.
MAX_BODY = 65_536
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,149}")
_STAMP = re.compile(r"<!-- gitml:run commit=([0-9a-f]{40}|[0-9a-f]{64}) run=([0-9]{1,18}) attempt=([0-9]{1,6}) -->")
_ROUNDS = 6
# What other publishers put at the end of a body to know it again; it stays where it is.
_TAIL = re.compile(r'\n*(!\[\]\(https://cml\.dev/watermark\.png#[0-9a-fA-F]+ "CML watermark[^"\n]*"\))\s*\Z')


@dataclass(frozen=True)
class Stamp:
    """Which run at which commit a report comes from; ``run`` and ``attempt`` are the forge's numbers, 0 outside it."""

    commit: str
    run: int = 0
    attempt: int = 0

    def __str__(self) -> str:
        return f"<!-- gitml:run commit={self.commit} run={self.run} attempt={self.attempt} -->"


@dataclass(frozen=True)
class Sticky:
    """A report for one place. ``text`` is Markdown without marker and stamp.

    ``me`` is the login that posts it; a wrong or empty one is put right by the first comment that is posted.
    """

    key: str
    text: str
    stamp: Stamp
    me: str

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise UsageError(f"{self.key[:100]!r} is no key of a report")

    @property
    def marker(self) -> str:
        return f"<!-- gitml:report:{self.key} -->"

    def body(self, tail: str = "") -> str:
        """The whole comment. ``tail``: the watermark of another publisher, kept as it was."""
        text = "\n".join((self.marker, str(self.stamp), self.text.strip()))
        return f"{text}\n\n{tail}" if tail else text

    def owns(self, comment: Comment) -> bool:
        """Whether it is this report, by us: others may write the same marker into a comment of theirs."""
        first = comment.body.lstrip("\ufeff").split("\n", 1)[0].strip()
        return comment.author == self.me and first == self.marker


@dataclass(frozen=True)
class Posted:
    """``how`` is posted, updated, unchanged, or superseded by the report of a newer commit; ``url`` the comment's."""

    how: str
    url: str
    removed: int = 0


def stamp_of(comment: Comment) -> Stamp | None:
    """What the comment says it is about; None when somebody edited that away."""
    lines = comment.body.replace("\r\n", "\n").split("\n", 2)
    found = _STAMP.fullmatch(lines[1].strip()) if len(lines) > 1 else None
    return Stamp(found[1], int(found[2]), int(found[3])) if found else None


def tail_of(comment: Comment) -> str:
    """The watermark of another publisher at the end, or nothing."""
    found = _TAIL.search(comment.body)
    return found[1] if found else ""


@dataclass(frozen=True)
class Age:
    """Which of two reports is newer: by the history of their commits, then by run. Answers are remembered."""

    commits: Commits
    tip: str
    known: dict[tuple[str, str], Relation | None]

    def compare(self, one: Stamp | None, other: Stamp | None) -> int:
        """Negative when ``one`` is older."""
        if one is None or other is None:
            return (one is not None) - (other is not None)
        if one.commit != other.commit:
            found = self._relation(other.commit, one.commit)
            if found in (Relation.AHEAD, Relation.BEHIND):
                return 1 if found is Relation.AHEAD else -1
            # History was rewritten: what the branch has now counts.
            if self.tip in (one.commit, other.commit):
                return 1 if one.commit == self.tip else -1
        first, second = (one.run, one.attempt), (other.run, other.attempt)
        return (first > second) - (first < second)

    def _relation(self, base: str, head: str) -> Relation | None:
        if (base, head) not in self.known:
            self.known[base, head] = self.commits.compare(base, head)
        return self.known[base, head]


def mine(comments: Comments, place: Place, sticky: Sticky, age: Age) -> list[Comment]:
    """Our comments with this report, the newest report last; of equal ones the one that was posted last."""
    found = [c for c in comments.list(place) if sticky.owns(c)]

    def order(one: Comment, other: Comment) -> int:
        return age.compare(stamp_of(one), stamp_of(other)) or one.id - other.id

    return sorted(found, key=cmp_to_key(order))


def stick(comments: Comments, place: Place, sticky: Sticky, age: Age) -> Posted:
    """Bring it about that there is this one comment with this report, or with one that is newer.

    It looks again after each write: two publishers at once, answers that were lost and calls that came through twice
    end with one comment.
    """
    return _Work(comments, place, sticky, age).run()


@dataclass
class _Work:
    comments: Comments
    place: Place
    sticky: Sticky
    age: Age
    written: Comment | None = None
    how: str = "unchanged"
    removed: int = 0

    def run(self) -> Posted:
        for number in range(_ROUNDS):
            found = mine(self.comments, self.place, self.sticky, self.age)
            done = self._round(found, number)
            if done is not None:
                return done
        url = self.written.url if self.written else ""
        return Posted(self.how, url, self.removed)

    def _round(self, found: list[Comment], number: int) -> Posted | None:
        if not found:
            return self._nothing(number)
        best, first = found[-1], min(found, key=lambda comment: comment.id)
        order = self.age.compare(stamp_of(best), self.sticky.stamp)
        body = best.body if order > 0 else self.sticky.body(tail_of(best))
        # After a write of ours, a report of the same run that looks different is another publisher's equal one.
        equal = order == 0 and self.written is not None and stamp_of(first) == self.sticky.stamp
        if not same(first.body, body) and not equal:
            self._write(first, body, is_ours=order <= 0)
            return None
        # All publishers keep the comment that was there first, whatever it says by now: none deletes another's choice.
        self._remove([comment for comment in found if comment.id != first.id])
        return Posted("superseded" if order > 0 else self.how, first.url, self.removed)

    def _write(self, first: Comment, body: str, *, is_ours: bool) -> None:
        edited = self.comments.edit(self.place, first.id, body)
        if is_ours:
            self.written = edited
            self.how = "updated" if edited else self.how

    def _nothing(self, number: int) -> Posted | None:
        if self.written is None:
            self.written = self.comments.add(self.place, self.sticky.body())
            self.how = "posted"
            # The forge knows best who we are: comments of that name, not of the expected one, are ours.
            self.sticky = replace(self.sticky, me=self.written.author)
            return None
        # Either the list lags behind, or somebody deleted it on purpose: it is not posted twice.
        if number >= 3:
            return Posted(self.how, self.written.url, self.removed)
        time.sleep(0.3 * number)
        return None

    def _remove(self, doubles: list[Comment]) -> None:
        for double in doubles:
            self.comments.delete(self.place, double.id)
            self.removed += 1


def same(one: str, other: str, clean: Callable[[str], str] = str.strip) -> bool:
    """Whether two bodies say the same, whatever the forge did to their line ends."""
    return clean(one.replace("\r\n", "\n")) == clean(other.replace("\r\n", "\n"))
