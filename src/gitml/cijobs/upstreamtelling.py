"""What alarms upstream stands on the open promotions and retrainings of the models that are built on it, in one comment
each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from gitml.cijobs.retrain import RETRAIN
from gitml.cijobs.telling import Teller, tried
from gitml.control.change import branch_of
from gitml.control.upstreamlooks import UpstreamAlarm, upstream_alarms
from gitml.control.upstreams import Upstreams
from gitml.errors import GitmlError
from gitml.gates.facts import Unknown
from gitml.promotion.promote import open_promotions
from gitml.reports.upstreams import UpstreamLine, alarms_comment


@dataclass(frozen=True)
class ToldUpstreams:
    """Of one model that needs others: pull request → posted, updated, unchanged or superseded. ``problem``: why
    something could not be posted."""

    model: str
    comments: Mapping[int, str]
    problem: str = ""


def tell_upstreams(teller: Teller) -> tuple[ToldUpstreams, ...]:
    """Every model under whose `needs` something stands. One that fails does not keep the others back."""
    upstreams = Upstreams(teller.place, teller.main)
    models = (name for name, model in teller.main.application().models.items() if model.needs)
    return tuple(_tell(teller, upstreams, model) for model in models)


def _tell(teller: Teller, upstreams: Upstreams, model: str) -> ToldUpstreams:
    problems: list[str] = []
    comments: dict[int, str] = {}
    try:
        for number, environments in _pulls(teller, model):
            for how in tried(partial(_on_pull, teller, upstreams, model, environments, number), problems):
                comments[number] = how
    except GitmlError as exc:
        problems.append(exc.message.splitlines()[0])
    return ToldUpstreams(model, comments, "; ".join(dict.fromkeys(problems)))


def _pulls(teller: Teller, model: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The open ones, each with the environments that it is about: a retraining is about all where the model runs."""
    place, main = teller.place, teller.main
    for environment in main.policy().environments:
        for pull in open_promotions(place, main, model, environment):
            yield pull.number, (environment,)
    if model in main.application().retrain:
        for pull in place.forge.merges.under(f"{branch_of(main, RETRAIN, model)}/"):
            if pull.base.branch == place.branch and (environments := main.environments(model)):
                yield pull.number, environments


def _on_pull(
    teller: Teller, upstreams: Upstreams, model: str, environments: tuple[str, ...], number: int
) -> str | None:
    """Posted once something alarms, and kept up to date from then on, also when it has ended."""
    key = f"{teller.application}/upstream/{model}"
    lines: list[UpstreamLine | str] = []
    for environment in environments:
        found = map(_line, upstream_alarms(upstreams, model, environment))
        lines += (line for line in found if line not in lines)
    if not lines and not teller.has(number, key):
        return None
    return teller.stick(number, key, alarms_comment(model, environments, lines))


def _line(one: UpstreamAlarm | Unknown) -> UpstreamLine | str:
    if isinstance(one, Unknown):
        return one.reason
    return UpstreamLine(one.model, one.environment, one.failed, one.since, one.until, one.url)
