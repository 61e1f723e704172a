"""One answer explained: what each input contributed, in numbers and in the words of the business."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gitml.models.explaining import Attribution, explainer, seed_of
from gitml.models.model import Predictor
from gitml.models.signature import Rows
from gitml.reports.explanationfacts import AnsweringModel, ExplainedInput, ExplainedRequest, Explanation
from gitml.reports.figures import figure
from gitml.spec.reasons import Reasons

CALLS = 4000


@dataclass(frozen=True)
class ExplainOrder:
    """``output``: one of the model's, by default the largest. ``background``: encoded rows that models without trees
    are compared on, which may answer ``calls`` rows for it."""

    output: str = ""
    background: Rows | None = None
    calls: int = CALLS
    reasons: Reasons | None = None


def explained(
    model: Predictor, who: AnsweringModel, request: ExplainedRequest, values: Mapping[str, Any], order: ExplainOrder
) -> Explanation:
    """``values``: the inputs of the row, by name. Raises InputError, UsageError."""
    row = model.signature.columns({name: [value] for name, value in values.items()})[0]
    seed = seed_of(f"{request.request_id}\0{request.row}", model.digest)
    nothing = np.empty((0, len(row)), row.dtype)
    background = nothing if order.background is None else order.background
    found = explainer(model).attribution(row, order.output, background=background, budget=order.calls, seed=seed)
    sampled = found.method == "sampled"
    return Explanation(
        request, who, found.output, found.answer, found.method, found.scale, found.base, found.total,
        _inputs(model, values, found, order.reasons), found.calls, seed if sampled else None,
    )  # fmt: skip


def _inputs(
    model: Predictor, values: Mapping[str, Any], found: Attribution, reasons: Reasons | None
) -> tuple[ExplainedInput, ...]:
    made = []
    for place, field in enumerate(model.signature.inputs):
        value = _shown(values.get(field.name))
        error = found.errors[place] if found.errors else None
        one = ExplainedInput(field.name, value, found.values[place], error)
        reason = reasons.of(field.name, one.direction) if reasons and one.contribution else None
        said = reason.said(value if value is not None else "not known") if reason else ""
        made.append(ExplainedInput(field.name, value, one.contribution, error, said))
    return tuple(sorted(made, key=lambda one: (-abs(one.contribution), one.name)))


def _shown(value: Any) -> str | None:
    """As people read it; None for a missing value."""
    if value is None or value != value:
        return None
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return figure(float(value)) if isinstance(value, int | float) else str(value)
