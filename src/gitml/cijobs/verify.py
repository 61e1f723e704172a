"""``gitml ci verify``: versions of main are loaded and tried, or trained again, where there is nothing to steal.

What is found out goes into a file for the job that signs. What was tried before is not tried again until it gets old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from gitml.cijobs.comparing import compare_pair, pairs_due
from gitml.cijobs.handover import folder_of
from gitml.clock import now
from gitml.control.ledger import Here
from gitml.control.mainline import Mainline
from gitml.control.signing import BelievedEvents
from gitml.dvc.addresses import own_remotes, places_of
from gitml.dvc.remotes import depot
from gitml.errors import GitmlError, IntegrityError, UsageError
from gitml.evidence.reader import EvidenceRules, Told, read
from gitml.git.commands import Git
from gitml.models.quarantine import Quarantine
from gitml.registry.record import Record
from gitml.spec.deployment import Pin
from gitml.spec.dvcconfig import DVC_CONFIG
from gitml.spec.policy import Policy
from gitml.training.reproduce import ReproduceCall, reproduce
from gitml.training.trial import TrialShelf, try_model
from gitml.training.trialfile import Kind, Result, Trials, Tried, write_trials
from gitml.verdict import Phase

MOST = 10
_RESULTS: Mapping[Phase, Result] = {Phase.SUCCESSFUL: "passed", Phase.FAILED: "failed"}


@dataclass(frozen=True)
class VerifyOrder:
    """``models`` to look at; ``again``: train them again instead of loading them. ``call`` listens to that.

    ``run`` is the address of the CI run.
    """

    models: Sequence[str]
    call: ReproduceCall
    again: bool = False
    run: str = ""
    clock: Callable[[], datetime] = now


def civerify(root: Path, here: Here, order: VerifyOrder) -> Trials:
    """Try what is due of HEAD, and write the hand-over file. Raises UsageError for a model that is not there."""
    git = Git(root)
    main = Mainline(git, git.resolve("HEAD") or "")
    policy, application = main.policy(), main.application()
    unknown = [name for name in order.models if name not in application.models]
    if unknown or not order.models:
        raise UsageError(f"there is no model {unknown[0]}" if unknown else "no model is named", "see `gitml models`")
    known = _known(here, policy, order)
    due = list(_due(main, policy, known, order))
    tried = tuple(_again(root, order, due) if order.again else _loaded(main, policy, order, due))
    if not order.again:
        tried += tuple(_compared(root, main, policy, known, order))
    trials = Trials(commit=main.commit, run=order.run, tried=tried)
    write_trials(folder_of(root), "reproduce" if order.again else "verify", order.models[0], trials)
    return trials


def _known(here: Here, policy: Policy, order: VerifyOrder) -> BelievedEvents:
    """The ledger as the clone has it: no token here, and what it does not know is only tried once more."""
    heads = here.heads()
    try:
        rules = EvidenceRules(policy, here.repository, order.clock(), here.settings.host)
    except UsageError:
        return BelievedEvents(())
    told = read(here.root, heads[0], rules) if heads else Told()
    return BelievedEvents(told.events, told.standing.broken)


def _due(main: Mainline, policy: Policy, known: BelievedEvents, order: VerifyOrder) -> Iterator[Record]:
    """Newest first: the last few versions of each model, and whatever runs somewhere."""
    kind: Kind = "reproduced" if order.again else "evaluated"
    for model in order.models:
        running = {pin.version for name in policy.environments for pin in _pins(main, model, name)}
        versions = main.versions(model)
        for version in reversed([v for v in versions if v in running or v in versions[-MOST:]]):
            record = main.original_record(model, version)
            if order.again and not _wants_reproduction(policy, record):
                continue
            if not _is_fresh(policy, known, kind, record, order.clock()):
                yield record


def _pins(main: Mainline, model: str, environment: str) -> tuple[Pin, ...]:
    try:
        state = main.deployment(model, environment)
    except (GitmlError, ValueError):
        return ()
    return state.pins if state else ()


def _wants_reproduction(policy: Policy, record: Record) -> bool:
    if record.origin == "external":
        return False
    gates = [environment.gates_of(record.model) for environment in policy.environments.values()]
    asked = any(g.reads_evidence("reproduced") for g in gates)
    return asked or policy.trust.branch_runs == "reproduce"


def _is_fresh(policy: Policy, known: BelievedEvents, kind: Kind, record: Record, now: datetime) -> bool:
    """Whether evidence is there that will count for a while yet. A failure stands: trying again undoes none."""
    artifact = record.files[record.artifact].sha256
    found = known.all(kind, model=record.model, version=record.version, artifact=artifact)
    settled = [s for s in found if s.binding.result != "inconclusive"]
    if any(s.binding.result == "failed" for s in settled):
        return True
    wanted = (environment.gates_of(record.model).evidence or {} for environment in policy.environments.values())
    ages = [evidence[kind] for evidence in wanted if kind in evidence]
    oldest = min(ages, default=timedelta(days=36_500)) / 2
    return any(now - s.binding.moment < oldest for s in settled)


def _loaded(main: Mainline, policy: Policy, order: VerifyOrder, due: Sequence[Record]) -> Iterator[Tried]:
    try:
        store = depot(places_of(main.file(DVC_CONFIG) or b"", own_remotes()))
    except GitmlError as exc:
        order.call.say(f"no DVC remote can be read: {exc.message.splitlines()[0]}")
        store = None
    with Quarantine() as quarantine:
        shelf = TrialShelf(main, store, main.application(), policy, order.clock(), quarantine)
        for record in due:
            order.call.say(f"trying {record.reference}")
            yield try_model(shelf, record)


def _compared(root: Path, main: Mainline, policy: Policy, known: BelievedEvents, order: VerifyOrder) -> Iterator[Tried]:
    for pair in pairs_due(main, policy, known, order.models):
        order.call.say(f"comparing {pair.new.reference} with {pair.old.version} of {pair.environment}")
        yield compare_pair(root, main, pair)


def _again(root: Path, order: VerifyOrder, due: Sequence[Record]) -> Iterator[Tried]:
    for record in due:
        order.call.say(f"training {record.reference} again")
        result: Result
        try:
            verdict = reproduce(root, f"{record.model}@{record.version}", replace(order.call)).verdict
            result, reason = _RESULTS.get(verdict.phase, "inconclusive"), verdict.reason
            measured = {k: v for k, v in verdict.measurements.items() if isinstance(v, str | int | float)}
        except IntegrityError as exc:
            result, reason, measured = "failed", exc.message, {}
        except GitmlError as exc:
            result, reason, measured = "inconclusive", exc.message, {}
        yield Tried(
            kind="reproduced",
            model=record.model,
            version=record.version,
            artifact=record.files[record.artifact].sha256,
            result=result,
            details={"reason": reason.splitlines()[0][:500] if reason else "", "measurements": measured},
        )
