"""``gitml replay``: a version answers logged requests again, beside what the champion answered then.

It is the judgement of a shadow, before anything is deployed: the candidate's rows are made here and not by a server. It
opens no gate by itself, because nobody saw the candidate under load, nor what its answers lead to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gitml import clock
from gitml.errors import InconclusiveError, UsageError
from gitml.fields import WrongValueError, parse_until
from gitml.git.tree import WorkTree
from gitml.inference.candidate import TrialPlace, judged_trial, own_metrics, traffic_of, untold, with_costs
from gitml.inference.clone import loader
from gitml.models.apart import ModelsApart
from gitml.models.model import ModelError, Predictor
from gitml.models.quarantine import Quarantine
from gitml.models.signature import InputError
from gitml.models.signature import parse as parse_signature
from gitml.refs import Reference
from gitml.refs import parse as parse_reference
from gitml.registry import Record, deployment_in, environments, resolve
from gitml.rollout.evaluation import Contender, Evaluation
from gitml.rollout.resolved import resolved
from gitml.rollout.trial import CandidateTrial, TrialTraffic
from gitml.spec import Application, load_application, load_policy
from gitml.spec.canary import CanaryRules
from gitml.spec.canarytest import judged_on_cost
from gitml.spec.policy import POLICY
from gitml.traffic.private import EVERY_COLUMN
from gitml.traffic.reader import Window
from gitml.verdict import Phase

_FEATURE = "feature_"


@dataclass(frozen=True)
class ReplayCall:
    """``champion``: the reference of what answered then; by default the champion of the ``environment``. ``since``: a
    moment, or how long before ``at``. ``at``: now, if it is None. ``digest``: what main's files give the rules, for a
    replay of the schedule: why it cannot be told is then an evaluation too."""

    candidate: str
    champion: str = ""
    environment: str = ""
    since: datetime | timedelta = timedelta(days=14)
    at: datetime | None = None
    digest: str = ""


@dataclass(frozen=True)
class _Sides:
    candidate: Record
    champion: Record
    environment: str


def replay(place: TrialPlace, call: ReplayCall) -> Evaluation:
    """Raises RefError, UsageError for features that were not logged, InconclusiveError where nothing is left to judge,
    and what loading the candidate raises."""
    app = load_application(place.root)
    sides = _sides(place.root, app, call)
    now = clock.now()
    if call.at and call.at > now:
        raise UsageError(f"{call.at:%Y-%m-%d %H:%M} UTC is in the future", "nothing is known of it yet")
    at = (call.at or now).replace(microsecond=0)
    trial = _trial(place.root, app, sides, call, at)
    traffic = traffic_of(trial, place)
    try:
        _refuse_private(app, sides.candidate)
        with Quarantine(loads_here=False) as quarantine, ModelsApart() as apart:
            shelf = replace(loader(place.root, app.models), quarantine=quarantine, apart=apart)
            made = shelf.checked(sides.candidate)
            found = replace(traffic, requests=replayed(traffic, trial, made.model), complete=_unasked)
            return judged_trial(trial, found)
    except UsageError as exc:
        if not call.digest:
            raise
        return untold(trial, traffic, Phase.INCONCLUSIVE, f"it cannot be replayed: {exc.message}")


def _unasked(since: datetime, until: datetime) -> None:
    """What happened long ago is as complete as it will ever be."""


def _sides(root: Path, app: Application, call: ReplayCall) -> _Sides:
    candidate = parse_reference(call.candidate)
    if call.champion:
        champion = parse_reference(call.champion)
        environment = call.environment or (champion.selector if _is_environment(root, champion) else "")
    else:
        champion, environment = Reference(candidate.model, call.environment), call.environment
    if not environment:
        raise UsageError("which environment's traffic is replayed is not said", "name it with --in ENVIRONMENT")
    tree, names = WorkTree(root), list(app.models)
    if champion.model in app.models and environment not in (there := environments(tree, champion.model)):
        known = f"it runs in {', '.join(there)}" if there else "promote a version first: `gitml promote`"
        raise UsageError(f"{champion.model} does not run in {environment}", known)
    found = _Sides(resolve(tree, candidate, names), resolve(tree, champion, names), environment)
    if found.candidate.digest == found.champion.digest:
        raise UsageError(f"{found.candidate.reference} is the champion itself", "name another version")
    return found


def _is_environment(root: Path, reference: Reference) -> bool:
    return deployment_in(WorkTree(root), reference.model, reference.selector) is not None


def _trial(root: Path, app: Application, sides: _Sides, call: ReplayCall, at: datetime) -> CandidateTrial:
    """The rules are those of the environment; a window that is longer than a test may take is no reason to expire."""
    for record in (sides.candidate, sides.champion):
        if record.signature is None:
            raise InconclusiveError(f"{record.reference} has no signature", "name `signature` in gitml.yaml")
    output, own = (parse_signature(r.signature or {}).outputs[0] for r in (sides.champion, sides.candidate))
    if (output.name, output.type) != (own.name, own.type):
        raise UsageError(
            f"{sides.candidate.reference} answers {own.name} ({own.type}), the champion {output.name} ({output.type})",
            "versions are compared that answer the same question",
        )
    since = at - call.since if isinstance(call.since, timedelta) else call.since
    if since >= at:
        raise UsageError("the window is empty: it begins when it ends, or later", "name an earlier time with --since")
    since, notes = _after_training(since, sides.candidate)
    if since >= at:
        raise InconclusiveError(f"nothing is left to replay: {notes[0]}", "wait for traffic that it was not trained on")
    wanted = _rules(root, sides)
    rules = resolved(wanted, app, sides.champion.model, own_metrics(sides.champion))
    if spec := judged_on_cost(wanted, app, sides.champion.model):
        rules = with_costs(rules, spec, sides.champion, sides.candidate)
    rules = replace(rules, kpi=None, kpis=(), maximum=max(rules.maximum, at - since + timedelta(days=1)))
    return CandidateTrial(
        sides.champion.model, sides.environment, "replay", _contender(sides.candidate), _contender(sides.champion),
        rules, output, since, at, every=wanted.every, notes=notes, scheduled=bool(call.digest), told_rules=call.digest,
    )  # fmt: skip


def _contender(record: Record) -> Contender:
    return Contender(record.version, record.files[record.artifact].sha256)


def _rules(root: Path, sides: _Sides) -> CanaryRules:
    """The defaults where policy.yaml asks nothing of candidates."""
    if not (root / POLICY).is_file():
        return CanaryRules()
    environment = load_policy(root).environments.get(sides.environment)
    return (environment.canary_of(sides.champion.model) if environment else None) or CanaryRules()


def _after_training(since: datetime, candidate: Record) -> tuple[datetime, tuple[str, ...]]:
    """Rows that it was trained on are no test of it."""
    said = (candidate.signature or {}).get("data_until")
    try:
        until = parse_until(said) if isinstance(said, str) else None
    except WrongValueError:
        until = None
    if until is None:
        return since, ("When the candidate's newest training row is from is not known (`data_until`).",)
    if until <= since:
        return since, ()
    return until, (f"Requests before {until:%Y-%m-%d %H:%M} UTC are left out: the candidate was trained on that time.",)


def _refuse_private(app: Application, candidate: Record) -> None:
    names = [field.name for field in parse_signature(candidate.signature or {}).inputs]
    hidden = [name for name in names if name in app.private or EVERY_COLUMN in app.private]
    if hidden:
        raise UsageError(
            f"{hidden[0]} is private, so it was not logged, and {candidate.reference} needs it",
            "try the candidate as a shadow: it sees requests as they come",
        )


def replayed(traffic: TrialTraffic, trial: CandidateTrial, model: Predictor) -> Any:
    """A reader of requests like the traffic's, with a shadow's row for each row that the champion answered."""

    def rows(window: Window, columns: Sequence[str]) -> Iterator[Any]:
        features = [f"{_FEATURE}{field.name}" for field in model.signature.inputs]
        for batch in traffic.requests(window, [*columns, *features]):
            kept = [name for name in batch.schema.names if not name.startswith(_FEATURE)]
            yield batch.select(kept)
            mine = batch.filter(_answered(batch, trial))
            if mine.num_rows:
                yield _shadow(mine, kept, trial, model)

    return rows


def _answered(batch: Any, trial: CandidateTrial) -> Any:
    found = pc.and_(pc.equal(batch["outcome"], "ok"), pc.equal(batch["version"], trial.champion.version))
    return pc.fill_null(pc.and_(found, pc.equal(batch["arm"], "champion")), fill_value=False)


def _shadow(batch: Any, kept: Sequence[str], trial: CandidateTrial, model: Predictor) -> Any:
    answers, fine = _scored(batch, model)
    count = batch.num_rows
    changed = {
        "arm": pa.repeat(pa.scalar("shadow"), count),
        "version": pa.repeat(pa.scalar(trial.candidate.version), count),
        "outcome": pa.array(np.where(fine, "ok", "failed")),
        "latency_ms": pa.nulls(count, pa.float32()),
        f"output_{trial.output.name}": answers,
    }
    found = batch.select([name for name in kept if name not in changed])
    for name, column in changed.items():
        found = found.append_column(name, column)
    return found


def _scored(batch: Any, model: Predictor) -> tuple[Any, NDArray[np.bool_]]:
    """The first output of each row, and which rows the model answered: one that it cannot is its failure."""
    values = {field.name: _logged(batch, field.name, model) for field in model.signature.inputs}
    fine = np.ones(batch.num_rows, bool)
    found: list[Any] = [None] * batch.num_rows
    for start, stop in _pieces(batch.num_rows):
        _score_some(values, start, stop, model, found, fine)
    return pa.array(found, from_pandas=True), fine


def _pieces(count: int, size: int = 16_384) -> Iterator[tuple[int, int]]:
    for start in range(0, count, size):
        yield start, min(start + size, count)


def _score_some(
    values: dict[str, list[Any]], start: int, stop: int, model: Predictor, found: list[Any], fine: NDArray[np.bool_]
) -> None:
    """In halves, where some row does not fit, so that one takes no other with it."""
    try:
        rows = model.signature.columns({name: column[start:stop] for name, column in values.items()})
        found[start:stop] = model.answers(rows)[:, 0].tolist()
    except (InputError, ModelError):
        if stop - start == 1:
            fine[start] = False
            return
        middle = (start + stop) // 2
        _score_some(values, start, middle, model, found, fine)
        _score_some(values, middle, stop, model, found, fine)


def _logged(batch: Any, name: str, model: Predictor) -> list[Any]:
    column = f"{_FEATURE}{name}"
    if column not in batch.schema.names:
        field = next(field for field in model.signature.inputs if field.name == name)
        if field.nullable:
            return [None] * batch.num_rows
        raise UsageError(
            f"{name} was not logged: the version that answered then does not take it",
            "replay a window in which it was logged, or try the candidate as a shadow",
        )
    values: list[Any] = batch[column].to_pylist()
    return values
