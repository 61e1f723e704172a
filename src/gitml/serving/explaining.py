"""`POST /models/MODEL/explain`: what each input of one row contributes to its answer.

Nothing of it is made before somebody asks. One explanation at a time, in a thread: a model without trees answers
thousands of rows for it, and predictions must not wait.
"""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from gitml.errors import UsageError
from gitml.models.explaining import Attribution, Explainer, explainer, seed_of
from gitml.models.model import ModelError, Predictor, UnknownWordError
from gitml.models.signature import InputError
from gitml.serving.answering import misfit
from gitml.serving.plainjson import AskedRows
from gitml.serving.state import Served
from gitml.serving.wire import RequestError

_CALLS = 1000
_KEPT = 8


class Explaining:
    """Explains for one server; used from its event loop alone."""

    def __init__(self) -> None:
        self._explainers: dict[str, Explainer] = {}
        self._busy = False

    async def explain(self, served: Served, asked: AskedRows, unit: str, request_id: str) -> dict[str, Any]:
        """By the version that ``unit`` is answered by. Raises RequestError."""
        if asked.length != 1:
            raise RequestError(422, "rows", f"one row is explained at a time, not {asked.length:,}")
        if self._busy:
            raise RequestError(429, "busy", "another answer is being explained", headers=[(b"retry-after", b"1")])
        variant = served.choose(asked.unit or unit or request_id)
        self._busy = True
        served.in_flight.count += 1
        try:
            found = await asyncio.to_thread(self._explained, variant.model, variant.digest, asked, request_id)
        except (InputError, UnknownWordError) as exc:
            raise misfit(exc) from None
        except UsageError as exc:
            raise RequestError(422, "explain", exc.message, hint=exc.hint) from None
        except ModelError as exc:
            raise RequestError(500, "model", exc.message, hint="the request is sound; the model is not") from None
        finally:
            self._busy = False
            served.in_flight.count -= 1
        head = {"id": request_id, "model": served.name, "version": variant.version, "variant": variant.role}
        return {**head, "digest": variant.digest, **_told(variant.model, found)}

    def _explained(self, model: Predictor, digest: str, asked: AskedRows, request_id: str) -> Attribution:
        row = asked.encoded(model.signature)[0]
        ready = self._explainers.get(digest)
        if ready is None or ready.model is not model:
            ready = explainer(model)
            # Versions come and go; the oldest is made anew if somebody asks for it again.
            self._explainers = dict([*self._explainers.items(), (digest, ready)][-_KEPT:])
        nothing = np.empty((0, len(row)), row.dtype)
        background = nothing if model.examples is None else model.examples
        seed = seed_of(request_id, digest)
        return ready.attribution(row, background=background, budget=max(_CALLS, 16 * len(row)), seed=seed)


def _told(model: Predictor, found: Attribution) -> dict[str, Any]:
    names = [field.name for field in model.signature.inputs]
    errors = {"errors": dict(zip(names, found.errors, strict=True))} if found.errors else {}
    return {
        "output": found.output,
        "answer": found.answer,
        "method": found.method,
        "scale": found.scale,
        "base": found.base,
        "total": found.total,
        "contributions": dict(zip(names, found.values, strict=True)),
        **errors,
    }
