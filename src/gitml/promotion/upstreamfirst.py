"""The order of promotions: a model comes to an environment after those that it is built on."""

from __future__ import annotations

from gitml.control.upstreams import Upstreams


def waits_for(upstreams: Upstreams, model: str, environment: str) -> str:
    """Which open promotion of an upstream comes first, for people; '' where none is open.

    Of upstreams in other repositories nothing is known here: the gate `upstream` asks what runs.

    Raises OutsideError when the forge cannot be asked.
    """
    found = upstreams.open_promotions(model, environment)
    told = [f"#{pull.number} ({pull.title})" for pulls in found.values() for pull in pulls]
    return f"{model} waits for {', '.join(told)}: a model that it is built on comes first" if told else ""
