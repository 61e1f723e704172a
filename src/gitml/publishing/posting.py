"""Who posts the comment: CML where it is there and can keep gitml's promises, else gitml; the reason is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gitml.errors import GitmlError, OutsideError
from gitml.forges.base import Comment, Comments, Place
from gitml.forges.cml import SECONDS, find_cml, picked, watermark, why_unreachable
from gitml.forges.settings import Settings
from gitml.publishing.sticky import MAX_BODY, Age, Posted, Sticky, mine, same, stamp_of, stick, tail_of


@dataclass(frozen=True)
class Publisher:
    """``wanted`` is what gitml.yaml says: auto, cml or gitml.

    ``search`` is the PATH on which cml is looked for, ``seconds`` how long it may take.
    """

    wanted: str
    settings: Settings
    say: Callable[[str], None]
    search: str | None = None
    seconds: float = SECONDS


def post(publisher: Publisher, comments: Comments, place: Place, sticky: Sticky, age: Age) -> tuple[Posted, str]:
    """The report as one comment, and who posted it: ``cml`` or ``gitml``.

    Whatever CML did, gitml looks afterwards and puts right what is missing or doubled.
    """
    if len(sticky.body()) > MAX_BODY:
        raise OutsideError(f"the report has {len(sticky.body()):,} characters, a comment at most {MAX_BODY:,}")
    said = _by_cml(publisher, comments, place, sticky, age) if publisher.wanted != "gitml" else None
    posted = stick(comments, place, sticky, age)
    if said is not None and posted.how == "unchanged":
        publisher.say("the report was posted by cml")
        return Posted(said, posted.url, posted.removed), "cml"
    if said is not None:
        publisher.say(f"cml ended well, but not with the one comment that was wanted: gitml {posted.how} it")
    return posted, "gitml"


def _by_cml(publisher: Publisher, comments: Comments, place: Place, sticky: Sticky, age: Age) -> str | None:
    """Posted or updated, if CML did it. Otherwise None, with the reason said."""
    try:
        cml = find_cml(publisher.search, publisher.seconds)
        there = mine(comments, place, sticky, age)
        best = there[-1] if there else None
        if best is not None and _is_settled(best, sticky, age):
            return None
        why = _why_not(publisher, comments, place, sticky, best)
        if why:
            publisher.say(f"cml is not used: {why}")
            return None
        cml.comment(publisher.settings, place, sticky.body(), label=label_of(sticky), commit=sticky.stamp.commit)
    except GitmlError as exc:
        # Nothing may depend on CML: gitml posts instead, and meets the same trouble itself if it is the forge's.
        publisher.say(f"cml is not used: {exc.message}")
        return None
    return "updated" if best else "posted"


def _is_settled(best: Comment, sticky: Sticky, age: Age) -> bool:
    """Whether there is nothing to write: a newer report is there, or this very one."""
    order = age.compare(stamp_of(best), sticky.stamp)
    return order > 0 or same(best.body, sticky.body(tail_of(best)))


def _why_not(publisher: Publisher, comments: Comments, place: Place, sticky: Sticky, best: Comment | None) -> str:
    """Why CML would not do what is promised; as a last step the comment is marked so that CML finds it."""
    mark = watermark(label_of(sticky), sticky.stamp.commit)
    if len(sticky.body(mark)) > MAX_BODY:
        return "the report with its watermark would be too long for a comment"
    if why := why_unreachable(publisher.settings):
        return why
    there = comments.list(place)
    chosen = picked(place, there, label_of(sticky))
    if best is None:
        return f"it would change a comment by {chosen.author}" if chosen else ""
    if chosen is None and not tail_of(best):
        there = tuple(_marked(c, mark) if c.id == best.id else c for c in there)
        chosen = picked(place, there, label_of(sticky))
        if chosen is not None and chosen.id == best.id:
            comments.edit(place, best.id, chosen.body)
    if chosen is None:
        return "the comment is on a page that cml does not read"
    return "" if chosen.id == best.id else f"it would change another comment, by {chosen.author}"


def _marked(comment: Comment, mark: str) -> Comment:
    body = f"{comment.body.rstrip()}\n\n{mark}"
    return Comment(comment.id, body, comment.author, comment.url, comment.created, comment.updated)


def label_of(sticky: Sticky) -> str:
    """What CML knows the comment by: one label per report."""
    return f"gitml {sticky.key}"
