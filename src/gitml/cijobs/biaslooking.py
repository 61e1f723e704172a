"""``gitml ci monitor evaluate``, of selections: people are counted by category where there is no key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gitml.cijobs.biasdue import CountedModel, counted_models, due_counts, held_against
from gitml.control.ledger import Here
from gitml.control.looks import read_looks
from gitml.control.mainline import Mainline
from gitml.errors import GitmlError
from gitml.evidence.biases import KIND, SignedBias, biases_of
from gitml.evidence.looks import MOST_DETAILS
from gitml.evidence.reader import EvidenceRules
from gitml.git.ledger import LOOKS
from gitml.governance.bias import BiasCall, bias
from gitml.inference.monitor import MonitorCall
from gitml.jsontext import canonical
from gitml.traffic.reader import Window
from gitml.verdict import Verdict


@dataclass(frozen=True)
class CountedNow:
    """``later``: why nobody was counted for good, so that it stays due."""

    model: str
    environment: str
    verdict: Verdict | None = None
    details: Mapping[str, Any] | None = None
    later: str = ""


def biases_due(root: Path, here: Here, main: Mainline, call: MonitorCall, at: datetime) -> tuple[CountedNow, ...]:
    """As the clone has main and looks. One that cannot be counted does not keep the others back."""
    counted = list(counted_models(main, main.application()))
    signed = _signed(here, main, at) if counted else ()
    return tuple(_counted(root, call, one, signed, at) for one in due_counts(counted, signed, at))


def _signed(here: Here, main: Mainline, at: datetime) -> tuple[SignedBias, ...]:
    heads = here.heads(LOOKS)
    if not heads:
        return ()
    rules = EvidenceRules(main.policy(), here.repository, at, here.settings.host)
    return biases_of(one for one in read_looks(here.root, heads[0], rules, kind=KIND) if one)


def _counted(
    root: Path, call: MonitorCall, one: CountedModel, signed: tuple[SignedBias, ...], at: datetime
) -> CountedNow:
    environment, (since, until) = one.monitor.environment, one.monitor.last_window(at)
    window = Window(since, until, at)
    try:
        count = bias(root, BiasCall(one.model, environment, call.traffic, call.spool, window)).to_dict()
    except GitmlError as exc:
        return CountedNow(one.model, environment, later=exc.message.splitlines()[0])
    against, verdict = held_against(one, count, signed)
    details = {
        "format": 1,
        "id": one.id_at(at),
        "configuration": one.configuration,
        "environment": environment,
        "version": one.version,
        **{name: f"{moment:%Y-%m-%dT%H:%M:%SZ}" for name, moment in (("since", since), ("until", until), ("at", at))},
        "against": against,
        "phase": verdict.phase.value,
        "reason": verdict.reason[:2000],
        "count": count,
    }
    if len(canonical(details)) > MOST_DETAILS:
        return CountedNow(one.model, environment, verdict, later="it is too large for a statement: count fewer groups")
    return CountedNow(one.model, environment, verdict, details)
