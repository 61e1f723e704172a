"""A model of models: each member sees the inputs it knows, and their answers become one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gitml.errors import SpecError, UsageError
from gitml.models.fields import Field
from gitml.models.model import Answers, OpenedModel, Predictor
from gitml.models.signature import Rows, Signature
from gitml.spec.deployment import Pin
from gitml.spec.ensemble import Ensemble, parse_ensemble

Score = Callable[[Rows], Answers]
# Loads the version of a model that a pin names, checked as any other.
Members = Callable[[str, Pin], Predictor]


def opened(content: bytes, signature: Signature, members: Members | None) -> OpenedModel:
    """The ensemble that ``content`` describes. Raises UsageError where members do not fit it."""
    try:
        wanted = parse_ensemble(content, "the ensemble")
    except SpecError as exc:
        raise UsageError(
            f"the ensemble cannot be read: {exc}", "schemas/ensemble.schema.json says what it holds"
        ) from exc
    if members is None:
        raise UsageError("an ensemble needs its members' versions, which are not to be had here")
    models = [members(m.model, m) for m in wanted.members]
    asked = [_asking(m.called, model, signature) for m, model in zip(wanted.members, models, strict=True)]
    words = _words(models)
    if wanted.combiner is not None:
        combiner = members(wanted.combiner.model, wanted.combiner)
        steady = all(model.steady for model in (*models, combiner))
        return OpenedModel(
            _stacked(wanted, asked, models, combiner, len(signature.outputs)), "arrays", steady, words=words
        )
    widths = {len(model.signature.outputs) for model in models}
    if widths != {len(signature.outputs)}:
        raise UsageError(f"the members have {sorted(widths)} outputs, the ensemble {len(signature.outputs)}")
    steady = all(model.steady for model in models)
    return OpenedModel(_combined(wanted, asked, models), "arrays", steady, words=words)


def _words(models: Sequence[Predictor]) -> dict[str, frozenset[str]]:
    """Of each input the words that all members know, as far as it is known what they know."""
    found: dict[str, frozenset[str]] = {}
    for model in models:
        for name, words in model.signature.known.items():
            found[name] = found.get(name, words) & words
    return found


def _combined(wanted: Ensemble, asked: Sequence[Score], models: Sequence[Predictor]) -> Score:
    if wanted.ensemble == "vote":
        if _labels(models):
            return lambda rows: _most_frequent([score(rows) for score in asked])
        thresholds = [0.5 if m.threshold is None else m.threshold for m in wanted.members]
        return lambda rows: np.mean([score(rows) >= t for score, t in zip(asked, thresholds, strict=True)], axis=0)
    if _labels(models):
        raise UsageError("members that answer with labels have no mean", "combine them with `ensemble: vote`")
    weights = np.array([m.weight or 1.0 for m in wanted.members])
    shares = weights / weights.sum()
    return lambda rows: sum(share * score(rows) for share, score in zip(shares, asked, strict=True))


def _stacked(
    wanted: Ensemble, asked: Sequence[Score], models: Sequence[Predictor], combiner: Predictor, width: int
) -> Score:
    names = [
        m.called if len(model.signature.outputs) == 1 else f"{m.called}.{output.name}"
        for m, model in zip(wanted.members, models, strict=True)
        for output in model.signature.outputs
    ]
    inputs = [f.name for f in combiner.signature.inputs]
    if sorted(names) != sorted(inputs):
        raise UsageError(f"the combiner takes {', '.join(inputs)}; the members give {', '.join(names)}")
    if _labels(models) or any(f.type == "string" for f in combiner.signature.inputs):
        raise UsageError("a combiner takes numbers, not labels")
    if len(combiner.signature.outputs) != width:
        raise UsageError(f"the combiner has {len(combiner.signature.outputs)} outputs, the ensemble {width}")
    order = np.array([names.index(name) for name in inputs])
    return lambda rows: combiner.answers(np.concatenate([score(rows) for score in asked], axis=1)[:, order])


def _labels(models: Sequence[Predictor]) -> bool:
    return any(not output.type.startswith("float") for model in models for output in model.signature.outputs)


def _most_frequent(answers: Sequence[Answers]) -> Answers:
    """Of equals, the one that comes first among the members."""
    cells = zip(*(a.reshape(-1).tolist() for a in answers), strict=True)
    chosen = [Counter(cell).most_common(1)[0][0] for cell in cells]
    return np.array(chosen, answers[0].dtype).reshape(answers[0].shape)


def _asking(called: str, model: Predictor, signature: Signature) -> Score:
    """``model`` on rows that the ensemble's signature encoded."""
    places = {f.name: place for place, f in enumerate(signature.inputs)}
    inputs = model.signature.inputs
    absent = [f.name for f in inputs if f.name not in places]
    if absent:
        raise UsageError(f"member {called} takes {absent[0]}, which the ensemble's signature does not name")
    order = np.array([places[f.name] for f in inputs])
    whole = model.signature.dtype is object
    if whole != (signature.dtype is object):
        raise UsageError(f"member {called} and the ensemble differ in which words have categories")
    changed = {
        place: table
        for place, f in enumerate(inputs)
        if (table := _translation(called, signature.inputs[places[f.name]], f)) is not None
    }
    if not changed and np.array_equal(order, np.arange(len(signature.inputs))):
        return model.answers

    def score(rows: Rows) -> Answers:
        found = rows[:, order]
        for place, table in changed.items():
            found[:, place] = table[found[:, place].astype(np.intp)]
        return model.answers(found)

    return score


def _translation(called: str, ours: Field, theirs: Field) -> NDArray[np.float64] | None:
    """From our code of a word to the member's; None where they are the same. UNKNOWN and MISSING stay."""
    if (ours.type == "string") != (theirs.type == "string") or (ours.categories is None) != (theirs.categories is None):
        raise UsageError(f"{ours.name} is a {ours.type} for the ensemble, but a {theirs.type} for member {called}")
    if ours.categories is None or theirs.categories is None or ours.categories == theirs.categories:
        return None
    codes = {word: float(code) for code, word in enumerate(theirs.categories)}
    return np.array([*[codes.get(word, -1.0) for word in ours.categories], -2.0, -1.0])
