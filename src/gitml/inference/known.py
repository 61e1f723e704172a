"""Whether there is a model of a name: rows that are kept for another one would never be joined, and nobody told."""

from __future__ import annotations

from collections.abc import Sequence

from gitml.engines.places import place_of
from gitml.errors import UsageError
from gitml.spec.validate import nearest

_FOLDER = "model="


def refuse_unknown(folder: str, model: str, models: Sequence[str] | None) -> None:
    """``models``: those of gitml.yaml, None where there is none: then those with requests in ``folder`` are known, if
    any is. Raises UsageError."""
    known = list(models) if models is not None else _asked(folder)
    if known and model not in known:
        where = "gitml.yaml" if models is not None else f"the traffic in {folder}"
        raise UsageError(f"{where} has no model {model!r}", nearest(model, known) or f"models: {', '.join(known)}")


def _asked(folder: str) -> list[str]:
    found = (place_of(folder) / "predictions").folders()
    return [name.removeprefix(_FOLDER) for name in found if name.startswith(_FOLDER)]
