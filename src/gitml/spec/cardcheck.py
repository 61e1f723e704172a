"""Whether people said what a card needs to say of models that can do harm."""

from __future__ import annotations

from gitml.errors import Problem
from gitml.spec.application import Application
from gitml.spec.yamlfile import Document


def cards_told(app: Application, document: Document) -> list[Problem]:
    """Cautions: what only people know of models that can do harm."""
    found = []
    for name, model in app.models.items():
        known = {"owner": model.owner, "purpose": model.purpose, "card.limits": model.card and model.card.limits}
        absent = [key for key, value in known.items() if not value]
        if model.tier in ("high", "medium") and absent:
            message = f"of a model of tier {model.tier} nobody says: {', '.join(absent)}"
            found.append(document.problem(("models", name, "tier"), message, "its card tells people what stands there"))
    return found
