"""What may not be taken off main again: per model, once something else keeps the whole from being verified.

``verified`` moves on with main while all that main says here is believed. One file that is not would stop it, and then
a rollback of another model could be undone by force. So each model that is believed keeps a mark of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gitml.agent.source import Heads, Mirror
from gitml.agent.state import AgentState


def lost(mirror: Mirror, state: AgentState, main: str) -> Mapping[str, str]:
    """Models of which ``main`` no longer holds what was believed, each with the commit that is gone."""
    if not state.marks:
        return {}
    there = mirror.since(state.verified, main)
    return {model: c for model, c in state.marks.items() if c not in there and not mirror.continues(main, c)}


def advanced(
    mirror: Mirror, state: AgentState, heads: Heads, models: Collection[str], failed: Collection[str]
) -> AgentState:
    """After a round over ``models``, of which the ``failed`` are not believed; the ledger only ever grows."""
    told = {"ledger": heads.ledger}
    if not failed:
        return state.model_copy(update={**told, "verified": heads.main, "marks": {}})
    believed = {model for model in models if model not in failed}
    touched = mirror.touched(state.verified, heads.main, state.environment, believed)
    kept = {model: commit for model, commit in state.marks.items() if model in failed}
    return state.model_copy(update={**told, "marks": {**kept, **touched}})


def why_gone(branch: str, commit: str) -> str:
    """What a model waits for whose mark ``commit`` is lost."""
    return f"{branch} was rewritten: it no longer holds {commit[:10]}, the last that was believed of this; restore it"
