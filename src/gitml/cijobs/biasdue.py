"""Which counts of selections are due: the newest window that is over, without a signed statement. From main alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gitml.control.mainline import Mainline
from gitml.evidence.biases import SignedBias, bias_id
from gitml.evidence.looks import digest_of
from gitml.governance.bias import changed
from gitml.spec.application import Application
from gitml.spec.bias import BiasMonitor
from gitml.verdict import Phase, Verdict

FIRST = "the first count of this configuration: later ones are held against it"


@dataclass(frozen=True)
class CountedModel:
    """A model whose selections are counted where ``monitor`` says. ``version``: its champion there, on main."""

    model: str
    version: str
    monitor: BiasMonitor
    configuration: str

    def id_at(self, at: datetime) -> str:
        return bias_id(self.model, self.monitor.environment, self.configuration, self.monitor.last_window(at)[1])

    @property
    def name(self) -> tuple[str, str, str]:
        return self.model, self.monitor.environment, self.configuration


def counted_models(main: Mainline, app: Application) -> Iterator[CountedModel]:
    for model, spec in app.bias.items():
        if spec.monitor is None:
            continue
        state = main.deployment(model, spec.monitor.environment)
        if state is not None and not state.retired:
            # An audit, or other words for the source, count people in the same way. Labels may be words or numbers,
            # which pydantic warns of.
            told = spec.model_dump(mode="json", exclude={"audited", "source", "monitor"}, warnings=False)
            configuration = digest_of([told, spec.monitor.window.total_seconds()])
            yield CountedModel(model, state.champion.version, spec.monitor, configuration)


def due_counts(counted: Iterable[CountedModel], signed: Iterable[SignedBias], at: datetime) -> list[CountedModel]:
    known = {one.details.id for one in signed}
    return [one for one in counted if one.id_at(at) not in known]


def next_count(counted: Iterable[CountedModel], signed: Iterable[SignedBias], at: datetime) -> datetime:
    """When a window ends next: at once while one waits."""
    every = list(counted)
    if due_counts(every, signed, at):
        return at
    ends = [one.monitor.last_window(at)[1] + one.monitor.window for one in every]
    return min(ends, default=datetime.max.replace(tzinfo=UTC))


def held_against(one: CountedModel, count: Mapping[str, Any], signed: Iterable[SignedBias]) -> tuple[str, Verdict]:
    """The id of what a count is held against, and whether a ratio moved."""
    first = next((found for found in signed if found.details.monitor == one.name), None)
    if first is None:
        return "", Verdict(Phase.INCONCLUSIVE, FIRST)
    return first.details.id, changed(first.told, count)
