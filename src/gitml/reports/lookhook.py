"""What a webhook is told of a look: a JSON body with the verdicts as data, and one line for a chat."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gitml.reports.escape import GAP, clip, visible
from gitml.reports.lookfacts import LookStory, Told, effects_of, list_of, phase_of, verdicts_of

FORMAT = 1
_COLUMNS, _RULES, _TEXT = 50, 50, 600
# What chats make a call or a link of.
_ACTS = re.compile(r"[<@&!#](?=\S)")
_EFFECT = ("window", "rows", "effective", "estimate", "low", "high", "floor", "drifted")
_RULE = ("rule", "column", "expected", "seen", "since")


def webhook_body(look: Mapping[str, Any], url: str = "") -> dict[str, Any]:
    """``url``: of the comment. Keys are only added as long as ``format`` is 1.

    ``text`` is plain, and calls nobody in a chat.
    """
    story = LookStory(look)
    return {
        "format": FORMAT,
        "text": text(story, url),
        "url": url,
        "id": look.get("id", ""),
        **{key: look.get(key) for key in ("model", "environment", "version", "since", "until", "at", "rows")},
        "phase": story.phase.value,
        "verdicts": {
            name: {"phase": phase_of(verdict).value, "reason": str(verdict.get("reason", ""))}
            for name, verdict in verdicts_of(look).items()
        },
        "drifted": [_column(column) for column in story.loud[:_COLUMNS]],
        "broken": [{key: rule.get(key) for key in _RULE} for rule in list_of(look, "quality")[:_RULES]],
    }


def text(story: LookStory, url: str = "") -> str:
    """What failed, in one line."""
    where = f"{story.look.get('model', '')} in {story.look.get('environment', '')}"
    failed = "; ".join(f"{name}: {verdict.get('reason', '')}" for name, verdict in story.failed)
    said = clip(visible(f"{where}: {failed or story.phase.value}"), _TEXT)
    return _ACTS.sub(lambda found: found.group() + GAP, said) + (f" {url}" if url else "")


def _column(column: Told) -> dict[str, Any]:
    effects = {of: {key: effect.get(key) for key in _EFFECT} for of, effect in effects_of(column)}
    return {"column": column.get("column"), "moved": column.get("moved"), **effects}
