"""What a running agent says of itself, asked over HTTP."""

from __future__ import annotations

from typing import Any

from gitml.agent.http import STATE
from gitml.errors import OutsideError
from gitml.http import HttpError, Request, connected
from gitml.promotion.live import LiveReport
from gitml.retries import Patience


def ask(url: str, token: str = "") -> dict[str, Any]:
    """The agent's state as it tells it. Raises HttpError, or OutsideError for an answer that is none of an agent."""
    with connected(url, token, patience=Patience(tries=2, total=10.0, answer=5.0)) as http:
        try:
            found = http.send(Request("GET", STATE.lstrip("/"))).value
        except HttpError as exc:
            hint = "is it running, and is this its address? " + exc.hint if not exc.status else exc.hint
            raise HttpError(exc.message, hint.strip(), status=exc.status) from exc
    if not isinstance(found, dict) or not isinstance(found.get("models"), list):
        raise OutsideError(f"{url} answers, but not as an agent does", "is it the address of `gitml agent`?")
    return found


def answers(url: str, token: str = "") -> dict[tuple[str, str], LiveReport]:
    """(model, environment) → what a running agent answers with now."""
    found = ask(url, token)
    environment, agent = str(found.get("environment", "")), str(found.get("agent", ""))
    told = {}
    for model in found["models"]:
        applied = model.get("applied") if isinstance(model, dict) else None
        if not isinstance(applied, dict):
            continue
        version = str(applied.get("champion") or applied.get("version") or "")
        state = "success" if model.get("health") in ("healthy", "suspended") else str(model.get("health"))
        said = LiveReport(version, state, str(applied.get("since", "")), str(model.get("reason") or ""), agent)
        told[str(model.get("model")), environment] = said
    return told
