"""Main's versions beside the champions that they may replace, on the same held-out rows: for the gate ``champion``.

It runs in the job `verify`, without a key, from main alone: what compares, and how, is nothing that a branch says. The
rows are the new version's own, by the digest in its record; what made them was reviewed with its training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitml.control.mainline import Mainline
from gitml.control.signing import BelievedEvents
from gitml.errors import GitmlError
from gitml.gates.champion import Margin
from gitml.gates.samerows import AGAINST, KIND, METRICS, RULES, other_of
from gitml.registry.record import Record
from gitml.reports.rowfacts import ComparisonRole
from gitml.spec.policy import Policy
from gitml.training.trialfile import Tried

if TYPE_CHECKING:
    from gitml.models.model import Predictor
    from gitml.reports.holdoutfacts import ReportedHoldOut, SameRows

# Before this one: a promotion may be of the second newest, where the newest came in since.
_NEWEST = 2


@dataclass(frozen=True)
class VersionPair:
    """``new`` may take the place of ``old``, the champion of ``environment``. ``rules``: the digest of `holdout`."""

    new: Record
    old: Record
    environment: str
    rules: str


def pairs_due(main: Mainline, policy: Policy, known: BelievedEvents, models: Sequence[str]) -> tuple[VersionPair, ...]:
    """Those that a gate of policy.yaml asks for and no believed evidence compares yet; each two versions once."""
    found: dict[tuple[str, str], VersionPair] = {}
    for model in models:
        for environment, place in policy.environments.items():
            if _asks(place.wanted(model)):
                for pair in _pairs(main, model, environment):
                    found.setdefault((_artifact(pair.new), _artifact(pair.old)), pair)
    return tuple(pair for pair in found.values() if not _is_known(known, pair))


def _asks(gates: Mapping[str, Any]) -> bool:
    margins = gates.get("champion") or {}
    return any(isinstance(margin, Margin) and margin.same_rows for margin in margins.values())


def _pairs(main: Mainline, model: str, environment: str) -> Iterator[VersionPair]:
    spec = main.application().models[model].holdout
    try:
        state = main.deployment(model, environment)
        if state is None or spec is None:
            return
        old = main.original_record(model, state.champion.version)
    except (GitmlError, ValueError):
        return  # the gate says what is wrong with it
    if _artifact(old) != state.champion.digest:
        return
    for version in _candidates(main, model):
        try:
            new = main.original_record(model, version)
        except GitmlError:
            continue  # `gitml check` says what is wrong with it
        if _artifact(new) != _artifact(old):
            yield VersionPair(new, old, environment, spec.digest)


def _candidates(main: Mainline, model: str) -> list[str]:
    """The newest ones, and what runs elsewhere, which may be promoted from there."""
    elsewhere = []
    for place in main.environments(model):
        try:
            state = main.deployment(model, place)
        except (GitmlError, ValueError):
            continue
        elsewhere += [pin.version for pin in state.pins] if state else []
    versions = main.versions(model)
    return [name for name in versions if name in elsewhere or name in versions[-_NEWEST:]]


def _artifact(record: Record) -> str:
    return record.files[record.artifact].sha256


def _is_known(known: BelievedEvents, pair: VersionPair) -> bool:
    """One that could not be compared is tried again: what was out of reach may be there now."""
    about = {"model": pair.new.model, "version": pair.new.version, "artifact": _artifact(pair.new)}
    wanted = other_of(pair.old.version, _artifact(pair.old))
    mine = [s for s in known.signed(KIND, **about) if s.details.get(AGAINST) == wanted]
    return bool(mine) and mine[0].details.get(RULES) == pair.rules and mine[0].binding.result == "passed"


def compare_pair(root: Path, main: Mainline, pair: VersionPair) -> Tried:
    """Both versions are tried in quarantine first. Whatever goes wrong is the result: inconclusive, with the reason."""
    # Tables and models: a second of imports, and mostly there is nothing to compare.
    from gitml.inference.clone import CloneShelf
    from gitml.models.quarantine import Quarantine
    from gitml.registry.load import Loader

    with Quarantine() as quarantine:
        loader = Loader(CloneShelf(root), main.application().models, quarantine=quarantine)
        return answered_by_both(root, main, pair, lambda record: loader.checked(record).model)


def answered_by_both(root: Path, main: Mainline, pair: VersionPair, load: Callable[[Record], Predictor]) -> Tried:
    """The same, with models as ``load`` brings them."""
    from gitml.inference.holdout import HoldOutCase, Opponent, compared
    from gitml.reports.holdoutfacts import RowSet

    app = main.application()
    opponent = Opponent(ComparisonRole.ENVIRONMENT, pair.environment, pair.old)
    case = HoldOutCase(root, app.models[pair.new.model], pair.new, opponent, load, load, app.private, RowSet.NEW)
    try:
        held = compared(case)
    except GitmlError as exc:
        return _tried(pair, f"it cannot be compared: {exc.message.splitlines()[0]}", None)
    return _tried(pair, held.why, held)


def _tried(pair: VersionPair, why: str, held: ReportedHoldOut | None) -> Tried:
    from gitml.reports.holdoutfacts import RowSet

    rows = held.rows_of(RowSet.NEW) if held else None
    details: dict[str, Any] = {AGAINST: other_of(pair.old.version, _artifact(pair.old)), RULES: pair.rules}
    if why or rows is None or not rows.metrics:
        details["reason"] = (why or "no rows were compared")[:500]
        return _of(pair, "inconclusive", details)
    return _of(pair, "passed", {**details, **_found(rows)})


def _of(pair: VersionPair, result: Any, details: dict[str, Any]) -> Tried:
    new = pair.new
    return Tried(
        kind="compared", model=new.model, version=new.version, artifact=_artifact(new), result=result, details=details
    )


def _found(rows: SameRows) -> dict[str, Any]:
    keys = ("metric", "new", "old", "value", "low", "high")
    return {
        "rows": rows.rows,
        "unit": rows.unit,
        "units": rows.units,
        "first": rows.first,
        "last": rows.last,
        METRICS: [{key: getattr(row, key) for key in keys} for row in rows.metrics],
    }
