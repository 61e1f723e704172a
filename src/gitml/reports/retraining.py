"""The text of a pull request that asks for a training: what makes it due, how sure that is, what it costs, how to say
no. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gitml.reports.escape import code, link, prose, row
from gitml.reports.figures import plural
from gitml.spec.retrain import RETRAIN_CAUSES

_TITLES: Mapping[str, str] = {
    "harm": "its answers are worse than its evaluation said",
    "performance": "its metrics are worse than its evaluation said",
    "drift": "the data it receives no longer look like its training data",
    "upstream": "a model that it needs is another one now",
    "erasure": "it was trained on somebody who asked to be erased",
    "new_data": "there are new data",
    "schedule": "it is time",
    "by-hand": "a person asked for it",
    "stale": "no recorded run gave what the default branch says",
}


@dataclass(frozen=True)
class LookedWindow:
    """A window of a monitor that failed: ``url`` of the signed look, ``sketch`` the digest of what was counted."""

    since: datetime
    until: datetime
    rows: int
    sketch: str
    url: str


@dataclass(frozen=True)
class RetrainStory:
    """``set`` is parameter → (as gitml.yaml has it, what it becomes). ``shows``: the effect with its interval."""

    model: str
    cause: str
    reason: str
    since: datetime
    at: datetime
    environment: str = ""
    version: str = ""
    windows: Sequence[LookedWindow] = ()
    shows: Mapping[str, Any] = field(default_factory=dict)
    set: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    hours: float | None = None
    gpu_hours: float = 0.0
    money: float | None = None
    error: float | None = None
    warnings: Sequence[str] = ()
    by: str = ""


def title(model: str, cause: str) -> str:
    return f"Retrain {model}: {_TITLES.get(cause, cause)}"


def text(story: RetrainStory) -> str:
    parts = [_head(story), *(f"⚠️ **Do not merge now**: {prose(why)}." for why in story.warnings)]
    parts += ["### What makes it due", _due(story)]
    parts += ["### What it would learn from", _data(story)]
    parts += ["### What it may bring, and what it costs", f"- Gain: {_gain(story)}\n- Cost: {_cost(story)}"]
    parts += ["### How to say no", _no(story)]
    return "\n\n".join(parts) + "\n"


def _head(story: RetrainStory) -> str:
    who = f"{code(story.by)} asks" if story.by else "gitml asks"
    said = f"{who} to train {code(story.model)} again: {_TITLES.get(story.cause, prose(story.cause))}."
    return f"{said} CI trains it on this branch and reports how it compares; people decide."


def _due(story: RetrainStory) -> str:
    where = f", monitor of {code(story.model)} in {code(story.environment)}" if story.environment else ""
    lines = [f"- Cause: {code(story.cause)}{where}, since {story.since:%Y-%m-%d %H:%M} UTC", f"- {prose(story.reason)}"]
    if sure := _sure(story.shows):
        lines.append(f"- How sure: {sure}")
    if story.version:
        lines.append(f"- Seen of version {code(story.version)}")
    lines += [_window(one) for one in story.windows]
    return "\n".join(lines)


def _sure(shows: Mapping[str, Any]) -> str:
    """The effect with its interval, never a p-value."""
    of = code(str(shows.get("column") or shows.get("metric") or ""))
    value = shows.get("estimate", shows.get("value"))
    low, high = shows.get("low"), shows.get("high")
    if not isinstance(value, int | float) or low is None:
        return ""
    ends = f"between {low:.4g} and {high:.4g}" if isinstance(high, int | float) else f"at least {low:.4g}"
    against = f", and nobody minds {shows['floor']:.4g}" if isinstance(shows.get("floor"), int | float) else ""
    own = f", evaluated {shows['evaluated']:.4g}" if isinstance(shows.get("evaluated"), int | float) else ""
    return f"{of} {value:.4g}, {ends}{against}{own}"


def _window(one: LookedWindow) -> str:
    when = f"{one.since:%Y-%m-%d %H:%M} to {one.until:%Y-%m-%d %H:%M} UTC"
    return f"- {link('Look', one.url)} at {when}: {plural(one.rows, 'row')}, counts {code(one.sketch[:12])}"


def _data(story: RetrainStory) -> str:
    if not story.set:
        return "What the default branch has: `set` under `retrain` in gitml.yaml changes nothing."
    rows = [row([code(name), code(said), code(value)]) for name, (said, value) in story.set.items()]
    head = f"As of {story.at:%Y-%m-%d %H:%M} UTC:"
    return "\n".join([head, "", "| parameter | gitml.yaml says | becomes |", "|---|---|---|", *rows])


def _gain(story: RetrainStory) -> str:
    shows = story.shows
    value, own = shows.get("value"), shows.get("evaluated")
    if story.cause in ("drift", "schedule", "new_data") or not isinstance(value, int | float):
        return "not known. Changed data alone do not say that the answers are worse; the report of the training does."
    back = f" from {value:.4g} back to {own:.4g}" if isinstance(own, int | float) else f" from {value:.4g}"
    name = code(str(shows.get("metric", "the metric")))
    return f"at best {name}{back}, which its evaluation had; the report of the training says what it is."


def _cost(story: RetrainStory) -> str:
    told = [f"{story.hours:g} h of training"] if story.hours is not None else []
    told += [f"{story.gpu_hours:g} GPU hours"] if story.gpu_hours else []
    told += [f"{story.money:g} in money"] if story.money is not None else []
    wrong = f"; a wrong answer costs {story.error:g}" if story.error is not None else ""
    return (", ".join(told) or "not said: `cost` under `retrain` in gitml.yaml") + wrong


def _no(story: RetrainStory) -> str:
    if story.cause not in RETRAIN_CAUSES:
        return "Close this pull request: a person asked for it, and gitml does not ask again."
    command = code(f"gitml retrain decline {story.model} --cause {story.cause} --for 14d --reason '…'", 200)
    return (
        f"Label this pull request `gitml:not-now 14d`, or say {command}: nothing asks for {code(story.model)} because "
        f"of {code(story.cause)} again before that. Closing it says no until the cause is gone and comes back."
    )


def no_gain_title(model: str) -> str:
    return f"Retraining does not help {model}"


def no_gain(model: str, pulls: Sequence[int]) -> str:
    """Said once for those in a row."""
    named = ", ".join(f"#{number}" for number in pulls)
    return (
        f"**Retraining does not help {code(model)}**: {named} brought no champion, one after another. gitml opens no "
        "more until a version becomes champion. Look for another cause than old data: a feature that changed its "
        f"meaning, labels, the model itself. {code(f'gitml retrain open {model}')} opens one all the same."
    )
