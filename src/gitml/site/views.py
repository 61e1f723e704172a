"""What a role sees: the facts without what its view leaves out, so that no page can show it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from itertools import pairwise
from typing import Any, TypeVar, cast

from gitml.reports.figures import plural
from gitml.site.facts import SiteFacts, SiteStage
from gitml.site.versionfacts import SiteModel, VersionDetail
from gitml.site.watchfacts import SiteLook
from gitml.spec.views import SiteView

T = TypeVar("T")
# In the place of a name that is not shown.
HIDDEN = "▒▒▒"


def seen_through(facts: SiteFacts, view: SiteView) -> SiteFacts:
    """Models and columns that the view does not show are left out, and their names taken out of every text."""
    models, columns = _hidden_models(facts, view), _hidden_columns(facts, view)
    if "kpis" not in view.pages:
        # Other pages tell of them too, and money is nobody's business but of those who see this page.
        facts = replace(facts, kpis=(), impacts=(), returns=(), causal={})
    kept = _without_columns(_without_models(facts, models), columns, frozenset(facts.private))
    words = {facts.application, *(one.name for one in facts.environments), *(m.name for m in kept.models)}
    # Nothing can be taken out of a picture, so that one which tells of anything hidden is left out.
    kept = _without_charts(kept, models | columns | frozenset(facts.private))
    return _redacted(kept, (models | columns) - words)


def _hidden_models(facts: SiteFacts, view: SiteView) -> frozenset[str]:
    if view.models is None:
        return frozenset()
    named = {m.name for m in facts.models} | {one.model for one in facts.deployments} | {s.model for s in facts.states}
    named |= {one.model for one in facts.traffic} | {one.model for one in facts.attempts if one.model}
    named |= {name for commit in facts.commits for name in commit.models}
    return frozenset(named - set(view.models))


def _hidden_columns(facts: SiteFacts, view: SiteView) -> frozenset[str]:
    every = columns_of(facts)
    shown = every if view.columns is None else every & frozenset(view.columns)
    return (every - shown) | frozenset(view.without_columns)


def columns_of(facts: SiteFacts) -> frozenset[str]:
    """Every column that anything in the facts names."""
    details = [detail for model in facts.models for detail in model.details.values()]
    found = {column.name for detail in details for column in detail.columns}
    found |= {one.column for detail in details for one in detail.slices}
    found |= {name for detail in details for table in detail.data for name in (*table.columns, *table.missing)}
    found |= {one.column for look in facts.looks for one in look.drift}
    found |= {one.column for look in facts.looks for one in look.quality if one.column}
    return frozenset(found)


def _without_models(facts: SiteFacts, hidden: frozenset[str]) -> SiteFacts:
    """A stage or commit that concerns others too stays."""
    if not hidden:
        return facts

    def seen(found: Iterable[T]) -> tuple[T, ...]:
        return tuple(one for one in found if cast(Any, one).model not in hidden)

    commits = (c for c in facts.commits if not c.models or not hidden.issuperset(c.models))
    return replace(
        facts,
        models=tuple(m for m in facts.models if m.name not in hidden),
        stages=_stages(facts.stages, hidden),
        feeds=tuple(one for one in seen(facts.feeds) if one.source not in hidden),
        states=seen(facts.states),
        pending=seen(facts.pending),
        deployments=seen(facts.deployments),
        commits=tuple(replace(c, models=tuple(m for m in c.models if m not in hidden)) for c in commits),
        looks=seen(facts.looks),
        watched=tuple(one for one in facts.watched if one[0] not in hidden),
        trials=seen(facts.trials),
        impacts=seen(facts.impacts),
        returns=seen(facts.returns),
        causal={key: parts for key, parts in facts.causal.items() if key[1] not in hidden},
        retrainings=seen(facts.retrainings),
        bias=seen(facts.bias),
        attempts=seen(facts.attempts),
        traffic=seen(facts.traffic),
        judged=seen(facts.judged),
        # Which models a branch is about nobody says, so that the names in its title are taken out below.
        pulls=facts.pulls,
        findings=tuple(one for one in facts.findings if not _concerns(one.subject, hidden)),
    )


def _stages(stages: tuple[SiteStage, ...], hidden: frozenset[str]) -> tuple[SiteStage, ...]:
    gone = {stage.name for stage in stages if stage.models and hidden.issuperset(stage.models)}
    return tuple(
        replace(
            stage,
            after=tuple(name for name in stage.after if name not in gone),
            models=tuple(name for name in stage.models if name not in hidden),
            makes=tuple(name for name in stage.makes if name not in hidden),
        )
        for stage in stages
        if stage.name not in gone
    )


def _concerns(subject: str, hidden: frozenset[str]) -> bool:
    """Whether a path of main is a file of a hidden model."""
    parts = subject.split("/")
    return any(before == "models" and name in hidden for before, name in pairwise(parts))


def _without_columns(facts: SiteFacts, hidden: frozenset[str], private: frozenset[str]) -> SiteFacts:
    if not hidden and not private:
        return facts
    return replace(
        facts,
        models=tuple(_model(model, hidden, private) for model in facts.models),
        looks=tuple(_look(look, hidden) for look in facts.looks),
    )


def _model(model: SiteModel, hidden: frozenset[str], private: frozenset[str]) -> SiteModel:
    return replace(model, details={name: _detail(d, hidden, private) for name, d in model.details.items()})


def _detail(detail: VersionDetail, hidden: frozenset[str], private: frozenset[str]) -> VersionDetail:
    """Groups by a private column would tell its values."""
    data = tuple(
        replace(
            table,
            columns=tuple(name for name in table.columns if name not in hidden),
            missing={name: share for name, share in table.missing.items() if name not in hidden},
        )
        for table in detail.data
    )
    columns = tuple(column for column in detail.columns if column.name not in hidden)
    slices = tuple(one for one in detail.slices if one.column not in hidden | private)
    return replace(detail, data=data, columns=columns, slices=slices)


def _look(look: SiteLook, hidden: frozenset[str]) -> SiteLook:
    drift = tuple(one for one in look.drift if one.column not in hidden)
    return replace(look, drift=drift, quality=tuple(one for one in look.quality if one.column not in hidden))


def _without_charts(facts: SiteFacts, names: frozenset[str]) -> SiteFacts:
    pattern = _any_of(names)
    if not names or not any(detail.charts for model in facts.models for detail in model.details.values()):
        return facts

    def kept(detail: VersionDetail) -> VersionDetail:
        charts = tuple(one for one in detail.charts if not pattern.search(one.told))
        left_out = len(detail.charts) - len(charts)
        note = f"{plural(left_out, 'chart')} of what this page may not show." if left_out else ""
        return replace(detail, charts=charts, charts_note=" ".join(filter(None, (detail.charts_note, note))))

    models = (replace(m, details={name: kept(d) for name, d in m.details.items()}) for m in facts.models)
    return replace(facts, models=tuple(models))


def _any_of(names: frozenset[str]) -> re.Pattern[str]:
    longest_first = "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name)))
    return re.compile(f"(?<![A-Za-z0-9])(?:{longest_first})(?![A-Za-z0-9])", re.IGNORECASE)


def _redacted(facts: SiteFacts, names: frozenset[str]) -> SiteFacts:
    """Sentences of reports, titles of commits, and the like may name what is hidden."""
    if not names:
        return facts
    pattern = _any_of(names)
    return cast(SiteFacts, _mapped(facts, lambda text: pattern.sub(HIDDEN, text)))


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """The same with every text changed, however deep it lies."""
    if isinstance(value, str):
        return value if isinstance(value, Enum) else change(value)
    if isinstance(value, tuple):
        return tuple(_mapped(inner, change) for inner in value)
    if isinstance(value, Mapping):
        return {_mapped(key, change): _mapped(inner, change) for key, inner in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _mapped(getattr(value, f.name), change) for f in fields(value)})
    return value
