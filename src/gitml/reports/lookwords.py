"""What a look found, in sentences for people who know the business and no statistics."""

from __future__ import annotations

from collections.abc import Mapping

from gitml.reports.escape import code, prose
from gitml.reports.figures import plural
from gitml.reports.lookfacts import MARKS, LookStory, Told, day, list_of, phase_of
from gitml.verdict import Phase

_NAMED = 3
_HEADLINES: Mapping[tuple[str, Phase], str] = {
    ("quality", Phase.FAILED): "its data are broken",
    ("drift", Phase.FAILED): "the data it receives no longer look like its training data",
    ("harm", Phase.FAILED): "its answers are worse than its evaluation promised",
    ("quality", Phase.INCONCLUSIVE): "its data could not be checked",
    ("drift", Phase.INCONCLUSIVE): "not every column has enough rows to tell whether it has changed",
    ("harm", Phase.INCONCLUSIVE): "it is too early to tell how good its answers are",
}
_MEANS: Mapping[tuple[str, Phase], str] = {
    ("quality", Phase.SUCCESSFUL): "The data keep their contract",
    ("quality", Phase.FAILED): "The data break their contract",
    ("quality", Phase.INCONCLUSIVE): "The data contract could not be checked",
    ("drift", Phase.SUCCESSFUL): "The data still look like the training data of this version",
    ("drift", Phase.FAILED): "The data no longer look like the training data of this version",
    ("drift", Phase.INCONCLUSIVE): "Not every column has enough rows to tell whether it has changed",
    ("harm", Phase.SUCCESSFUL): "The answers are as good as when this version was evaluated",
    ("harm", Phase.FAILED): "The answers are worse than the evaluation of this version promised",
    ("harm", Phase.INCONCLUSIVE): "It is too early to tell how good the answers are",
}
_WHAT_TO_DO = {
    "quality": "**Data**: repair the source first. A model that is retrained on broken data learns what is broken.",
    "harm": "**Answers**: the version before may be better: {rollback}, then train on newer data.",
    "drift": "**Changed data**: see which way they moved. If that does not matter, raise the floor of the column or "
    "mute it until a certain day; otherwise train on newer data. Changed data alone do not mean that the answers are "
    "worse.",
}


def headline(story: LookStory) -> str:
    """A mark and one sentence about the whole."""
    name = f"{code(str(story.look.get('model', '')))} in {code(str(story.look.get('environment', '')))}"
    if story.look.get("gone"):
        name += f" (version {code(str(story.look.get('version', '')))}, replaced {day(story.look, 'gone')})"
    if not story.verdicts:
        return f"⚪ **{name}** is not watched: every part is turned off."
    if story.phase is Phase.SUCCESSFUL:
        return f"{MARKS[story.phase]} **{name} is well**: nothing that is watched has changed."
    if story.phase is Phase.FAILED:
        failed = [_HEADLINES.get((part, Phase.FAILED), f"{prose(part, 40)} failed") for part, _ in story.failed]
        return f"{MARKS[story.phase]} **{name} needs attention**: {_joined(failed)}."
    told = (_HEADLINES.get((part, _known(verdict)), "") for part, verdict in story.verdicts)
    but = next(filter(None, told), "not all is known")
    return f"{MARKS[story.phase]} **{name}: nothing is known to be wrong**, but {but}."


def _known(verdict: Told) -> Phase:
    phase = phase_of(verdict)
    return Phase.INCONCLUSIVE if phase is Phase.ERROR else phase


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) < 2 else f"{', '.join(parts[:-1])}, and {parts[-1]}"


def sentence(story: LookStory, part: str, verdict: Told) -> str:
    """One verdict: its mark, its name, what it means, what was measured, and since when."""
    phase = _known(verdict)
    means = _MEANS.get((part, phase), f"{part.capitalize()}: {phase.value}")
    name = part.capitalize() if part in _WHAT_TO_DO else prose(part, 40)
    return f"{MARKS[phase]} **{name}.** {prose(means)}{_said(story, part, verdict)}"


def _said(story: LookStory, part: str, verdict: Told) -> str:
    reason, phase = str(verdict.get("reason", "")), _known(verdict)
    if part == "quality" and phase is Phase.SUCCESSFUL:
        return "."  # the reason says the same
    broken = list_of(story.look, "quality") if part == "quality" else []
    if broken:
        return _broken(broken)
    said = drifted(story) if part == "drift" and story.loud else f": {prose(reason, 600).rstrip('.')}."
    return f"{said} Since {since_when(story, part)}." if phase is Phase.FAILED else said


def _broken(found: list[Told]) -> str:
    """The first rule that is broken, which says since when itself."""
    first = found[0]
    of = f"{code(str(first['column']), 40)} " if first.get("column") else ""
    rule, seen, expected = (prose(str(first.get(key, "")), 160) for key in ("rule", "seen", "expected"))
    more = f", and {plural(len(found) - 1, 'rule')} more" if len(found) > 1 else ""
    return f": {of}{rule}: {seen}; expected {expected}; since {day(first, 'since')}{more}."


def drifted(story: LookStory) -> str:
    """The columns that drifted, with the way in which they moved."""
    loud = story.loud
    told = [f"{code(str(c.get('column', '')), 40)}{_moved(c)}" for c in loud[:_NAMED]]
    more = f" and {len(loud) - _NAMED} more" if len(loud) > _NAMED else ""
    return f": {'; '.join(told)}{more}."


def _moved(column: Told) -> str:
    moved = str(column.get("moved", ""))
    return f", {prose(moved, 160)}" if moved else ""


def since_when(story: LookStory, part: str) -> str:
    streak = story.streak(part)
    return f"{day(streak[0], 'since')} ({plural(len(streak), 'look')})"


def what_to_do(story: LookStory) -> list[str]:
    """A line for each verdict that failed."""
    if story.failed and story.look.get("gone"):
        return ["Another version serves now: check whether its own comment says the same."]
    model, environment = str(story.look.get("model", "")), str(story.look.get("environment", ""))
    rollback = code(f"gitml rollback {model} --in {environment}", 200)
    return [_WHAT_TO_DO[part].format(rollback=rollback) for part, _ in story.failed if part in _WHAT_TO_DO]
