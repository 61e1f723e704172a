"""Evidence ``evaluated``, ``compared`` and ``reproduced``, from what main's other jobs handed over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gitml.cijobs.due import Due
from gitml.cijobs.handover import place_of
from gitml.cijobs.materials import materials
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, bound
from gitml.errors import GitmlError, SpecError
from gitml.evidence.predicates import MATERIALS
from gitml.evidence.statement import Statement
from gitml.gate.described import same_roles
from gitml.gate.ground import Ground
from gitml.gate.vouching import NoProofError
from gitml.gates.facts import Unknown
from gitml.gates.samerows import AGAINST, KIND, RULES, other_of
from gitml.training.trialfile import Tried, read_trials


def showed(place: Place, ground: Ground, run: str, commit: str = "") -> Iterator[Due]:
    """Each trial once for each run. A version that was trained again with the same result is trained.

    Only a job of CI hears of trials: of its own run, at the ``commit`` that the run is about.
    """
    if isinstance(ground.heard, Unknown) or not run or not commit:
        return
    try:
        found = list(read_trials(place_of(place.root), run, commit))
    except GitmlError as exc:
        yield Due(f"what a job of this run handed over cannot be read: {exc.message.splitlines()[0]}", problem=True)
        return
    for tried in found:
        yield _due(place, ground, ground.heard, tried, run)


def _due(place: Place, ground: Ground, known: BelievedEvents, tried: Tried, run: str) -> Due:
    said = f"{tried.model} {tried.version}: {tried.kind} {tried.result}"
    try:
        record = ground.main.original_record(tried.model, tried.version)
    except SpecError:
        return Due(f"{said}, but main has no such version", problem=True)
    if record.files[record.artifact].sha256 != tried.artifact:
        return Due(f"{said}, but of another artifact than main's record says", problem=True)
    about: dict[str, Any] = {"model": tried.model, "version": tried.version, "artifact": tried.artifact}
    before = next((one for one in known.signed(tried.kind, **about) if _is_of_same(one, tried)), None)
    if tried.kind == KIND and (why := _why_no_pair(ground, tried)):
        return Due(f"{said}, but {why}", problem=True)
    if before is not None and _is_no_news(before, tried, run):
        return Due(f"{said}, as signed before")
    common = {**about, "head": ground.main.commit}
    first = bound(place, tried.kind, run, after=before, **common, result=tried.result)
    statements = [Statement(first, tried.details)]
    if tried.kind == "reproduced" and tried.result == "passed" and not known.signed("trained", **about):
        try:
            same_roles(ground.main, record)
        except NoProofError as exc:
            return Due(f"{said}, but {exc.message}", problem=True)
        trained = bound(place, "trained", run, **common)
        how = "a job of the default branch trained it again"
        statements.append(Statement(trained, {"how": how, MATERIALS: materials(record)}))
    return Due(said, tuple(statements))


def _is_of_same(before: Statement, tried: Tried) -> bool:
    """Of comparisons: with the same version, by the same rules."""
    return all(before.details.get(key) == tried.details.get(key) for key in (AGAINST, RULES))


def _why_no_pair(ground: Ground, tried: Tried) -> str:
    """Why it is not about a version of main, by the rules of main; or ""."""
    against, holdout = tried.details.get(AGAINST), ground.main.application().models[tried.model].holdout
    if holdout is None or tried.details.get(RULES) != holdout.digest:
        return "by another `holdout` than main's gitml.yaml has"
    try:
        other = ground.main.original_record(tried.model, str(dict(against or {}).get("version")))
    except (GitmlError, TypeError, ValueError):
        return "main does not have the version that it was compared with"
    same = against == other_of(other.version, other.files[other.artifact].sha256)
    return "" if same else "the other version has another artifact than main's record says"


def _is_no_news(before: Statement, tried: Tried, run: str) -> bool:
    """This run said it already, or once more that it cannot tell, for the same reason."""
    if run and before.binding.run == run:
        return True
    same = before.details.get("reason") == tried.details.get("reason")
    return before.binding.result == tried.result == "inconclusive" and same
